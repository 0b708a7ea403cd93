"""What is special to GaussianNoise: how much it adds, and when."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import GaussianNoise
from kerasish.random import derived_generator, drawing_from


@pytest.mark.parametrize("stddev", [0.1, 3])
def test_noise_has_mean_0_and_the_deviation_asked_for(stddev: float) -> None:
    x = torch.full((1000, 200), 5.0)
    noise = GaussianNoise(stddev)(x) - x
    assert noise.mean().item() == pytest.approx(0, abs=0.02 * stddev)
    assert noise.std().item() == pytest.approx(stddev, rel=0.02)


@pytest.mark.parametrize("module", [GaussianNoise(0), GaussianNoise(2.0).eval()], ids=repr)
def test_without_noise_numbers_pass_unchanged(module: GaussianNoise) -> None:
    x, state = torch.randn(4, 3), torch.get_rng_state()
    assert torch.equal(module(x), x)
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_follows_the_stream_of_the_block() -> None:
    def drawn(seed: int) -> torch.Tensor:
        with drawing_from(derived_generator(seed)):
            return GaussianNoise(1.0)(torch.zeros(4, 3))

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("stddev", [-1, math.nan, math.inf, "0.1"])
def test_a_negative_deviation_is_refused(stddev: Any) -> None:
    with pytest.raises(ValueError, match=r"GaussianNoise\(stddev\) expects a finite number of 0 or "
                                         rf"more; got {stddev!r}\. 0.1 suits inputs of variance 1"):
        GaussianNoise(stddev)
