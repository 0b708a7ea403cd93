"""What is special to norms: their statistics, sizes and layouts, what is frozen, their errors."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kerasish.containers import Recompute
from kerasish.layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from kerasish.module import Module

AFFINE: dict[str, Callable[[], Any]] = {
    "batch": BatchNorm2d, "layer": lambda: LayerNorm((3, 4, 4)), "group": lambda: GroupNorm(1),
    "instance": lambda: InstanceNorm2d(affine=True), "rms": lambda: RMSNorm((4, 4)),
    "batch, evaluated": lambda: BatchNorm2d().eval(),
    "instance, evaluated": lambda: InstanceNorm2d(affine=True, track_running_stats=True).eval(),
}
every_affine = pytest.mark.parametrize("make", AFFINE.values(), ids=AFFINE)

IMAGES = {name: make for name, make in AFFINE.items() if name not in ("layer", "rms")} | {
    "local response": lambda: LocalResponseNorm(3)}


def batches(*shape: int) -> list[Tensor]:
    """Three batches that differ in mean and spread."""
    return [torch.randn(shape) * (i + 1) + 2 * i for i in range(3)]


# ---- running statistics ---------------------------------------------------------------------

TRACKING: dict[str, tuple[Callable[[], Any], Callable[[], Any], tuple[int, ...]]] = {
    "BatchNorm1d": (BatchNorm1d, lambda: nn.BatchNorm1d(3), (4, 3)),
    "BatchNorm1d, averaging": (lambda: BatchNorm1d(momentum=None),
                               lambda: nn.BatchNorm1d(3, momentum=None), (2, 3)),
    "BatchNorm2d, momentum 0.7": (lambda: BatchNorm2d(momentum=0.7),
                                  lambda: nn.BatchNorm2d(3, momentum=0.7), (2, 3, 2, 2)),
    "BatchNorm2d, momentum 0": (lambda: BatchNorm2d(momentum=0),
                                lambda: nn.BatchNorm2d(3, momentum=0), (2, 3, 2, 2)),
    "BatchNorm3d, averaging": (lambda: BatchNorm3d(momentum=None, affine=False),
                               lambda: nn.BatchNorm3d(3, momentum=None, affine=False),
                               (1, 3, 2, 1, 3)),
    "InstanceNorm1d": (lambda: InstanceNorm1d(track_running_stats=True),
                       lambda: nn.InstanceNorm1d(3, track_running_stats=True), (4, 3, 2)),
    "InstanceNorm2d, momentum 0.7": (
        lambda: InstanceNorm2d(3, 1e-5, 0.7, True, True),
        lambda: nn.InstanceNorm2d(3, 1e-5, 0.7, True, True), (4, 3, 2, 3)),
    "InstanceNorm3d, momentum None": (
        lambda: InstanceNorm3d(momentum=None, track_running_stats=True),
        lambda: nn.InstanceNorm3d(3, momentum=None, track_running_stats=True), (2, 3, 2, 2, 1)),
}
every_tracking = pytest.mark.parametrize(("make", "twin", "shape"), TRACKING.values(), ids=TRACKING)


@every_tracking
def test_running_statistics_and_evaluation_after_several_batches_are_those_of_torch(
    make: Callable[[], Module], twin: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    ours, theirs = make(), twin()
    for x in batches(*shape):
        torch.testing.assert_close(ours(x), theirs(x))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    x = torch.randn(shape)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    before = ours.state_dict()
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


def test_the_running_variance_is_unbiased_and_the_normalizing_one_is_not() -> None:
    norm = BatchNorm1d(eps=0, momentum=0.5)
    y = norm(torch.tensor([[0.0], [4.0]]))
    assert torch.equal(y, torch.tensor([[-1.0], [1.0]]))  # mean 2, biased variance 4
    assert norm.running_mean.item() == 1.0  # halfway from 0 to 2
    assert norm.running_var.item() == 4.5  # halfway from 1 to 8
    assert norm.num_batches_tracked.item() == 1 and norm.num_batches_tracked.dtype == torch.int64


def test_without_running_statistics_evaluation_goes_by_the_batch() -> None:
    norm, x = BatchNorm1d(track_running_stats=False), torch.randn(5, 3)
    assert torch.equal(norm(x), norm.eval()(x))
    assert norm.running_mean is norm.running_var is norm.num_batches_tracked is None
    assert not any(norm.buffers())


@every_tracking
def test_buffers_stay_normal_tensors_in_their_place(
    make: Callable[[], Module], twin: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    module = make()
    with torch.inference_mode():
        module(torch.randn(shape))
    buffers = list(module.buffers())
    with torch.inference_mode():
        module(torch.randn(shape))
    assert len(buffers) == 3
    assert all(now is then for now, then in zip(module.buffers(), buffers, strict=True))
    assert not any(buffer.is_inference() for buffer in buffers)


@pytest.mark.parametrize("make", [
    lambda: BatchNorm2d(momentum=0.5), lambda: BatchNorm2d(momentum=None),
    lambda: InstanceNorm2d(momentum=0.5, track_running_stats=True)])
def test_a_forward_in_evaluation_goes_back_by_the_statistics_it_went_by(
    make: Callable[[], Module]
) -> None:
    module, (x, other, dy) = make(), batches(2, 3, 2, 2)
    module(x)
    alone = copy.deepcopy(module).eval()
    alone(x)
    expected = alone.backward(dy)
    module.forget()
    module.eval()(x)
    module.train()(other)  # moves the statistics
    module.backward(dy)
    assert torch.equal(module.backward(dy), expected)


def test_recompute_counts_a_batch_once() -> None:
    inside, x = BatchNorm1d(), torch.randn(4, 3)
    outside = Recompute(inside)
    dy = torch.randn_like(outside(x))
    state = outside.state_dict()
    outside.backward(dy)
    assert inside.num_batches_tracked.item() == 1
    assert all(torch.equal(state[name], value) for name, value in outside.state_dict().items())


# ---- gradients that are wanted or not -------------------------------------------------------


@every_affine
@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    make: Callable[[], Any], frozen: tuple[str, ...]
) -> None:
    module, x = make(), torch.randn(2, 3, 4, 4)
    module.build((3, 4, 4))
    for name, parameter in module.named_parameters():
        parameter.trainable = name not in frozen
    dy = torch.randn_like(module(x))
    assert module.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    module(x)
    assert module.backward(dy).shape == x.shape
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name not in frozen)
    assert module._saved == []


def test_a_batch_norm_in_evaluation_is_an_affine_map() -> None:
    norm = BatchNorm1d(eps=0)
    norm.build((1,))
    norm.running_mean.fill_(1.0)
    norm.running_var.fill_(4.0)
    norm.weight.data = torch.tensor([6.0])
    norm.eval()
    assert torch.equal(norm(torch.tensor([[1.0], [5.0]])), torch.tensor([[0.0], [12.0]]))
    assert torch.equal(norm.backward(torch.tensor([[1.0], [10.0]])), torch.tensor([[3.0], [30.0]]))
    assert norm.weight.grad.item() == 20.0 and norm.bias.grad.item() == 11.0


@every_affine
def test_no_sample_gives_no_gradient(make: Callable[[], Any]) -> None:
    module, nothing = make(), torch.ones(0, 3, 4, 4)
    assert module(nothing).shape == nothing.shape
    assert module.backward(nothing, need_dx=False) is None
    module(nothing)
    assert module.backward(nothing).shape == nothing.shape
    assert not any(parameter.grad.any() for parameter in module.parameters())
    assert all(buffer.isfinite().all() for buffer in module.buffers())


# ---- parameters -----------------------------------------------------------------------------


@every_affine
def test_weights_start_at_one_and_biases_at_zero_and_neither_decays(
    make: Callable[[], Any]
) -> None:
    module = make()
    module.build((3, 4, 4))
    assert (module.weight.data == 1).all() and not module.weight.decay
    if module.bias is not None:
        assert not module.bias.data.any() and not module.bias.decay


@pytest.mark.parametrize("make", [
    lambda **how: BatchNorm1d(**how), lambda **how: GroupNorm(1, **how),
    lambda **how: InstanceNorm1d(affine=True, track_running_stats=True, **how),
    lambda **how: LayerNorm(**how), lambda **how: RMSNorm(**how)])
def test_device_type_and_initializer_are_those_asked_for(make: Callable[..., Any]) -> None:
    module = make(device="cpu", dtype=torch.float64, weight_initializer="zeros")
    module.build((3, 4))
    tensors = [*(p.data for p in module.parameters()), *module.buffers()]
    assert {t.dtype for t in tensors} - {torch.int64} == {torch.float64}
    assert not module.weight.data.any()


@pytest.mark.parametrize(("module", "name", "shape", "size"), [
    (BatchNorm1d(), "num_features", (3,), 3), (BatchNorm2d(), "num_features", (3, 2, 2), 3),
    (BatchNorm3d(), "num_features", (3, 2, 2, 2), 3),
    (InstanceNorm1d(), "num_features", (3, 2), 3), (GroupNorm(2), "num_channels", (4, 2), 4),
    (LayerNorm(), "normalized_shape", (3, 2), (2,)), (RMSNorm(), "normalized_shape", (3, 2), (2,)),
    (LayerNorm(2), "normalized_shape", (3, 2), (2,)),
    (RMSNorm([3, 2]), "normalized_shape", (3, 2), (3, 2)),
], ids=repr)
def test_sizes_are_learned_at_build(
    module: Module, name: str, shape: tuple[int, ...], size: Any
) -> None:
    assert module.build(shape) == shape
    assert getattr(module, name) == size


def test_integers_are_read_as_floats() -> None:
    x = torch.randint(9, (4, 3, 2))
    for module in (BatchNorm1d(), GroupNorm(1), InstanceNorm1d(), LayerNorm(), RMSNorm()):
        assert torch.equal(module(x), module(x.float()))


# ---- layouts and numbers --------------------------------------------------------------------


@pytest.mark.parametrize("make", IMAGES.values(), ids=IMAGES)
def test_channels_last_stays_channels_last(make: Callable[[], Module]) -> None:
    module, dy = make(), torch.randn(2, 3, 4, 4)
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    for laid_dy in (dy, dy.contiguous(memory_format=torch.channels_last)):
        assert module(x).is_contiguous(memory_format=torch.channels_last)
        dx = module.backward(laid_dy)
        assert dx.is_contiguous(memory_format=torch.channels_last) or laid_dy is dy


def test_the_default_precision_of_rms_norm_depends_on_the_type_of_x() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.full((1, 2), 1e-5, dtype=dtype)
        y = RMSNorm(dtype=dtype)(x)
        torch.testing.assert_close(y, nn.RMSNorm(2, dtype=dtype)(x))
        assert (y < 0.99).all() == (dtype == torch.float32)


def test_local_response_of_huge_values_has_a_finite_gradient() -> None:
    module, x = LocalResponseNorm(3, beta=1.5), torch.full((1, 4, 2), 1e30)
    assert not module(x).any()  # torch's gradient is not a number here
    assert module.backward(torch.ones(1, 4, 2)).isfinite().all()


def test_what_is_saved_is_counted_in_bytes() -> None:
    for module, count in ((GroupNorm(2), 4), (InstanceNorm2d(), 8), (LayerNorm(), 24),
                          (RMSNorm((3, 5)), 4), (LocalResponseNorm(2), 120), (BatchNorm2d(), 0)):
        module.build((4, 3, 5))
        assert module.own_bytes((4, 3, 5)) == 4 * count, module


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [BatchNorm1d(), BatchNorm1d(track_running_stats=False).eval()])
def test_one_value_a_channel_is_refused_as_long_as_it_would_be_normalized(module: Any) -> None:
    with pytest.raises(ValueError, match=r"BatchNorm1d\(.*\) expects more than 1 value per channel "
                                         r".*; got x of shape \(1, 3\)\. Give"):
        module(torch.ones(1, 3))
    assert module._saved == [] and not any(buffer.any() for buffer in [*module.buffers()][::2])
    assert BatchNorm1d().eval()(torch.ones(1, 3)).shape == (1, 3)
    with pytest.raises(ValueError, match=r"InstanceNorm1d\(\) expects more than 1 value per channel"
                                         r" of a sample .*; got x of shape \(4, 3, 1\)\. Give"):
        InstanceNorm1d()(torch.ones(4, 3, 1))


ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "no channel": (lambda: BatchNorm2d(0), r"BatchNorm2d\(num_features\) .* at least 1; got 0\. L"),
    "no group": (lambda: GroupNorm(0), r"GroupNorm\(num_groups\) expects .* at least 1; got 0"),
    "half a channel": (lambda: GroupNorm(1, 2.5), r"GroupNorm\(num_channels\) expects .*; got 2.5"),
    "groups": (lambda: GroupNorm(2, 3), r"GroupNorm\(2, 3\) expects .* 2 groups divide; got 3\. C"),
    "groups at build": (lambda: GroupNorm(2).build((3, 4)), r"GroupNorm\(2\) .* divide; got 3\."),
    "other channels for groups": (lambda: GroupNorm(2, 4).build((6,)), "4 channels .*; got 6"),
    "no channels for groups": (lambda: GroupNorm(1).build(()),
                               r"GroupNorm\(1\) expects x of shape \(N, C, \.\.\.\); got \(N,\)\."),
    "momentum": (lambda: BatchNorm1d(momentum=1.5), r"BatchNorm1d\(momentum\) .* 0 to 1; got 1.5"),
    "eps": (lambda: LayerNorm(eps=-1), r"LayerNorm\(eps\) expects .* 0 or more; got -1\. 1e-5"),
    "eps of rms": (lambda: RMSNorm(eps=math.nan), r"RMSNorm\(eps\) expects .*; got nan"),
    "axes": (lambda: BatchNorm2d().build((3, 4)),
             r"BatchNorm2d\(\) expects x of shape \(N, C, H, W\); got \(N, 3, 4\)\. Choose"),
    "no axes": (lambda: BatchNorm1d().build(()), r"shape \(N, C\) or \(N, C, L\); got \(N,\)\."),
    "axes of instances": (lambda: InstanceNorm1d().build((3,)), r"\(N, C, L\); got \(N, 3\)\."),
    "other channels": (lambda: BatchNorm1d(4).build((3,)), "expects 4 channels .*; got 3"),
    "shape": (lambda: LayerNorm((2, 3)).build((3, 2)),
              r"LayerNorm\(\(2, 3\)\) expects x .* \(N, \.\.\., 2, 3\); got \(N, 3, 2\)\. G"),
    "no features": (lambda: RMSNorm().build(()), r"\(N, \.\.\., features\); got \(N,\)\. Give it"),
    "a size of 0": (lambda: LayerNorm((2, 0)), r"LayerNorm\(normalized_shape\) expects .*; got 0"),
    "no size": (lambda: RMSNorm(()), r"RMSNorm\(normalized_shape\) expects .*; got \(\)\. Leave"),
    "window": (lambda: LocalResponseNorm(0), r"LocalResponseNorm\(size\) expects .*; got 0"),
    "alpha": (lambda: LocalResponseNorm(1, None), r"LocalResponseNorm\(alpha\) .*; got None"),
    "beta": (lambda: LocalResponseNorm(1, beta="1"), r"LocalResponseNorm\(beta\) .*; got '1'"),
    "k": (lambda: LocalResponseNorm(1, k=math.inf), r"LocalResponseNorm\(k\) expects .*; got inf"),
    "no places": (lambda: LocalResponseNorm(1).build((3,)),
                  r"LocalResponseNorm\(1\) expects .* \(N, C, \.\.\.\) .*; got \(N, 3\)\. Give"),
    "no places, no channels": (lambda: LocalResponseNorm(1).build(()), r"got \(N,\)\. Give"),
}


@pytest.mark.parametrize(("make", "message"), ERRORS.values(), ids=ERRORS)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("module", "wrong"), [
    (BatchNorm1d(), (4, 5)), (BatchNorm1d(), (4, 3, 2, 2)), (BatchNorm1d(), (3,)),
    (GroupNorm(1), (4, 5)), (GroupNorm(1), (3,)), (LayerNorm(), (4, 5)), (RMSNorm(), (4, 6)),
], ids=repr)
def test_forward_refuses_what_it_was_not_built_for(module: Module, wrong: tuple[int, ...]) -> None:
    module.forget()
    with pytest.raises(RuntimeError, match=r"forward\(x\) expects a module that is built; got one"):
        copy.deepcopy(module).forward(torch.ones(4, 3))
    module.build((3,))
    with pytest.raises(ValueError, match=r"expects .*; got .*\. "):
        module.forward(torch.ones(wrong))
    assert module._saved == []
