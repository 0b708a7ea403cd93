"""kerasish: `Model.fit`, as the README has it."""

from typing import Any

import torch

from kerasish import Model, Module, Sequential
from kerasish.optimizers import SGD, Adam
from tests.benchmarks.contestants import Training
from tests.benchmarks.nets import kerasish_nets
from tests.benchmarks.nets.weights import weights
from tests.benchmarks.workloads import Workload

LOSSES = {"mse": "mse", "cross entropy": "cross_entropy"}


def compiled(workload: Workload, net: Sequential | None = None, **more: Any) -> Model:
    """A model of the workload, or of another net for it, that is built and compiled."""
    model = Model(kerasish_nets.net(workload.net) if net is None else net, device="cpu")
    optimizer = {"sgd": SGD, "adam": Adam}[workload.optimizer](workload.rate)
    model.compile(optimizer, LOSSES[workload.loss], **more)
    model.build(workload.shape)
    start_from(model.module, workload)
    return model


def start_from(module: Module, workload: Workload) -> None:
    """Gives it the numbers that all start from."""
    for parameter, array in zip(module.parameters(), weights(workload.net), strict=True):
        parameter.data.copy_(torch.from_numpy(array))


def prepare(workload: Workload, verbose: int = 0, **more: Any) -> Training:
    """Ready to fit; `more` goes to `compile`."""
    model, (x, y) = compiled(workload, **more), workload.data()

    def run(epochs: int) -> float:
        history = model.fit(x, y, batch_size=workload.batch_size, epochs=epochs, verbose=verbose)
        return history.history["loss"][-1]

    return Training(run, model.count_params())
