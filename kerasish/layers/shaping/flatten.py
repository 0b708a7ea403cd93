"""From image axes to one axis of features."""

import math
from typing import ClassVar

from torch import Tensor

from kerasish.layers.shaping.reshape import Reshaping
from kerasish.types import Shape


class Flatten(Reshaping):
    """Joins a run of axes into one.

        y = x, read in the same order

    Shapes: x (N, d1, ..., dk), y (N, d1 · ... · dk).
    Backward: dx is dy in the shape of x.
    Raises: ValueError if start_dim is 0: the batch stays an axis of its own.

    Args:
        start_dim: the first axis to join; the batch is axis 0.
        end_dim: the last axis to join.

    Example:
        >>> Flatten().build((1, 28, 28))
        (784,)
    """

    formula: ClassVar[str] = "y = x with a run of axes as one"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        if start_dim == 0:
            raise ValueError(
                "Flatten(start_dim) expects 1 or more, or a negative axis; got 0. "
                "Axis 0 is the batch, which stays."
            )
        self.start_dim, self.end_dim = start_dim, end_dim

    def build(self, shape: Shape) -> Shape:
        start, end = (axis - 1 if axis > 0 else len(shape) + axis
                      for axis in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < len(shape):
            if not shape and self.start_dim == 1 and self.end_dim == -1:
                return (1,)  # x of shape (N,) has one feature
            raise ValueError(
                f"{self!r} expects x with axes {self.start_dim} to {self.end_dim}; got shape "
                f"(N, {', '.join(map(str, shape))}). Choose axes that x has."
            )
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x.shape)
        return x.flatten(self.start_dim, self.end_dim) if x.dim() > 1 else x.unsqueeze(1)
