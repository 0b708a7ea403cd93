"""What convolutions see beyond the edges: padding in its modes, and the errors about it."""

from typing import Any

import pytest
import torch

from kerasish.layers import Conv1d, Conv2d, ConvTranspose2d
from kerasish.layers.convolutions.borders import Border
from kerasish.layers.convolutions.convolving import Convolving


def built(conv: Convolving, *shape: int) -> Convolving:
    conv.build(shape)
    return conv.to(dtype=torch.float64)  # type: ignore[return-value]


def refused(make: Any, *said: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    for text in said:
        assert text in str(error.value)


@pytest.mark.parametrize(("mode", "seen", "folded"), [
    ("zeros", [0, 0, 1, 2, 3, 0, 0], [3, 4, 5]),
    ("reflect", [3, 2, 1, 2, 3, 2, 1], [3 + 7, 4 + 2 + 6, 5 + 1]),
    ("replicate", [1, 1, 1, 2, 3, 3, 3], [1 + 2 + 3, 4, 5 + 6 + 7]),
    ("circular", [2, 3, 1, 2, 3, 1, 2], [3 + 6, 4 + 1 + 7, 5 + 2]),
])
def test_borders_give_their_gradient_to_their_originals(
    mode: str, seen: list[int], folded: list[int]
) -> None:
    border = Border(mode, [(2, 2)])
    assert border.put_around(torch.tensor([[[1.0, 2.0, 3.0]]])).tolist() == [[seen]]
    assert border.fold(torch.arange(1.0, 8.0).view(1, 1, 7)).tolist() == [[folded]]


def test_same_with_an_even_kernel_adds_more_after_x() -> None:
    conv = built(Conv1d(1, 1, 4, padding="same", bias=False), 1, 3)
    conv.weight.data = torch.tensor([[[1.0, 10.0, 100.0, 1000.0]]])
    assert conv(torch.tensor([[[1.0, 2.0, 3.0]]]).double()).tolist() == [[[3210.0, 321.0, 32.0]]]


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_words_for_padding_are_kept(padding: str) -> None:
    conv = Conv2d(2, kernel_size=3, padding=padding)
    assert conv.padding == padding
    assert conv.build((1, 5, 6)) == ((2, 5, 6) if padding == "same" else (2, 3, 4))


@pytest.mark.parametrize(("make", "kept"), [
    (lambda: Conv2d(3, kernel_size=2, padding=1), 0),
    (lambda: ConvTranspose2d(3, kernel_size=2, padding=1), 0),
    (lambda: Conv2d(3, kernel_size=2, padding=0, padding_mode="reflect"), 0),
    (lambda: Conv2d(3, kernel_size=3, padding="valid", padding_mode="reflect"), 0),
    (lambda: Conv2d(3, kernel_size=2, padding=(1, 2), padding_mode="reflect"), 2 * 6 * 7 * 4),
    (lambda: Conv2d(3, kernel_size=2, padding="same"), 2 * 5 * 4 * 4),
])
def test_only_a_border_of_its_own_costs_memory(make: Any, kept: int) -> None:
    conv, shape = make(), (2, 4, 3)
    conv.build(shape)
    conv(x := torch.ones(1, *shape))
    ((seen,),) = conv._saved
    assert conv.own_bytes(shape) == kept
    assert seen.nbytes == kept if kept else seen is x


def test_unknown_words_for_padding_are_refused() -> None:
    refused(lambda: Conv2d(3, kernel_size=3, padding="samee"), "Conv2d(padding) expects",
            "got 'samee'", "Did you mean 'same'?")
    refused(lambda: Conv2d(3, kernel_size=3, padding_mode="mirror"),
            "Conv2d(padding_mode) expects one of 'zeros', 'reflect', 'replicate', 'circular'")
    refused(lambda: ConvTranspose2d(3, kernel_size=3, padding="same"),
            "ConvTranspose2d(padding) expects", "got 'same'")
    refused(lambda: ConvTranspose2d(3, kernel_size=3, padding_mode="reflect"),
            "ConvTranspose2d(padding_mode) expects 'zeros'; got 'reflect'")


def test_same_with_a_stride_is_refused() -> None:
    refused(lambda: Conv2d(3, kernel_size=3, stride=(1, 2), padding="same"),
            "Conv2d(padding='same') expects a stride of 1; got (1, 2)")


@pytest.mark.parametrize(("mode", "size", "most"), [("reflect", 3, 2), ("circular", 3, 3)])
def test_a_border_that_x_cannot_fill_is_refused(mode: str, size: int, most: int) -> None:
    conv = Conv2d(3, kernel_size=1, padding=(0, most), padding_mode=mode)
    said = (f"{conv!r} expects x of a size that fills a border of {most}; got (5, {size - 1}). "
            f"Choose a padding of at most {most - 1} there, or padding_mode='replicate'.")
    conv.build((1, 5, size))
    refused(lambda: conv.build((1, 5, size - 1)), said)
    refused(lambda: conv(torch.ones(2, 1, 5, size - 1)), said)
