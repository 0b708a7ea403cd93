"""The kernels that kerasish calls, with as little around them as there can be.

On the disc: `bare_kernels`, the kernels in one flat function. On other workloads, where these would
be hundreds of lines: the forward and backward of kerasish's own modules, as built, in a loop of a
few lines. What `fit` adds is not there: the optimizer object, callbacks, metrics, logs, streams of
random numbers, checks of data. The loss is kerasish's, the update is one kernel on the vector of
all weights.
"""

from collections.abc import Callable

import torch

from kerasish import losses
from kerasish.optimizers import FlatParameters
from tests.benchmarks.contestants import Training
from tests.benchmarks.contestants.bare_disc import bare_kernels
from tests.benchmarks.contestants.in_torch import data
from tests.benchmarks.contestants.kerasish_fit import LOSSES, start_from
from tests.benchmarks.nets import disc, kerasish_nets
from tests.benchmarks.nets.weights import weights
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    return (on_disc if workload.net == disc() else on_modules)(workload)


def on_disc(workload: Workload) -> Training:
    flat = torch.cat([torch.from_numpy(each).flatten() for each in weights(workload.net)])
    return Training(bare_kernels(*data(workload), workload.batch_size, workload.rate, flat),
                    flat.numel())


def on_modules(workload: Workload) -> Training:
    (x, y), batch_size = data(workload), workload.batch_size
    module = kerasish_nets.net(workload.net)
    module.build(workload.shape)
    start_from(module, workload)
    flat = FlatParameters(module.parameters())
    update, total = adam(flat, workload.rate), torch.zeros(())
    loss = losses.get(LOSSES[workload.loss])

    def run(epochs: int) -> float:
        module.train()
        with torch.inference_mode():
            for _ in range(epochs):
                order = torch.randperm(len(x))
                total.zero_()
                for x_of_batch, y_of_batch in zip(
                    x[order].split(batch_size), y[order].split(batch_size), strict=True
                ):
                    y_pred = module.forward(x_of_batch)
                    total.add_(loss.forward(y_pred, y_of_batch), alpha=len(x_of_batch))
                    module.backward(loss.backward(), need_dx=False)
                    update()
                    flat.grad.zero_()
        return float(total) / len(x)

    return Training(run, sum(each.data.numel() for each in module.parameters()))


def adam(flat: FlatParameters, rate: float) -> Callable[[], None]:
    """Adam as one kernel; it counts the step by itself."""
    m, v, step = torch.zeros_like(flat.data), torch.zeros_like(flat.data), torch.zeros(())

    def update() -> None:
        step.add_(1)
        torch._fused_adam_([flat.data], [flat.grad], [m], [v], [], [step], lr=rate, beta1=0.9,
                           beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False)

    return update
