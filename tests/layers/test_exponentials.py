"""What is special to ELU, SELU and CELU: their floor, their slope at zero, their constants."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import CELU, ELU, SELU
from kerasish.module import Module

FLOOR = 1.0507009873554805 * 1.6732632423543772


@pytest.mark.parametrize(("module", "floor", "slope_at_zero", "slope_above"), [
    (ELU(), 1.0, 1.0, 1.0), (ELU(2.5), 2.5, 2.5, 1.0), (ELU(0.0), 0.0, 0.0, 1.0),
    (SELU(), FLOOR, FLOOR, FLOOR / 1.6732632423543772), (CELU(2.0), 2.0, 1.0, 1.0),
], ids=repr)
def test_floor_and_slopes(
    module: Module, floor: float, slope_at_zero: float, slope_above: float
) -> None:
    y = module(torch.tensor([[-math.inf, -1e4, 0.0, 2.0]]))
    assert y.tolist() == [pytest.approx([-floor, -floor, 0.0, 2 * slope_above])]
    dx = module.backward(torch.full((1, 4), 3.0))
    assert dx.tolist() == [pytest.approx([0.0, 0.0, 3 * slope_at_zero, 3 * slope_above])]
    assert module.y_range == (pytest.approx(-floor), math.inf)


def test_selu_keeps_mean_and_variance_of_normal_numbers() -> None:
    x = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    y = SELU()(x)
    assert y.mean().item() == pytest.approx(0, abs=0.01)
    assert y.std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("make", "alpha", "wanted"), [
    (ELU, -0.1, "of 0 or more"), (ELU, math.nan, "of 0 or more"), (ELU, "1", "of 0 or more"),
    (CELU, 0.0, "above 0"), (CELU, -1, "above 0"), (CELU, math.inf, "above 0"),
])
def test_an_alpha_that_hides_the_sign_of_x_is_refused(make: type, alpha: Any, wanted: str) -> None:
    with pytest.raises(ValueError, match=rf"{make.__name__}\(alpha\) expects a finite number "
                                         rf"{wanted}; got {alpha!r}\. 1 is the usual value"):
        make(alpha)


@pytest.mark.parametrize("make", [ELU, SELU, CELU])
def test_inplace_is_accepted_and_ignored(make: type) -> None:
    x = torch.tensor([[-9.0, 9.0]])
    make(inplace=True)(x)
    assert x.tolist() == [[-9.0, 9.0]]
