"""skorch: `NeuralNet.partial_fit` around a net of plain torch, which goes on from fit to fit."""

import skorch

from tests.benchmarks.contestants import Training
from tests.benchmarks.contestants.in_torch import count, criterion, net_of, optimizer
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    net, (x, y) = net_of(workload), workload.data()
    model = skorch.NeuralNet(
        net, criterion(workload), optimizer=optimizer(workload), lr=workload.rate,
        batch_size=workload.batch_size, iterator_train__shuffle=True, train_split=None, verbose=0,
    ).initialize()

    def run(epochs: int) -> float:
        return model.partial_fit(x, y, epochs=epochs).history[-1, "train_loss"]

    return Training(run, count(model.module_))
