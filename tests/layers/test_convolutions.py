"""What is special to convolutions: sizes, padding, groups, and the errors about them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import set_seed
from kerasish.layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from kerasish.layers.convolutions.convolving import Convolving
from tests.layers.test_borders import built, refused
from tests.table import numbers

EVERY = (Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
every_class = pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)


# ---- numbers worked by hand -----------------------------------------------------------------


def test_a_kernel_slides_with_its_stride() -> None:
    conv = built(Conv1d(1, 1, 2, stride=2), 1, 5)
    conv.weight.data, conv.bias.data = torch.tensor([[[1.0, 10.0]]]), torch.tensor([100.0])
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0]]], dtype=torch.float64)
    assert conv(x).tolist() == [[[121.0, 143.0]]]
    assert conv.backward(torch.tensor([[[1.0, 2.0]]]).double()).tolist() == [[[1, 10, 2, 20, 0]]]
    assert conv.weight.grad.tolist() == [[[1 + 2 * 3, 2 + 2 * 4]]]
    assert conv.bias.grad.tolist() == [3.0]


def test_a_transposed_kernel_spreads_with_its_stride() -> None:
    conv = built(ConvTranspose1d(1, 1, 3, stride=2), 1, 2)
    conv.weight.data, conv.bias.data = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([100.0])
    x = torch.tensor([[[1.0, 10.0]]], dtype=torch.float64)
    assert conv(x).tolist() == [[[101.0, 102.0, 113.0, 120.0, 130.0]]]
    dy = torch.tensor([[[1.0, 0.0, 0.0, 1.0, 2.0]]], dtype=torch.float64)
    assert conv.backward(dy).tolist() == [[[1.0, 8.0]]]
    assert conv.weight.grad.tolist() == [[[1.0, 10.0, 20.0]]]
    assert conv.bias.grad.tolist() == [4.0]


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "more", "stated"), [
    ((32,), {"kernel_size": 3}, None), ((1, 32, 3), {}, 1), ((1, 32), {"kernel_size": 3}, 1),
    ((), {"out_channels": 32, "kernel_size": 3}, None),
    ((), {"in_channels": 1, "out_channels": 32, "kernel_size": [3, 3]}, 1),
    ((None, 32, (3, 3)), {"stride": 1}, None),
], ids=str)
@pytest.mark.parametrize("cls", [Conv2d, ConvTranspose2d])
def test_sizes_read_like_range_and_rebuild_the_same(
    cls: type[Convolving], arguments: tuple[Any, ...], more: dict[str, Any], stated: int | None
) -> None:
    first = cls(*arguments, **more)
    for conv in (first, cls(**first.get_config())):
        assert (conv.in_channels, conv.out_channels, conv.kernel_size) == (stated, 32, (3, 3))
        assert conv.build((1, 5, 5))[0] == 32
        assert (conv.in_channels, conv.out_channels) == (1, 32)
    assert cls(**first.get_config()).get_config() == first.get_config()


@every_class
def test_settings_are_kept_under_the_names_of_torch(cls: type[Convolving]) -> None:
    twin = getattr(torch.nn, cls.__name__)
    axes = cls.axes
    arguments = (4, 6, 3, 2, 1, 1, 2)
    ours, theirs = cls(*arguments), twin(*arguments)
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation",
                 "groups", "padding_mode", "output_padding", "transposed"):
        assert getattr(ours, name) == getattr(theirs, name), name
    ours.build((4, *[9] * axes))
    assert ours.weight.shape == theirs.weight.shape and ours.bias.shape == theirs.bias.shape


@every_class
def test_other_sizes_of_images_need_no_new_module(cls: type[Convolving]) -> None:
    conv = cls(2, kernel_size=3)
    conv.build((1, *[7] * cls.axes))
    shape = conv.build((1, *[5] * cls.axes))
    assert conv(torch.ones(3, 1, *[5] * cls.axes)).shape == (3, *shape)


# ---- initial values -------------------------------------------------------------------------


def test_weights_are_kaiming_normal_and_biases_zero() -> None:
    conv = Conv2d(2000, kernel_size=(2, 3), groups=2)
    conv.build((8, 4, 4))
    assert conv.weight.data.std() == pytest.approx((2 / (4 * 6)) ** 0.5, rel=0.02)
    assert (conv.weight.data.abs() > 3 * conv.weight.data.std()).any()
    assert not conv.bias.data.any()
    assert conv.weight.decay and not conv.bias.decay


def test_what_hangs_on_parameters_device_and_type_are_those_asked_for() -> None:
    conv = Conv2d(2, kernel_size=3, device="cpu", dtype=torch.float64, weight_initializer="zeros",
                  bias_regularizer="l2")
    conv.build((1, 5, 5))
    assert conv.weight.data.dtype == conv.bias.data.dtype == torch.float64
    assert not conv.weight.data.any() and conv.bias.regularizer is not None


def test_the_seed_decides_the_weights() -> None:
    made = []
    for _ in range(2):
        set_seed(7)
        conv = Conv2d(2, kernel_size=3)
        conv.build((1, 5, 5))
        made.append(conv.weight.data)
    assert torch.equal(*made)


# ---- what is left out -----------------------------------------------------------------------

LAYERS = {
    "plain": lambda: Conv2d(3, kernel_size=2),
    "reflected": lambda: Conv2d(3, kernel_size=2, padding=1, padding_mode="reflect"),
    "transposed": lambda: ConvTranspose2d(3, kernel_size=2),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    frozen: tuple[str, ...], make: Any
) -> None:
    conv, x = built(make(), 2, 4, 3), numbers(5, 2, 4, 3)
    for name in frozen:
        getattr(conv, name).trainable = False
    dy = torch.randn_like(conv(x))
    assert conv.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in conv.named_parameters()}
    conv.zero_grad()
    conv(x)
    assert conv.backward(dy).shape == x.shape
    for name, parameter in conv.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name not in frozen)
    assert conv._saved == []


def test_without_bias_there_is_none() -> None:
    conv = built(Conv2d(3, kernel_size=2, bias=False), 2, 4, 3)
    assert conv.bias is None
    assert [name for name, _ in conv.named_parameters()] == ["weight"]


# ---- memory formats and types ---------------------------------------------------------------


@pytest.mark.parametrize("cls", [Conv2d, ConvTranspose2d])
def test_images_stay_channels_last_and_states_contiguous(cls: type[Convolving]) -> None:
    conv, last = cls(4, kernel_size=3), torch.channels_last
    conv.build((8, 6, 6))
    y = conv(torch.randn(5, 8, 6, 6).contiguous(memory_format=last))
    dx = conv.backward(torch.randn_like(y))
    assert y.is_contiguous(memory_format=last) and dx.is_contiguous(memory_format=last)
    assert all(value.is_contiguous() for value in conv.state_dict().values())
    assert conv.weight.grad.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_integers_are_read_as_floats(dtype: torch.dtype, make: Any) -> None:
    conv, x = make(), torch.arange(24).view(1, 2, 4, 3) % 2
    conv.build((2, 4, 3))
    assert torch.equal(conv(x.to(dtype)), conv(x.float()))


# ---- errors ---------------------------------------------------------------------------------


def test_a_missing_kernel_size_shows_the_calls_that_may_be_meant() -> None:
    refused(lambda: Conv2d(32, 3), "Conv2d(kernel_size) expects the size of the kernel",
            "Write Conv2d(32, kernel_size=3) for 32 channels of y, or "
            "Conv2d(32, 3, kernel_size=3) for 32 channels of x and 3 of y.")
    refused(lambda: ConvTranspose1d(32), "ConvTranspose1d(kernel_size) expects", "got None",
            "Write ConvTranspose1d(32, kernel_size=3) for 32 channels of y.")


def test_an_input_size_alone_is_refused() -> None:
    refused(lambda: Conv2d(in_channels=3, kernel_size=3), "expects out_channels beside it",
            "Write Conv2d(out_channels=3)")
    refused(lambda: Conv2d(kernel_size=3), "Conv2d(out_channels) expects a whole number", "None")


@pytest.mark.parametrize(("name", "value", "least"), [
    ("kernel_size", 0, 1), ("kernel_size", (3, 3, 3), 1), ("kernel_size", 2.5, 1),
    ("stride", 0, 1), ("stride", (1,), 1), ("dilation", (1, 0), 1), ("padding", -1, 0),
    ("padding", (0, 1, 2), 0),
])
@pytest.mark.parametrize("cls", [Conv2d, ConvTranspose2d])
def test_settings_out_of_range_are_refused(
    cls: type[Convolving], name: str, value: Any, least: int
) -> None:
    refused(lambda: cls(3, **{"kernel_size": 3} | {name: value}),
            f"{cls.__name__}({name}) expects a whole number of at least {least}, or 2 of them",
            f"got {value!r}")


@pytest.mark.parametrize("cls", [Conv2d, ConvTranspose2d])
def test_groups_that_do_not_divide_the_channels_are_refused(cls: type[Convolving]) -> None:
    who = cls.__name__
    refused(lambda: cls(6, 4, 3, groups=3),
            f"{who}(groups) expects a divisor of out_channels, 4; got 3. Choose 1,")
    refused(lambda: cls(4, 6, 3, groups=3), f"{who}(groups) expects a divisor of in_channels, 4")
    refused(lambda: cls(6, kernel_size=3, groups=3).build((4, 9, 9)), "of in_channels, 4; got 3")
    refused(lambda: cls(6, kernel_size=3, groups=0), f"{who}(groups) expects a whole number", "0")


def test_output_padding_as_large_as_the_steps_is_refused() -> None:
    refused(lambda: ConvTranspose2d(3, kernel_size=3, stride=(3, 2), output_padding=2),
            "ConvTranspose2d(output_padding) expects less than stride or dilation; got 2 beside "
            "stride=(3, 2) and dilation=1. Choose 1 or less.")
    ConvTranspose2d(3, kernel_size=3, stride=3, output_padding=2)
    ConvTranspose2d(3, kernel_size=3, dilation=3, output_padding=2)
    refused(lambda: ConvTranspose2d(3, kernel_size=3, output_padding=-1), "of at least 0")


@pytest.mark.parametrize(("cls", "space"), [
    (Conv1d, "length"), (ConvTranspose2d, "height, width"), (Conv3d, "depth, height, width")])
@pytest.mark.parametrize("more", [-1, 1])
def test_samples_with_other_axes_are_refused(cls: type[Convolving], space: str, more: int) -> None:
    conv, shape = cls(3, kernel_size=1), (5,) * (cls.axes + 1 + more)
    said = (f"{conv!r} expects x of shape (N, channels, {space}); got shape (N, "
            f"{', '.join(map(str, shape))}). Give samples these axes, x[:, None]")
    refused(lambda: conv.build(shape), said)
    conv.build((5,) * (cls.axes + 1))
    refused(lambda: conv(torch.ones(2, *shape)), said)  # never read as a batch of one


@every_class
def test_other_channels_than_those_built_for_are_refused(cls: type[Convolving]) -> None:
    conv, space = cls(4, 3, 2), (5,) * cls.axes
    said = f"{conv!r} expects 4 channels on axis 1 of x; got 2. Give it such data, or make a layer"
    refused(lambda: conv.build((2, *space)), said)
    conv.build((4, *space))
    refused(lambda: conv(torch.ones(1, 2, *space)), said)
    assert conv._saved == []


def test_a_kernel_larger_than_the_image_is_refused() -> None:
    conv = Conv2d(3, kernel_size=3, dilation=2, padding=(1, 0))
    said = (f"{conv!r} expects x of a size that leaves something of y; got (2, 9), which gives y "
            "of (0, 5). Choose another kernel_size, dilation or padding; channels are axis 1, "
            "before the sizes.")
    refused(lambda: conv.build((1, 2, 9)), said)
    assert conv.build((1, 3, 5)) == (3, 1, 1)
    refused(lambda: conv(torch.ones(4, 1, 2, 9)), said)
    refused(lambda: ConvTranspose2d(3, kernel_size=2, padding=1).build((1, 1, 2)),
            "got (1, 2), which gives y of (0, 1)")


def test_another_type_is_refused_in_the_words_of_torch() -> None:
    conv = Conv2d(3, kernel_size=1)
    with pytest.raises(RuntimeError, match="Call build"):
        conv.forward(torch.ones(2, 1, 3, 3))
    conv.build((1, 3, 3))
    with pytest.raises(RuntimeError, match="Double"):
        conv(torch.ones(2, 1, 3, 3, dtype=torch.float64))
    assert conv._saved == []


@pytest.mark.parametrize("more", [{}, {"padding": 1, "padding_mode": "circular"}], ids=str)
def test_images_of_one_channel_go_on_channels_last(more: dict[str, Any]) -> None:
    conv, x = Conv2d(4, kernel_size=3, **more), numbers(5, 1, 6, 7, dtype=torch.float32)
    y, beside = conv(x), conv(x[..., :5])
    assert y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()
    twin = torch.nn.Conv2d(1, 4, 3, **more)
    twin.load_state_dict(conv.state_dict())
    torch.testing.assert_close(y, twin(x))
    torch.testing.assert_close(beside, twin(x[..., :5]))
    assert conv.backward(torch.ones_like(beside)).shape == (5, 1, 6, 5)


def _image(*channels: int) -> Tensor:
    return torch.stack([torch.full((3, 3), float(channel)) for channel in channels])[None]


def test_depthwise_channels_do_not_meet() -> None:
    conv = Conv2d(2, kernel_size=3, groups=2, bias=False)
    conv(_image(1, 2))
    assert conv.weight.shape == (2, 1, 3, 3)
    changed = conv(_image(1, 5)) != conv(_image(1, 2))
    assert changed.flatten().tolist() == [False, True]
