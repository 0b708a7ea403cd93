"""Poutyne: `Model.fit` around a net of plain torch."""

import poutyne

from tests.benchmarks.contestants import Training
from tests.benchmarks.contestants.in_torch import count, criterion, data, net_of, optimizer
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    net, (x, y) = net_of(workload), data(workload)
    descent = optimizer(workload)(net.parameters(), lr=workload.rate)
    model = poutyne.Model(net, descent, criterion(workload)(), device="cpu")

    def run(epochs: int) -> float:
        logs = model.fit(x, y, batch_size=workload.batch_size, epochs=epochs, verbose=False)
        return logs[-1]["loss"]

    return Training(run, count(net))
