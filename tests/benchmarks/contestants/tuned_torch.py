"""torch tuned by hand: channels-last images, fused optimizer, gradients set to None, in-place ReLU.

An epoch is gathered once and split into views, and the running loss stays on the device until the
epoch ends: all that can be done without leaving autograd, or the calls that everybody knows.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.benchmarks.contestants import Training
from tests.benchmarks.contestants.in_torch import count, criterion, data, net_of, optimizer
from tests.benchmarks.workloads import Workload


def tuned(
    workload: Workload,
) -> tuple[nn.Module, torch.optim.Optimizer, Callable[[Tensor, Tensor], Tensor]]:
    """The net, its optimizer, and a step of training, which answers the loss."""
    net, loss_of = net_of(workload), criterion(workload)()
    for part in net.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = True
    if len(workload.shape) == 3:
        net.to(memory_format=torch.channels_last)
    descent = optimizer(workload)(net.parameters(), lr=workload.rate, fused=True)

    def step(x: Tensor, y: Tensor) -> Tensor:
        descent.zero_grad(set_to_none=True)
        loss = loss_of(net(x), y)
        loss.backward()
        descent.step()
        return loss.detach()

    return net, descent, step


def prepare(workload: Workload) -> Training:
    (net, _, step), (x, y) = tuned(workload), data(workload)
    batch_size = workload.batch_size
    if x.dim() == 4:
        x = x.to(memory_format=torch.channels_last)

    def run(epochs: int) -> float:
        net.train()
        for _ in range(epochs):
            order, total = torch.randperm(len(x)), torch.zeros(())
            batches = zip(x[order].split(batch_size), y[order].split(batch_size), strict=True)
            for x_of_batch, y_of_batch in batches:
                total.add_(step(x_of_batch, y_of_batch), alpha=len(x_of_batch))
            mean = total.item() / len(x)
        return mean

    return Training(run, count(net))
