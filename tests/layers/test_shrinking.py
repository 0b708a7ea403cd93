"""What is special to shrinking activations and to Threshold: what counts as noise."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import Hardshrink, Softshrink, Tanhshrink, Threshold
from kerasish.module import Module


@pytest.mark.parametrize(("module", "y", "slopes"), [
    (Hardshrink(2), [-3.0, 0.0, 0.0, 0.0, 3.0], [1.0, 0.0, 0.0, 0.0, 1.0]),
    (Softshrink(2), [-1.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0]),
    (Threshold(0, 9), [9.0, 9.0, 9.0, 1.0, 3.0], [0.0, 0.0, 0.0, 1.0, 1.0]),
    (Threshold(1.0, -9), [-9.0, -9.0, -9.0, -9.0, 3.0], [0.0, 0.0, 0.0, 0.0, 1.0]),
], ids=repr)
def test_numbers_worked_by_hand(module: Module, y: list[float], slopes: list[float]) -> None:
    assert module(torch.tensor([[-3.0, -2.0, 0.0, 1.0, 3.0]])).tolist() == [y]
    assert module.backward(torch.ones(1, 5)).tolist() == [slopes]


def test_what_is_just_above_the_noise_passes_with_its_gradient() -> None:
    x = torch.tensor([[math.nextafter(0.5, 1), math.nextafter(0.5, 0)]], dtype=torch.float64)
    for module in (Hardshrink(), Softshrink()):
        module(x)
        dx = module.backward(torch.ones(1, 2, dtype=torch.float64))
        assert dx.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("lambd", [-0.1, math.nan, math.inf, "1", None])
@pytest.mark.parametrize("make", [Hardshrink, Softshrink])
def test_a_negative_width_is_refused(make: type, lambd: Any) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__}\(lambd\) expects a finite number of 0 "
                                         rf"or more; got {lambd!r}\. 0.5 is the usual value"):
        make(lambd)


@pytest.mark.parametrize(("arguments", "name"), [((math.inf, 0), "threshold"), ((0, None), "value"),
                                                 ((0, math.nan), "value")])
def test_a_threshold_or_a_value_that_is_no_number_is_refused(arguments: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"Threshold\({name}\) expects a finite number; got .*\. "
                                         r"Threshold\(0, 0\) is ReLU"):
        Threshold(*arguments)


def test_what_is_saved_is_counted_in_bytes() -> None:
    assert Tanhshrink().own_bytes((3, 4)) == 48
    assert Hardshrink().own_bytes((3, 4)) == Softshrink().own_bytes((3, 4)) == 0
