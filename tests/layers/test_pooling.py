"""What is special to pooling: its numbers by hand, sizes, ties, what it keeps, and its errors."""

import weakref
from typing import Any

import pytest
import torch
from torch import nn

from kerasish.layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from kerasish.module import Module

ALL = [MaxPool1d(2), MaxPool2d(2), MaxPool3d(2), AvgPool1d(2), AvgPool2d(2), AvgPool3d(2),
       AdaptiveMaxPool1d(2), AdaptiveMaxPool2d(2), AdaptiveMaxPool3d(2), AdaptiveAvgPool1d(2),
       AdaptiveAvgPool2d(2), AdaptiveAvgPool3d(2), GlobalAvgPool(), GlobalMaxPool()]
each = pytest.mark.parametrize("module", ALL, ids=repr)
AXES = {1: (2, 6), 2: (2, 6, 4), 3: (2, 6, 4, 4)}


def axes_of(module: Any) -> int:
    return getattr(module, "axes", 2)


# ---- numbers --------------------------------------------------------------------------------


IMAGE = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 9.0, 5.0]]]])


@pytest.mark.parametrize(("module", "y", "dx"), [
    (MaxPool2d(2, stride=1), [[9, 9]], [[0, 0, 0], [0, 3, 0]]),
    (MaxPool2d(2, ceil_mode=True), [[9, 5]], [[0, 0, 0], [0, 1, 2]]),
    (AvgPool2d(2, stride=1), [[4, 4.75]], [[0.25, 0.75, 0.5], [0.25, 0.75, 0.5]]),
    (AvgPool2d(2, ceil_mode=True), [[4, 4]], [[0.25, 0.25, 1], [0.25, 0.25, 1]]),
    (AvgPool2d(2, stride=1, divisor_override=1), [[16, 19]], [[1, 3, 2], [1, 3, 2]]),
    (AdaptiveMaxPool2d((1, 2)), [[9, 9]], [[0, 0, 0], [0, 3, 0]]),
    (AdaptiveAvgPool2d((1, 2)), [[4, 4.75]], [[0.25, 0.75, 0.5], [0.25, 0.75, 0.5]]),
], ids=repr)
def test_numbers_worked_by_hand(module: Module, y: Any, dx: Any) -> None:
    assert torch.equal(module(IMAGE)[0, 0], torch.tensor(y).float())
    assert torch.equal(module.backward(torch.tensor([[[[1.0, 2.0]]]]))[0, 0], torch.tensor(dx))


def test_global_numbers_worked_by_hand() -> None:
    mean, largest, dy = GlobalAvgPool(), GlobalMaxPool(), torch.tensor([[6.0]])
    assert torch.equal(mean(IMAGE), torch.tensor([[4.0]]))
    assert torch.equal(mean.backward(dy), torch.ones(1, 1, 2, 3))
    assert torch.equal(largest(IMAGE), torch.tensor([[9.0]]))
    assert torch.equal(largest.backward(dy), 6.0 * (IMAGE == 9))


@pytest.mark.parametrize("module", [
    MaxPool1d(4), AdaptiveMaxPool1d(1), GlobalMaxPool(), GlobalMaxPool(keepdims=True)], ids=repr)
def test_of_equal_numbers_the_first_is_the_largest(module: Module) -> None:
    y = module(torch.tensor([[[1.0, 2.0, 2.0, 2.0]]]))
    assert torch.equal(module.backward(torch.full_like(y, 5.0)),
                       torch.tensor([[[0.0, 5.0, 0.0, 0.0]]]))


@pytest.mark.parametrize("module", [MaxPool1d(2), GlobalMaxPool(), AdaptiveMaxPool1d(1)], ids=repr)
def test_nan_counts_as_the_largest(module: Module) -> None:
    y = module(torch.tensor([[[1.0, torch.nan]]]))
    assert y.isnan().all()
    assert torch.equal(module.backward(torch.ones_like(y)), torch.tensor([[[0.0, 1.0]]]))


