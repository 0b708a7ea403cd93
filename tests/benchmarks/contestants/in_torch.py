"""What the contestants made of plain torch have in common."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.benchmarks.nets import torch_nets
from tests.benchmarks.nets.weights import weights
from tests.benchmarks.workloads import Workload


def data(workload: Workload) -> tuple[Tensor, Tensor]:
    x, y = workload.data()
    return torch.from_numpy(x), torch.from_numpy(y)


def net_of(workload: Workload) -> nn.Sequential:
    """Its net, with the numbers that all start from."""
    net = torch_nets.net(workload.net)
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), weights(workload.net), strict=True):
            parameter.copy_(torch.from_numpy(array))
    return net


def criterion(workload: Workload) -> type[nn.Module]:
    return {"mse": nn.MSELoss, "cross entropy": nn.CrossEntropyLoss}[workload.loss]


def optimizer(workload: Workload) -> Callable[..., torch.optim.Optimizer]:
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[workload.optimizer]


def count(net: Any) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
