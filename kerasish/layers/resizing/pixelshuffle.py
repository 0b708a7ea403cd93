"""Channels as pixels, and pixels as channels: sizes change, and no number does."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.layers.spatial import require_axes
from kerasish.module import Module
from kerasish.types import Shape


def shuffled(x: Tensor, r: int) -> Tensor:
    """Channels as pixels; a batch of no samples, too, which torch would leave in its shape.

    Shapes: x (N, C r², H, W), result (N, C, H r, W r).
    """
    if x.shape[0]:
        return torch.pixel_shuffle(x, r)
    _, channels, height, width = x.shape
    return x.new_empty(0, channels // r**2, height * r, width * r)


def unshuffled(x: Tensor, r: int) -> Tensor:
    """Pixels as channels, the way back from `shuffled`."""
    if x.shape[0]:
        return torch.pixel_unshuffle(x, r)
    _, channels, height, width = x.shape
    return x.new_empty(0, channels * r**2, height // r, width // r)


class PixelShuffle(Module):
    """Makes an image r times as high and wide of r² images, its channels.

        y[n, c, h r + i, w r + j] = x[n, c r² + i r + j, h, w]

    Shapes: x (N, C r², H, W), y (N, C, H r, W r).
    Backward: the numbers of dy go back where they came from, which is PixelUnshuffle.
    Source: Shi et al. (2016), eq. 4.
    Raises: ValueError if x is no image, or r² does not divide its channels.

    Args:
        upscale_factor: r, at least 1.

    Example:
        >>> PixelShuffle(2).build((12, 5, 5))
        (3, 10, 10)
    """

    formula: ClassVar[str] = "y[c, h r + i, w r + j] = x[c r² + i r + j, h, w]"
    backward_formula: ClassVar[str] = "dx[c r² + i r + j, h, w] = dy[c, h r + i, w r + j]"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = True

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = check_count("PixelShuffle(upscale_factor)", upscale_factor, 1)

    def build(self, shape: Shape) -> Shape:
        require_axes(self, shape, [2], "Give it images with channels.")
        channels, height, width = shape
        r = self.upscale_factor
        if channels % r**2:
            raise ValueError(
                f"{self!r} expects channels in multiples of {r**2}, which is upscale_factor²; got "
                f"{channels}. Give the convolution before it so many."
            )
        return (channels // r**2, height * r, width * r)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return shuffled(x, self.upscale_factor)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return unshuffled(dy, self.upscale_factor)


class PixelUnshuffle(Module):
    """Makes r² channels, r times less high and wide, of an image.

        y[n, c r² + i r + j, h, w] = x[n, c, h r + i, w r + j]

    Shapes: x (N, C, H r, W r), y (N, C r², H, W).
    Backward: the numbers of dy go back where they came from, which is PixelShuffle.
    Raises: ValueError if x is no image, or r does not divide its height and width.

    Args:
        downscale_factor: r, at least 1.

    Example:
        >>> PixelUnshuffle(2).build((3, 10, 10))
        (12, 5, 5)
    """

    formula: ClassVar[str] = "y[c r² + i r + j, h, w] = x[c, h r + i, w r + j]"
    backward_formula: ClassVar[str] = "dx[c, h r + i, w r + j] = dy[c r² + i r + j, h, w]"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = True

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = check_count("PixelUnshuffle(downscale_factor)", downscale_factor, 1)

    def build(self, shape: Shape) -> Shape:
        require_axes(self, shape, [2], "Give it images with channels.")
        channels, height, width = shape
        r = self.downscale_factor
        if height % r or width % r:
            raise ValueError(
                f"{self!r} expects height and width in multiples of {r}; got {height} and {width}. "
                "Pad x, or choose another downscale_factor."
            )
        return (channels * r**2, height // r, width // r)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return unshuffled(x, self.downscale_factor)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return shuffled(dy, self.downscale_factor)
