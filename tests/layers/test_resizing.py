"""What is special to resizing and padding: numbers by hand, sizes, what is kept, and errors."""

import weakref
from typing import Any

import pytest
import torch
from torch import nn

from kerasish.layers import (
    CircularPad1d,
    CircularPad2d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    PixelShuffle,
    PixelUnshuffle,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    Upsample,
    ZeroPad2d,
)
from kerasish.module import Module

LINE = torch.tensor([[[1.0, 2.0, 4.0]]])


# ---- numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "y", "dx"), [
    (Upsample(scale_factor=2), [1, 1, 2, 2, 4, 4], [3, 7, 11]),
    (Upsample(5, mode="linear", align_corners=True), [1, 1.5, 2, 3, 4], [2, 6, 7]),
    (ConstantPad1d((2, 1), 9), [9, 9, 1, 2, 4, 9], [3, 4, 5]),
    (ConstantPad1d((-1, 1), 9), [2, 4, 9], [0, 1, 2]),
    (ReflectionPad1d((2, 1)), [4, 2, 1, 2, 4, 2], [3, 4 + 2 + 6, 5 + 1]),
    (ReplicationPad1d((2, 1)), [1, 1, 1, 2, 4, 4], [1 + 2 + 3, 4, 5 + 6]),
    (CircularPad1d((2, 1)), [2, 4, 1, 2, 4, 1], [3 + 6, 4 + 1, 5 + 2]),
    (CircularPad1d((-1, 1)), [2, 4, 2], [0, 1 + 3, 2]),
], ids=repr)
def test_numbers_worked_by_hand(module: Module, y: Any, dx: Any) -> None:
    assert torch.equal(module(LINE)[0, 0], torch.tensor(y).float())
    dy = torch.arange(1.0, len(y) + 1)[None, None]
    assert torch.equal(module.backward(dy)[0, 0], torch.tensor(dx).float())


def test_pixels_and_channels_change_places() -> None:
    channels = torch.arange(4.0).view(1, 4, 1, 1)
    pixels = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert torch.equal(PixelShuffle(2)(channels), pixels)
    assert torch.equal(PixelUnshuffle(2)(pixels), channels)


@pytest.mark.parametrize(("module", "shape"), [(PixelShuffle(2), (4, 3, 2)),
                                               (PixelUnshuffle(2), (1, 6, 4))], ids=repr)
def test_a_batch_of_no_samples_has_the_shape_of_others(module: Module, shape: Any) -> None:
    y = module(torch.ones(0, *shape))
    assert y.shape == (0, *module.build(shape))
    assert module.backward(y).shape == (0, *shape)


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("recompute", [None, True])
@pytest.mark.parametrize("scale", [0.3, 0.7, 1, 1.1, 2.3, 7 / 3])
def test_sizes_by_any_factor_are_those_of_torch(scale: float, recompute: bool | None) -> None:
    for size in range(4, 40):
        settings = None, scale, "linear", None, recompute
        x = torch.randn(1, 1, size)
        module, twin = Upsample(*settings), nn.Upsample(*settings)
        assert module.build((1, size)) == twin(x).shape[1:]
        assert torch.equal(module(x), twin(x))


@pytest.mark.parametrize("module", [Upsample(scale_factor=2), ReflectionPad2d(1)], ids=repr)
def test_another_size_than_at_build_is_fine(module: Module) -> None:
    module.build((3, 4, 4))
    y = module(torch.ones(2, 3, 5, 7))
    assert y.shape == (2, *module.build((3, 5, 7)))
    assert module.backward(y).shape == (2, 3, 5, 7)


def test_settings_are_kept_under_the_names_of_torch() -> None:
    module = Upsample(scale_factor=[2, 3], mode="bilinear", align_corners=True)
    assert (module.size, module.scale_factor, module.mode) == (None, (2.0, 3.0), "bilinear")
    assert module.align_corners is True and module.recompute_scale_factor is None
    assert Upsample([4, 5]).size == (4, 5) and Upsample(4).size == 4
    assert ZeroPad2d(2).padding == (2, 2, 2, 2) and ZeroPad2d(2).value == 0
    assert ConstantPad1d([1, 2], 3).padding == (1, 2)
    assert PixelShuffle(3).upscale_factor == PixelUnshuffle(3).downscale_factor == 3


@pytest.mark.parametrize("module", [
    Upsample(scale_factor=2), Upsample(scale_factor=2, mode="bicubic"), PixelShuffle(2),
    PixelUnshuffle(2), ConstantPad2d(1, 2.0), ReflectionPad2d(1), ReplicationPad2d(1),
    CircularPad2d(1)], ids=repr)
