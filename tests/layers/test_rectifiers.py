"""What is special to ReLU and LeakyReLU: their kink, their slopes, and what they accept."""

import math

import pytest
import torch

from kerasish.layers import LeakyReLU, ReLU


@pytest.mark.parametrize("module", [ReLU(), LeakyReLU(0.0)], ids=repr)
def test_at_the_kink_and_below_no_gradient_passes(module: ReLU | LeakyReLU) -> None:
    y = module(torch.tensor([[-2.0, -0.0, 0.0, 3.0]]))
    assert torch.equal(y, torch.tensor([[0.0, 0.0, 0.0, 3.0]]))
    dx = module.backward(torch.tensor([[5.0, 6.0, 7.0, 8.0]]))
    assert torch.equal(dx, torch.tensor([[0.0, 0.0, 0.0, 8.0]]))


def test_below_zero_the_slope_counts() -> None:
    module = LeakyReLU(0.5)
    assert torch.equal(module(torch.tensor([[-2.0, 0.0, 3.0]])), torch.tensor([[-1.0, 0.0, 3.0]]))
    dx = module.backward(torch.tensor([[4.0, 4.0, 4.0]]))
    assert torch.equal(dx, torch.tensor([[2.0, 2.0, 4.0]]))


@pytest.mark.parametrize("slope", [-0.1, -math.inf, math.nan])
def test_a_negative_slope_is_refused(slope: float) -> None:
    with pytest.raises(ValueError, match=rf"LeakyReLU\(negative_slope\) expects .*; got {slope!r}"):
        LeakyReLU(slope)


def test_the_default_slope_is_that_of_torch() -> None:
    assert LeakyReLU().negative_slope == torch.nn.LeakyReLU().negative_slope


@pytest.mark.parametrize("make", [ReLU, LeakyReLU])
def test_inplace_is_accepted_and_ignored(make: type) -> None:
    x = torch.tensor([[-1.0, 2.0]])
    make(inplace=True)(x)
    assert torch.equal(x, torch.tensor([[-1.0, 2.0]]))


@pytest.mark.parametrize("make", [ReLU, LeakyReLU])
def test_nan_stays_nan(make: type) -> None:
    assert make()(torch.tensor([[math.nan]])).isnan().all()
