"""What modules share that work on the axes after the channels: lines, images and volumes."""

from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.module import Module
from kerasish.types import Shape

AXES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
"""The shapes with so many axes after the channels."""

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def layout_of(x: Tensor) -> torch.memory_format:
    """How kernels lay down what they make of x: channels-last if x is, else contiguous."""
    return _CHANNELS_LAST[x.dim()] if is_channels_last(x) else torch.contiguous_format


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a place lie next to each other in memory, and those of a line don't.

    A single channel, or images of a single place, are contiguous.
    """
    last = _CHANNELS_LAST.get(x.dim())
    return last is not None and not x.is_contiguous() and x.is_contiguous(memory_format=last)


def require_axes(who: object, shape: Shape, axes: Collection[int], fix: str) -> None:
    """Refuses samples with another number of axes after the channels, or without numbers.

    Raises: ValueError with the shapes that are meant.
    """
    if len(shape) - 1 not in axes or min(shape) < 1:
        raise ValueError(
            f"{who!r} expects x of shape {' or '.join(AXES[count] for count in axes)} with no axis "
            f"of size 0; got (N{''.join(f', {size}' for size in shape)}). {fix}"
        )


def require_some(who: object, sizes: Shape, resized: Shape, fix: str) -> None:
    """Refuses an x that nothing would be left of.

    Raises: ValueError with the sizes after the channels, in x and in y.
    """
    if min(resized) < 1:
        raise ValueError(
            f"{who!r} expects an x that something is left of; got sizes {sizes}, which would "
            f"become {resized}. {fix}"
        )


class Spatial(Module):
    """Base of modules that change the sizes of the axes after the channels, and of these alone.

    A subclass names their number and says in `resized` what becomes of their sizes. Lines may go
    through the kernels for images, as images of height 1.
    """

    axes: ClassVar[int]
    """How many axes there are after the channels: 1, 2 or 3."""

    remedy: ClassVar[str] = "Give it a larger x."
    """What to do where nothing would be left of x: the end of an error."""

    def resized(self, sizes: Shape) -> Shape:
        """The sizes of the axes after the channels in y, from those in x."""
        raise NotImplementedError

    def build(self, shape: Shape) -> Shape:
        return self.shape_of_y(shape)

    def shape_of_y(self, shape: Shape) -> Shape:
        """The shape of a sample of y, from that of x.

        Raises: ValueError if x has other axes, or if an axis of x or y is empty.
        """
        require_axes(self, shape, [self.axes],
                     "Give samples these axes, x[:, None] for a single channel.")
        sizes = self.resized(shape[1:])
        require_some(self, shape[1:], sizes, self.remedy)
        return (shape[0], *sizes)

    def as_images(self, x: Tensor) -> Tensor:
        """Lines as images of height 1, all else as it is."""
        return x.unsqueeze(-2) if self.axes == 1 else x

    def as_given(self, y: Tensor) -> Tensor:
        """The way back: images of height 1 as lines."""
        return y.squeeze(-2) if self.axes == 1 else y
