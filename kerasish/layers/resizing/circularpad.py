"""Frames that wrap around, from one side to the other."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.resizing.padding import Padding, require_room
from kerasish.types import Shape

_pad_circular: Callable[..., Tensor] = torch.ops.aten._pad_circular.default


class CircularPad(Padding):
    """Base of CircularPad1d, CircularPad2d and CircularPad3d.

    Backward: dx is the part of dy where x lay in y, and to its ends is added what was copied from
        there, one axis after the other.
    Raises: ValueError as in Padding, and if padding is larger than the size of x.
    """

    formula: ClassVar[str] = "y = x in a frame of its opposite sides"
    backward_formula: ClassVar[str] = "dx = dy where x lay in y, plus dy of each copy"

    def __init__(self, padding: Any) -> None:
        super().__init__(padding)
        self._taken = tuple(max(-pad, 0) for pad in self.padding)

    def resized(self, sizes: Shape) -> Shape:
        require_room(self, sizes, tuple(max(pads) for pads in self.sides), self.kept(sizes))
        return super().resized(sizes)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return _pad_circular(x, self.padding)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        for axis, (before, behind) in enumerate(self.sides, 2):
            dy = folded(dy, axis, max(before, 0), max(behind, 0))
        return torch.constant_pad_nd(dy, self._taken) if any(self._taken) else dy


def folded(dy: Tensor, axis: int, before: int, behind: int) -> Tensor:
    """Takes the ends off dy along an axis, and adds them to the opposite ends of what is left."""
    size = dy.shape[axis] - before - behind
    dx = dy.narrow(axis, before, size).clone()
    dx.narrow(axis, size - before, before).add_(dy.narrow(axis, 0, before))
    dx.narrow(axis, 0, behind).add_(dy.narrow(axis, before + size, behind))
    return dx


class CircularPad1d(CircularPad):
    """Puts a line in a frame of its opposite sides.

        y[n, c, i] = x[n, c, (i - left) mod L]

    Shapes: x (N, C, L), y (N, C, L').
    Backward, arguments and errors: see its bases, CircularPad and Padding.

    Example:
        >>> CircularPad1d(1)(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[3., 1., 2., 3., 1.]]])
    """

    axes: ClassVar[int] = 1


class CircularPad2d(CircularPad):
    """Puts an image in a frame of its opposite sides.

        y[n, c, i, j] = x[n, c, (i - top) mod H, (j - left) mod W]

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Backward, arguments and errors: see its bases, CircularPad and Padding.

    Example:
        >>> CircularPad2d(1).build((3, 5, 4))
        (3, 7, 6)
    """

    axes: ClassVar[int] = 2


class CircularPad3d(CircularPad):
    """Puts a volume in a frame of its opposite sides.

        y[n, c, i, j, k] = x[n, c, (i - front) mod D, (j - top) mod H, (k - left) mod W]

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Backward, arguments and errors: see its bases, CircularPad and Padding.

    Example:
        >>> CircularPad3d(1).build((3, 5, 4, 3))
        (3, 7, 6, 5)
    """

    axes: ClassVar[int] = 3
