"""What is special to Tanh, Sigmoid and Softsign: their ends and their middle."""

import math

import pytest
import torch

from kerasish.layers import Sigmoid, Softsign, Tanh
from kerasish.module import Module


@pytest.mark.parametrize(("module", "low", "middle", "slope"), [(Tanh(), -1.0, 0.0, 1.0),
                                                                (Sigmoid(), 0.0, 0.5, 0.25)])
def test_ends_are_reached_and_the_middle_is_steepest(
    module: Module, low: float, middle: float, slope: float
) -> None:
    y = module(torch.tensor([[-math.inf, -1e9, 0.0, 1e9, math.inf]]))
    assert y.tolist() == [[low, low, middle, 1.0, 1.0]]
    assert module.y_range == (low, 1.0)
    dx = module.backward(torch.full((1, 5), 2.0))
    assert dx.tolist() == [[0.0, 0.0, 2 * slope, 0.0, 0.0]]


@pytest.mark.parametrize("make", [Tanh, Sigmoid, Softsign])
def test_arguments_are_refused_since_there_are_none(make: type) -> None:
    with pytest.raises(TypeError):
        make(0.5)
    with pytest.raises(TypeError):
        make(slope=0.5)


def test_softsign_at_numbers_worked_by_hand() -> None:
    module = Softsign()
    y = module(torch.tensor([[-3.0, 0.0, 1.0, 1e9]]))
    assert y.tolist() == [[-0.75, 0.0, 0.5, 1.0]] and module.y_range == (-1.0, 1.0)
    assert module.backward(torch.full((1, 4), 16.0)).tolist() == [[1.0, 16.0, 4.0, 0.0]]
