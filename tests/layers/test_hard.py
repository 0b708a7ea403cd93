"""What is special to activations of straight lines: their bends, and their bounds."""

import math
from typing import Any

import pytest
import torch

from kerasish.containers import Sequential
from kerasish.layers import Hardsigmoid, Hardswish, Hardtanh, Linear, ReLU6
from kerasish.module import Module

X = [-9.0, -3.0, 0.0, 1.5, 3.0, 6.0, 9.0]


@pytest.mark.parametrize(("module", "y", "slopes"), [
    (ReLU6(), [0.0, 0.0, 0.0, 1.5, 3.0, 6.0, 6.0], [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
    (Hardtanh(-3, 6), [-3.0, -3.0, 0.0, 1.5, 3.0, 6.0, 6.0], [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]),
    (Hardsigmoid(), [0.0, 0.0, 0.5, 0.75, 1.0, 1.0, 1.0], [0.0, 0.0, 1/6, 1/6, 0.0, 0.0, 0.0]),
    (Hardswish(), [0.0, 0.0, 0.0, 1.125, 3.0, 6.0, 9.0], [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
], ids=str)
def test_numbers_between_the_bends_and_on_them(
    module: Module, y: list[float], slopes: list[float]
) -> None:
    assert torch.allclose(module(torch.tensor([X])), torch.tensor([y]))
    dx = module.backward(torch.full((1, len(X)), 2.0))
    assert torch.allclose(dx, 2 * torch.tensor([slopes]))


def test_the_bends_are_the_same_where_a_layer_runs_the_kernels() -> None:
    net = Sequential(Linear(1), ReLU6())
    net.build((1,))
    net[0].weight.data = torch.ones(1, 1)
    y = net(torch.tensor(X)[:, None])
    assert torch.equal(y, ReLU6()(torch.tensor(X)[:, None]))
    dx = net.backward(torch.full((len(X), 1), 2.0))
    assert dx.flatten().tolist() == [0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2, -2), (math.nan, 1.0), (0.0, math.nan)], ids=str)
def test_bounds_in_the_wrong_order_are_refused(bounds: Any) -> None:
    with pytest.raises(ValueError, match=r"Hardtanh\(min_val, max_val\) expects a lower and an "
                                         rf"upper bound; got {bounds[0]!r} and {bounds[1]!r}\."):
        Hardtanh(*bounds)


def test_the_range_of_hardtanh_is_that_of_its_bounds() -> None:
    assert Hardtanh().y_range == (-1.0, 1.0)
    assert Hardtanh(0, 1).y_range == (0.0, 1.0)
    assert Hardtanh(max_val=math.inf).y_range == (-1.0, math.inf)


@pytest.mark.parametrize("make", [ReLU6, Hardtanh, Hardsigmoid, Hardswish])
def test_inplace_is_accepted_and_ignored(make: type) -> None:
    x = torch.tensor([[-9.0, 9.0]])
    make(inplace=True)(x)
    assert x.tolist() == [[-9.0, 9.0]]
