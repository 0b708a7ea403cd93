"""The same numbers, read in the same order, in another shape."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.layers.axes import check_axis, place_of_axis
from kerasish.module import Module
from kerasish.types import Shape


def _check_sizes(who: str, sizes: Any) -> Shape:
    """Hands sizes back if they are whole numbers of at least 1, or one of them -1."""
    try:
        given = tuple(sizes)
        for size in given:
            check_count(who, 1 if size == -1 else size, 1)
        if given.count(-1) > 1:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"{who} expects sizes of at least 1 in a tuple, or -1 for one that "
                         f"follows from the rest; got {sizes!r}. (3, -1), for instance, are "
                         "some.") from None
    return given


def _filled_in(module: Module, sizes: Shape, numbers: int) -> Shape:
    """The sizes with -1 replaced.

    Raises: ValueError if there is another count of numbers than they take.
    """
    known = math.prod(size for size in sizes if size != -1)
    if numbers % known if -1 in sizes else numbers != known:
        raise ValueError(
            f"{module!r} expects {'a multiple of ' if -1 in sizes else ''}{known} numbers to fill "
            f"{sizes}; got {numbers}. Choose sizes whose product is {numbers}."
        )
    return tuple(numbers // known if size == -1 else size for size in sizes)


class Reshaping(Module):
    """Base of modules whose dx is dy in the shape of x: a subclass saves that."""

    formula: ClassVar[str] = "y = x in another shape"
    backward_formula: ClassVar[str] = "dx = dy in the shape of x"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def backward(self, dy: Tensor) -> Tensor:
        (shape,) = self.saved_tensors()
        return dy.reshape(shape)


class Reshape(Reshaping):
    """Gives samples another shape.

        y = x, read in the same order

    Shapes: x (N, ...), y (N, *target_shape).
    Backward: dx is dy in the shape of x.
    Raises: ValueError if samples do not fill the shape.

    Args:
        target_shape: the shape of a sample, without the batch; one size may be -1, and follows from
            the others.

    Example:
        >>> Reshape((2, -1)).build((4, 3))
        (2, 6)
    """

    formula: ClassVar[str] = "y = x in another shape"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, target_shape: Sequence[int]) -> None:
        self.target_shape = _check_sizes("Reshape(target_shape)", target_shape)

    def build(self, shape: Shape) -> Shape:
        return _filled_in(self, self.target_shape, math.prod(shape))

    def forward(self, x: Tensor) -> Tensor:
        batch, *sample = x.shape
        self.save_for_backward(x.shape)
        return x.reshape(batch, *_filled_in(self, self.target_shape, math.prod(sample)))


class Unflatten(Reshaping):
    """Splits an axis into several.

        y = x, read in the same order

    Shapes: x (N, ..., d, ...), y (N, ..., *unflattened_size, ...), whose product is d.
    Backward: dx is dy in the shape of x.
    Raises: ValueError if dim is 0, the batch, or if d is not that product.

    Args:
        dim: the axis to split; the batch is axis 0.
        unflattened_size: what it becomes; one size may be -1, and follows from the others.

    Example:
        >>> Unflatten(1, (3, -1)).build((12, 5))
        (3, 4, 5)
    """

    formula: ClassVar[str] = "y = x with one axis as several"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = check_axis("Unflatten(dim)", dim)
        self.unflattened_size = _check_sizes("Unflatten(unflattened_size)", unflattened_size)

    def build(self, shape: Shape) -> Shape:
        place = place_of_axis(self, self.dim, shape)
        sizes = _filled_in(self, self.unflattened_size, shape[place])
        return (*shape[:place], *sizes, *shape[place + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x.shape)
        return torch.unflatten(x, self.dim, self.unflattened_size)
