"""Plain torch as most people write it: nn.Sequential, autograd, torch.optim, a running loss.

Batches are indexed from tensors, which is faster than the DataLoader that many would take.
"""

import torch

from tests.benchmarks.contestants import Training
from tests.benchmarks.contestants.in_torch import count, criterion, data, net_of, optimizer
from tests.benchmarks.workloads import Workload


def prepare(workload: Workload) -> Training:
    net, (x, y), batch_size = net_of(workload), data(workload), workload.batch_size
    loss_of = criterion(workload)()
    descent = optimizer(workload)(net.parameters(), lr=workload.rate)

    def run(epochs: int) -> float:
        net.train()
        for _ in range(epochs):
            order, total = torch.randperm(len(x)), 0.0
            for start in range(0, len(x), batch_size):
                rows = order[start : start + batch_size]
                descent.zero_grad()
                loss = loss_of(net(x[rows]), y[rows])
                loss.backward()
                descent.step()
                total += loss.item() * len(rows)
        return total / len(x)

    return Training(run, count(net))
