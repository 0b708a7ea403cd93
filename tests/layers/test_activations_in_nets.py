"""Activations that a container lets write in place, or a layer run, change no bit by that."""

from typing import Any

import pytest
import torch

from kerasish.containers import Sequential
from kerasish.containers.grants import takes
from kerasish.layers import Linear
from tests.table.activations import ROWS
from tests.table.row import Row

IN_PLACE = [row for row in ROWS if takes(row.make().forward, "overwrite")]


class OtherLinear(Linear):
    """Runs no activation, as any subclass; what comes after it may write in place."""

    backward_reads = frozenset({"input"})
    returns_view = False

    def forward(self, x: torch.Tensor, activation: Any = None) -> torch.Tensor:
        return super().forward(x, activation)


@pytest.mark.parametrize("linear", [Linear, OtherLinear])
@pytest.mark.parametrize("row", IN_PLACE, ids=lambda row: row.id)
def test_a_net_gives_the_numbers_of_its_parts(row: Row, linear: type[Linear]) -> None:
    first, second = linear(row.shape[-1]), row.make()
    net = Sequential(first, second)
    net.build(row.shape)
    first.weight.data *= 3  # beyond all bends
    x, dy = row.x(50, dtype=torch.float32), row.dy(50, dtype=torch.float32)
    y = net(x)
    dx, dw = net.backward(dy), first.weight.grad.clone()
    net.zero_grad()
    assert torch.equal(second(first(x)), y)
    assert torch.equal(first.backward(second.backward(dy)), dx)
    assert torch.equal(first.weight.grad, dw)


def test_the_kernels_are_those_of_activations_without_settings() -> None:
    assert {type(row.make()).__name__ for row in ROWS if row.make().kernels} == {
        "ReLU", "ReLU6", "SELU", "Sigmoid", "Softsign", "Tanh"}
