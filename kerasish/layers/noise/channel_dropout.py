"""Dropout of whole channels: an element that is missing alone is told by its neighbours."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.noise.dropout import Dropout
from kerasish.types import Shape


class _ChannelDropout(Dropout):
    """Base of Dropout1d, Dropout2d and Dropout3d, which know the axes of their samples."""

    formula: ClassVar[str] = "y = x · mask / (1 - p), one mask for each channel"
    backward_formula: ClassVar[str] = "dx = dy · mask / (1 - p), one mask for each channel"
    axes: ClassVar[tuple[str, ...]]

    def build(self, shape: Shape) -> Shape:
        if len(shape) != len(self.axes):
            raise ValueError(
                f"{self!r} expects x of shape (N, {', '.join(self.axes)}); got "
                f"(N, {', '.join(map(str, shape))}). Choose the one of Dropout1d, Dropout2d and "
                "Dropout3d that fits, or Dropout for single elements."
            )
        return shape

    def own_bytes(self, shape: Shape) -> int:
        return shape[0] * torch.get_default_dtype().itemsize

    def _empty(self, x: Tensor) -> Tensor:
        return x.new_empty((*x.shape[:2], *[1] * (x.dim() - 2)))


class Dropout1d(_ChannelDropout):
    """Sets whole channels of sequences to zero by chance while training, and scales the rest up.

        y = x · mask / (1 - p)  in training, with mask ~ Bernoulli(1 - p) of shape (N, C, 1)

    Shapes: x and y (N, C, L).
    Backward: dx = dy · mask / (1 - p), with the mask of the matching forward.
    Source: Tompson et al. (2015), "Efficient Object Localization Using Convolutional Networks",
        section 3.2.
    Raises: ValueError if p is outside [0, 1], or if x has other axes.

    Args:
        p: the share of channels that is dropped, 0 to 1.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Dropout1d(0.5).build((3, 8))
        (3, 8)
    """

    axes: ClassVar[tuple[str, ...]] = ("C", "L")


class Dropout2d(_ChannelDropout):
    """Sets whole channels of images to zero by chance while training, and scales the rest up.

        y = x · mask / (1 - p)  in training, with mask ~ Bernoulli(1 - p) of shape (N, C, 1, 1)

    Shapes: x and y (N, C, H, W).
    Backward: dx = dy · mask / (1 - p), with the mask of the matching forward.
    Source: Tompson et al. (2015), as Dropout1d.
    Raises: ValueError if p is outside [0, 1], or if x has other axes.

    Args:
        p: the share of channels that is dropped, 0 to 1.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Dropout2d(0.5).build((3, 8, 8))
        (3, 8, 8)
    """

    axes: ClassVar[tuple[str, ...]] = ("C", "H", "W")


class Dropout3d(_ChannelDropout):
    """Sets whole channels of volumes to zero by chance while training, and scales the rest up.

        y = x · mask / (1 - p)  in training, with mask ~ Bernoulli(1 - p) of shape (N, C, 1, 1, 1)

    Shapes: x and y (N, C, D, H, W).
    Backward: dx = dy · mask / (1 - p), with the mask of the matching forward.
    Source: Tompson et al. (2015), as Dropout1d.
    Raises: ValueError if p is outside [0, 1], or if x has other axes.

    Args:
        p: the share of channels that is dropped, 0 to 1.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Dropout3d(0.5).build((3, 4, 8, 8))
        (3, 4, 8, 8)
    """

    axes: ClassVar[tuple[str, ...]] = ("C", "D", "H", "W")