def test_x_is_not_kept(module: Module) -> None:
    x = torch.randn(2, 4, 6, 4)
    seen = weakref.ref(x)
    y = module(x)
    del x
    assert seen() is None and module.own_bytes((4, 6, 4)) == 0
    assert not any(isinstance(part, torch.Tensor) for part in module._saved[-1])
    assert module.backward(torch.randn_like(y)).shape == (2, 4, 6, 4)


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Upsample(), r"Upsample\(size, scale_factor\) expects one .*; got None and None\."),
    (lambda: Upsample(2, 3), r"Upsample\(size, scale_factor\) expects one .*; got 2 and 3\."),
    (lambda: Upsample(2, mode="bilinaer"),
     r"Upsample\(mode\) expects one of .*; got 'bilinaer'\. Did you mean 'bilinear'"),
    (lambda: Upsample(0), r"Upsample\(size\) expects .* at least 1; got 0\."),
    (lambda: Upsample((4, 2.5)), r"Upsample\(size\) expects a whole number .*; got 2\.5\."),
    (lambda: Upsample(scale_factor=-1.0), r"Upsample\(scale_factor\) expects .*; got -1\.0\."),
    (lambda: Upsample(2, align_corners=False),
     r"Upsample\(align_corners\) expects None with mode 'nearest'; got False\. Leave it out"),
    (lambda: Upsample(2, mode="nearest-exact", align_corners=True),
     r"Upsample\(align_corners\) expects None with mode 'nearest-exact'; got True\."),
    (lambda: Upsample(2, recompute_scale_factor=True),
     r"Upsample\(recompute_scale_factor\) expects a scale_factor .*; got size 2\."),
    (lambda: PixelShuffle(0), r"PixelShuffle\(upscale_factor\) expects .*; got 0\."),
    (lambda: PixelUnshuffle(1.5), r"PixelUnshuffle\(downscale_factor\) expects .*; got 1\.5\."),
    (lambda: ZeroPad2d((1, 2)),
     r"ZeroPad2d\(padding\) expects .* 4 .* \(left, right, top, bottom\); got \(1, 2\)\. Give"),
    (lambda: ReflectionPad1d(1.0), r"ReflectionPad1d\(padding\) expects .*; got 1\.0\."),
    (lambda: CircularPad1d((True, 1)), r"CircularPad1d\(padding\) expects .*; got \(True, 1\)\."),
], ids=lambda value: value if isinstance(value, str) else "")
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_frame_of_something_else_than_a_number_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ConstantPad3d\(value\) expects a number; got 'zero'\."):
        ConstantPad3d(1, "zero")


@pytest.mark.parametrize(("module", "shape", "message"), [
    (Upsample(2), (3,), r"x of shape \(N, C, L\) or \(N, C, H, W\) or \(N, C, D, H, W\) .* \(N, 3"),
    (Upsample(2, mode="bilinear"), (3, 4), r"x of shape \(N, C, H, W\) .*; got \(N, 3, 4\)\. Choo"),
    (Upsample(2, mode="linear"), (3, 4, 4), r"x of shape \(N, C, L\) .*; got \(N, 3, 4, 4\)"),
    (Upsample((2, 2)), (3, 4), r"Upsample\(size\) expects one number, or 1 .*; got \(2, 2\)\."),
    (Upsample(scale_factor=(2, 2)), (3, 4, 4, 4),
     r"Upsample\(scale_factor\) expects one number, or 3 .*; got \(2\.0, 2\.0\)\."),
    (Upsample(scale_factor=0.2), (3, 8, 4),
     r"got sizes \(8, 4\), which would become \(1, 0\)\. Choose a larger scale_factor"),
    (PixelShuffle(2), (6, 4, 4), r"channels in multiples of 4, .*; got 6\."),
    (PixelShuffle(2), (4, 4), r"x of shape \(N, C, H, W\) .*; got \(N, 4, 4\)\."),
    (PixelUnshuffle(2), (3, 4, 5), r"height and width in multiples of 2; got 4 and 5\."),
    (PixelUnshuffle(2), (3, 5, 4), r"height and width in multiples of 2; got 5 and 4\."),
    (ZeroPad2d(1), (3, 4), r"x of shape \(N, C, H, W\) .*; got \(N, 3, 4\)\."),
    (ZeroPad2d((-3, -1, 0, 0)), (3, 4, 4),
     r"got sizes \(4, 4\), which would become \(4, 0\)\. Take less away"),
    (ConstantPad1d((-5, 3), 0.0), (3, 4), r"which would become \(-1,\)\. Take less away"),
    (ReflectionPad2d((4, 0, 1, 0)), (3, 4, 4), r"sizes of at least \(2, 5\) .*; got \(4, 4\)\."),
    (ReflectionPad1d((0, 4)), (3, 4), r"sizes of at least \(5,\) .*; got \(4,\)\. Choose a small"),
    (CircularPad2d((5, 0, 0, 4)), (3, 4, 4), r"sizes of at least \(4, 5\) .*; got \(4, 4\)\."),
], ids=lambda value: repr(value) if isinstance(value, Module) else "")
def test_x_that_does_not_fit_is_refused_at_build(module: Module, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module.build(shape)
