"""One number for each channel, whatever the size of the image."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.pooling.maxpool import indices_bytes
from kerasish.layers.spatial import AXES, require_axes
from kerasish.module import Module
from kerasish.types import Shape

_max_pool: Callable[..., tuple[Tensor, Tensor]] = torch.ops.aten.adaptive_max_pool2d.default
_max_pool_backward: Callable[..., Tensor] = torch.ops.aten.adaptive_max_pool2d_backward.default


def spread(dy: Tensor, shape: Shape) -> Tensor:
    """The gradient of a mean over all axes after the channels: one number everywhere in each.

    It is not written out: all elements of a channel are the same place in memory.

    Shapes: dy (N, C) or (N, C, 1, ...), result `shape`, (N, C, ...).
    """
    ones = (1,) * (len(shape) - 2)
    return (dy / math.prod(shape[2:])).view(*shape[:2], *ones).expand(shape)


class GlobalPool(Module):
    """Base of GlobalAvgPool and GlobalMaxPool, for lines, images and volumes alike."""

    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = bool(keepdims)

    def build(self, shape: Shape) -> Shape:
        require_axes(self, shape, AXES, "Give samples these axes, x[:, None] for a single channel.")
        return (shape[0], *(1 for _ in shape[1:])) if self.keepdims else shape[:1]


class GlobalAvgPool(GlobalPool):
    """Takes the mean of each channel.

        y[n, c] = mean of x[n, c, ...]

    Shapes: x (N, C, ...), y (N, C), or (N, C, 1, ...) with keepdims.
    Backward: dx[n, c, ...] = dy[n, c] / elements of a channel; of x the shape alone is kept.
    Source: Lin et al. (2013), section 3.2.
    Raises: ValueError if x has no axis after the channels.

    Args:
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> GlobalAvgPool()(torch.tensor([[[1.0, 3.0, 2.0]]]))
        tensor([[2.]])
    """

    formula: ClassVar[str] = "y = mean of x over each channel"
    backward_formula: ClassVar[str] = "dx = dy / elements of a channel"

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x.shape)
        return x.mean(tuple(range(2, x.dim())), self.keepdims)

    def backward(self, dy: Tensor) -> Tensor:
        (shape,) = self.saved_tensors()
        return spread(dy, shape)


class GlobalMaxPool(GlobalPool):
    """Keeps the largest number of each channel.

        y[n, c] = max of x[n, c, ...]

    Shapes: x (N, C, ...), y (N, C), or (N, C, 1, ...) with keepdims.
    Backward: dx is dy at the largest element of a channel, of equal ones the first, as in MaxPool
        (amax would share dy out among them), else 0. Of x the shape alone is kept.
    Raises: ValueError if x has no axis after the channels.

    Args:
        keepdims: whether the axes stay, with size 1.

    Example:
        >>> GlobalMaxPool()(torch.tensor([[[1.0, 3.0, 2.0]]]))
        tensor([[3.]])
    """

    formula: ClassVar[str] = "y = max of x over each channel"
    backward_formula: ClassVar[str] = "dx = dy at the largest element of each channel, else 0"

    def forward(self, x: Tensor) -> Tensor:
        lines = x.flatten(2).unsqueeze(2)  # images of height 1
        y, indices = _max_pool(lines, (1, 1))
        self.save_for_backward(x.shape, lines.shape, lines.stride(), indices)
        return y.view(*x.shape[:2], *(1,) * (x.dim() - 2)) if self.keepdims else y.view(x.shape[:2])

    def backward(self, dy: Tensor) -> Tensor:
        shape, *layout, indices = self.saved_tensors()
        lines = dy.new_empty_strided(*layout)  # no numbers: its shape and layout are read alone
        return _max_pool_backward(dy.reshape(indices.shape), lines, indices).view(shape)

    def own_bytes(self, shape: Shape) -> int:
        return indices_bytes(shape[:1])
