"""The same numbers in another order of axes."""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from kerasish.module import Module
from kerasish.types import Shape


class Permute(Module):
    """Puts the axes of samples in another order.

        y = x, with axis dims[i] of x as axis i + 1

    Shapes: x (N, ...), y (N, ...) with the same sizes in another order.
    Backward: dx is dy with its axes put back.
    Raises: ValueError unless dims names each axis of a sample once.

    Args:
        dims: the axes of x in the order that y has them, counted from 1, since the batch is axis 0
            and stays in front: (2, 1) exchanges the two axes of a sequence.

    Example:
        >>> Permute((2, 3, 1)).build((3, 8, 6))
        (8, 6, 3)
    """

    formula: ClassVar[str] = "y = x with its axes in another order"
    backward_formula: ClassVar[str] = "dx = dy with its axes put back"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def __init__(self, dims: Sequence[int]) -> None:
        order = tuple(dims) if isinstance(dims, list | tuple) else ()
        whole = all(type(axis) is int for axis in order)
        if not order or not whole or sorted(order) != list(range(1, len(order) + 1)):
            raise ValueError(
                "Permute(dims) expects each axis of a sample once, in a tuple, counted from 1; "
                f"got {dims!r}. (2, 1) exchanges two axes; axis 0 is the batch, which stays."
            )
        self.dims = order
        self._there = (0, *order)
        self._back = [self._there.index(axis) for axis in range(len(self._there))]

    def build(self, shape: Shape) -> Shape:
        if len(shape) != len(self.dims):
            raise ValueError(f"{self!r} expects samples of {len(self.dims)} axes; got shape "
                             f"(N, {', '.join(map(str, shape))}). Name each of its axes once.")
        return tuple(shape[axis - 1] for axis in self.dims)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return x.permute(self._there)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy.permute(self._back)