def test_the_mean_and_the_maximum_are_those_of_torch() -> None:
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(GlobalAvgPool()(x), x.mean((2, 3)))
    assert torch.equal(GlobalMaxPool()(x), x.amax((2, 3)))
    assert torch.equal(GlobalMaxPool(keepdims=True)(x), x.amax((2, 3), keepdim=True))


# ---- sizes ----------------------------------------------------------------------------------


def test_sizes_are_those_of_torch_wherever_torch_takes_them() -> None:
    taken = 0
    for size in range(1, 8):
        for kernel, stride, dilation in [(1, 1, 1), (2, 1, 1), (2, 3, 1), (3, 2, 2), (4, 3, 2),
                                         (3, 5, 1)]:
            for padding in range(kernel // 2 + 1):
                for ceil_mode in (False, True):
                    settings = kernel, stride, padding, dilation, False, ceil_mode
                    try:
                        expected = nn.MaxPool1d(*settings)(torch.ones(1, 1, size)).shape[2]
                    except RuntimeError:
                        with pytest.raises(ValueError, match="something is left of"):
                            MaxPool1d(*settings).build((1, size))
                        continue
                    assert MaxPool1d(*settings).build((1, size)) == (1, expected), settings
                    taken += 1
    assert taken > 100


@pytest.mark.parametrize("module", [AdaptiveMaxPool2d((None, 2)), AdaptiveAvgPool2d((None, 1))],
                         ids=repr)
def test_a_size_that_is_kept_is_that_of_each_batch(module: Module) -> None:
    assert module.build((3, 5, 4)) == (3, 5, module.output_size[1])
    assert module(torch.ones(2, 3, 7, 4)).shape == (2, 3, 7, module.output_size[1])
    assert module.backward(torch.ones(2, 3, 7, module.output_size[1])).shape == (2, 3, 7, 4)


@pytest.mark.parametrize("module", [MaxPool2d(2), AvgPool2d(2), GlobalAvgPool()], ids=repr)
def test_another_size_than_at_build_is_fine(module: Module) -> None:
    module.build((3, 4, 4))
    y = module(torch.ones(2, 3, 6, 8))
    assert y.shape == (2, *module.build((3, 6, 8)))
    assert module.backward(y).shape == (2, 3, 6, 8)


def test_settings_are_kept_under_the_names_of_torch() -> None:
    module = MaxPool2d(3, (2, 1), 1, 2, ceil_mode=True)
    twin = nn.MaxPool2d(module.kernel_size, module.stride, module.padding, module.dilation,
                        module.return_indices, module.ceil_mode)
    x = torch.randn(2, 3, 9, 8)
    assert torch.equal(module(x), twin(x))
    assert (module.kernel_size, module.stride) == ((3, 3), (2, 1))
    mean = AvgPool3d(2, padding=1, divisor_override=3)
    assert (mean.stride, mean.padding, mean.divisor_override) == ((2, 2, 2), (1, 1, 1), 3)
    assert mean.count_include_pad and not mean.ceil_mode
    assert AdaptiveAvgPool2d(4).output_size == (4, 4) and AdaptiveMaxPool1d(4).output_size == (4,)


# ---- memory ---------------------------------------------------------------------------------


@each
def test_x_is_not_kept(module: Module) -> None:
    x = torch.randn(3, *AXES[axes_of(module)])
    seen = weakref.ref(x)
    y = module(x)
    del x
    assert seen() is None
    saved = [part for part in module._saved[-1] if isinstance(part, torch.Tensor)]
    assert sum(part.numel() * part.itemsize for part in saved) == 3 * module.own_bytes(
        AXES[axes_of(module)])
    assert module.backward(torch.randn_like(y)).shape == (3, *AXES[axes_of(module)])


@pytest.mark.parametrize(("module", "expected"), [
    (MaxPool2d(2), 2 * 3 * 2), (AdaptiveMaxPool2d(1), 2 * 8), (GlobalMaxPool(), 2 * 8),
    (AvgPool2d(2), 0)], ids=repr)
def test_places_are_counted_in_bytes(module: Module, expected: int) -> None:
    assert module.own_bytes((2, 6, 4)) == expected


@pytest.mark.parametrize("module", [MaxPool2d(2), AvgPool2d(2), AdaptiveAvgPool2d(2),
                                    AdaptiveMaxPool2d(2)], ids=repr)
def test_images_that_lie_channels_last_stay_so(module: Module) -> None:
    x = torch.randn(2, 3, 4, 6).contiguous(memory_format=torch.channels_last)
    y = module(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert module.backward(y).is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_of_a_global_mean_is_not_written_out() -> None:
    for module in (GlobalAvgPool(), AdaptiveAvgPool2d(1)):
        dx = module.backward(torch.randn_like(module(torch.randn(2, 3, 40, 40))))
        assert dx.untyped_storage().nbytes() == 2 * 3 * 4


# ---- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "message"), [
    (lambda: MaxPool2d(0), r"MaxPool2d\(kernel_size\) expects .* at least 1.*; got 0\."),
    (lambda: MaxPool1d((2, 2)), r"MaxPool1d\(kernel_size\) expects .*; got \(2, 2\)\."),
    (lambda: AvgPool3d(2, stride=(1, 2)), r"AvgPool3d\(stride\) expects .* 3 .*; got \(1, 2\)\."),
    (lambda: AvgPool2d(2, stride=0), r"AvgPool2d\(stride\) expects .* at least 1.*; got 0\."),
    (lambda: MaxPool2d(2, padding=-1), r"MaxPool2d\(padding\) expects .* at least 0.*; got -1\."),
    (lambda: MaxPool2d(2, dilation=0), r"MaxPool2d\(dilation\) expects .*; got 0\."),
    (lambda: MaxPool2d((4, 3), padding=2),
     r"MaxPool2d\(padding\) expects at most half of kernel_size, \(4, 3\); got 2\. Choose"),
    (lambda: AvgPool1d(1, padding=1), r"AvgPool1d\(padding\) expects at most half .*; got 1\."),
    (lambda: MaxPool2d(2, return_indices=True),
     r"MaxPool2d\(return_indices\) expects False: .*; got True\. Leave it out\."),
    (lambda: AdaptiveMaxPool1d(2, True), r"AdaptiveMaxPool1d\(return_indices\) expects False"),
    (lambda: AvgPool2d(2, divisor_override=0),
     r"AvgPool2d\(divisor_override\) expects .*; got 0\. Leave it out for the mean\."),
    (lambda: AdaptiveAvgPool2d(0), r"AdaptiveAvgPool2d\(output_size\) expects .*; got 0\."),
    (lambda: AdaptiveAvgPool2d(None), r"AdaptiveAvgPool2d\(output_size\) expects .*; got None\."),
    (lambda: AdaptiveAvgPool1d((None,)),
     r"AdaptiveAvgPool1d\(output_size\) expects .*; got \(None,\)\."),
    (lambda: AdaptiveMaxPool3d((1, 2)), r"AdaptiveMaxPool3d\(output_size\) .*; got \(1, 2\)\."),
], ids=lambda value: value if isinstance(value, str) else "")
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_lines_have_no_divisor_as_in_torch() -> None:
    for make in (AvgPool1d, nn.AvgPool1d):
        with pytest.raises(TypeError, match="divisor_override"):
            make(2, divisor_override=3)


@each
def test_x_with_other_axes_is_refused(module: Module) -> None:
    for shape in [(), (3,), (1, 2, 3, 4, 5), (2, 0, 4, 4)[:axes_of(module) + 1]]:
        with pytest.raises(ValueError, match=r"expects x of shape \(N, C, ") as error:
            module.__copy__().build(shape)
        assert repr(module) in str(error.value)
        assert f"got (N{''.join(f', {size}' for size in shape)})" in str(error.value)


@pytest.mark.parametrize("module", [MaxPool2d((2, 5)), AvgPool2d((2, 5)), MaxPool2d(2, dilation=4)],
                         ids=repr)
def test_x_smaller_than_a_window_is_refused(module: Module) -> None:
    with pytest.raises(ValueError, match=r"got sizes \(4, 4\), which would .*Choose a small"):
        module.build((3, 4, 4))
