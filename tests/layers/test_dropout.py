"""What is special to dropouts: their masks, their means, and where their noise comes from."""

import math
from typing import Any

import pytest
import torch

from kerasish import set_seed
from kerasish.layers import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d
from kerasish.random import derived_generator, drawing_from


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf, "0.5", None])
@pytest.mark.parametrize("make", [Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout])
def test_a_share_outside_0_to_1_is_refused(make: type, p: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{make.__name__}\(p\) expects a number from 0 to 1; "
                                         rf"got {p!r}\. {make.__name__}\(0.2\) drops every fifth"):
        make(p)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_so_many_elements_are_dropped_and_the_mean_stays(p: float) -> None:
    y = Dropout(p)(torch.ones(1000, 200))
    assert (y == 0).float().mean() == pytest.approx(p, abs=0.01)
    assert torch.allclose(y[y != 0], torch.tensor(1 / (1 - p)))
    assert y.mean() == pytest.approx(1.0, abs=0.02)


def test_the_gradient_passes_where_the_signal_did_and_as_strong() -> None:
    module, x = Dropout(0.4), torch.ones(10, 20)
    y = module(x)
    dy = torch.randn(10, 20)
    assert torch.equal(module.backward(dy), dy * y)


def test_each_forward_draws_a_mask_of_its_own() -> None:
    module, x = Dropout(0.5), torch.ones(10, 20)
    assert not torch.equal(module(x), module(x))


@pytest.mark.parametrize("module", [Dropout(0.0), Dropout(0.7).eval(), Dropout(1.0).eval()],
                         ids=["nothing dropped", "evaluation", "evaluation of everything"])
def test_where_nothing_is_dropped_numbers_pass_unchanged(module: Dropout) -> None:
    x, dy = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.equal(module(x), x) and torch.equal(module.backward(dy), dy)


@pytest.mark.parametrize("make", [Dropout, AlphaDropout])
def test_dropping_everything_leaves_zeros_and_no_gradient_and_draws_nothing(make: type) -> None:
    module, x, state = make(1.0), torch.randn(4, 3), torch.get_rng_state()
    assert not module(x).any() and not module.backward(torch.ones(4, 3)).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_mode_of_the_forward_decides_for_its_backward() -> None:
    module, x = Dropout(0.5), torch.ones(10, 20)
    y = module(x)
    module.eval()
    assert torch.equal(module(x), x)
    assert torch.equal(module.backward(torch.ones(10, 20)), torch.ones(10, 20))
    assert torch.equal(module.backward(torch.ones(10, 20)), y)


def test_noise_follows_the_global_seed_or_the_stream_of_the_block() -> None:
    module, x = Dropout(0.5), torch.ones(10, 20)

    def drawn(seed: int) -> torch.Tensor:
        with drawing_from(derived_generator(seed)):
            return module(x)

    set_seed(3)
    first = module(x)
    set_seed(3)
    state = torch.get_rng_state()
    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(module(x), first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_type_of_x_is_kept(dtype: Any) -> None:
    module = Dropout(0.5)
    assert module(torch.ones(4, 3, dtype=dtype)).dtype == dtype
    assert module.backward(torch.ones(4, 3, dtype=dtype)).dtype == dtype


def test_the_mask_is_counted_in_bytes() -> None:
    assert Dropout(0.5).own_bytes((3, 4)) == AlphaDropout(0.5).own_bytes((3, 4)) == 48
    assert Dropout1d(0.5).own_bytes((3, 4)) == Dropout2d(0.5).own_bytes((3, 4, 5)) == 12


@pytest.mark.parametrize(("module", "shape"), [
    (Dropout1d(0.4), (50, 6)), (Dropout2d(0.4), (50, 3, 2)), (Dropout3d(0.4), (50, 1, 3, 2)),
], ids=repr)
def test_a_channel_is_dropped_as_a_whole_or_not_at_all(
    module: Dropout, shape: tuple[int, ...]
) -> None:
    y = module(torch.ones(40, *shape)).flatten(2)
    assert torch.equal(y, y[:, :, :1].expand_as(y))
    assert (y == 0).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert torch.allclose(y[y != 0], torch.tensor(1 / 0.6))


@pytest.mark.parametrize(("module", "axes", "shape"), [
    (Dropout1d(), "C, L", (3,)), (Dropout1d(), "C, L", (3, 4, 5)),
    (Dropout2d(), "C, H, W", (3, 4)), (Dropout3d(), "C, D, H, W", (3, 4, 5)),
], ids=str)
def test_samples_of_other_axes_are_refused(
    module: Dropout, axes: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=rf"expects x of shape \(N, {axes}\); got \(N, 3.*\)\. "
                                         "Choose the one of Dropout1d, Dropout2d and Dropout3d"):
        module.build(shape)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_and_variance_and_puts_the_rest_to_one_floor(p: float) -> None:
    module, x = AlphaDropout(p), torch.randn(1000, 1000)
    y = module(x)
    assert y.mean().item() == pytest.approx(0, abs=0.01)
    assert y.std().item() == pytest.approx(1, abs=0.01)
    dropped = module.backward(torch.ones_like(x)) == 0
    assert dropped.float().mean().item() == pytest.approx(p, abs=0.01)
    assert torch.allclose(y[dropped], y[dropped][0])
