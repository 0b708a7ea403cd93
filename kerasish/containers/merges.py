"""Where branches meet: several tensors become one, and back; or one of several is picked."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.module import Module
from kerasish.node import Node
from kerasish.trees import arranged, is_shape, leaves, parts_of
from kerasish.types import Shape


def _shapes(module: Module, shape: Any) -> list[Shape]:
    """The shapes of several inputs.

    Raises: ValueError for a single tensor.
    """
    if is_shape(shape):
        raise ValueError(f"{module!r} expects a tuple or dict of tensors; got one of shape {shape} "
                         "a sample. Call it on (x1, x2).")
    return parts_of(shape)


class Concat(Module):
    """Lays tensors end to end along an axis.

        y = [x1, x2, ...]

    Shapes: x a tuple or dict of (N, ..., d_i, ...), y (N, ..., Σ d_i, ...).
    Backward: dx_i is the stretch of dy that x_i gave.
    Raises: ValueError for axis 0, the batch, and for shapes that differ on other axes.

    Args:
        axis: the axis to join along; the batch is axis 0.

    Example:
        >>> Concat()((torch.zeros(1, 2), torch.ones(1, 1)))
        tensor([[0., 0., 1.]])
    """

    formula: ClassVar[str] = "y = [x1, x2, ...]"
    backward_formula: ClassVar[str] = "dx_i = the stretch of dy that x_i gave"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, axis: int = 1) -> None:
        if axis == 0:
            raise ValueError("Concat(axis) expects an axis of samples; got 0, the batch. "
                             "Axis 1 holds features or channels.")
        self.axis = axis

    def build(self, shape: Any) -> Shape:
        shapes = _shapes(self, shape)
        axis = self.axis - 1 if self.axis > 0 else len(shapes[0]) + self.axis
        others = {(len(each), each[:axis], each[axis + 1 :]) for each in shapes}
        if len(others) != 1 or not 0 <= axis < len(shapes[0]):
            raise ValueError(
                f"{self!r} expects shapes that differ on axis {self.axis} alone; got "
                f"{', '.join(map(str, shapes))} a sample. Bring them to one size."
            )
        total = sum(each[axis] for each in shapes)
        return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])

    def forward(self, x: Any) -> Tensor:
        parts = list(leaves(x))
        self.save_for_backward([part.shape[self.axis] for part in parts], _names(x))
        return torch.cat(parts, self.axis)

    def backward(self, dy: Tensor) -> Any:
        sizes, names = self.saved_tensors()
        return arranged(names, torch.split(dy, sizes, self.axis))


class Add(Module):
    """Adds tensors of one shape.

        y = x1 + x2 + ...

    Shapes: x a tuple or dict of (N, ...), y (N, ...), all the same.
    Backward: dx_i = dy.
    Raises: ValueError for shapes that differ: nothing is broadcast.

    Example:
        >>> Add()((torch.ones(1, 2), torch.ones(1, 2)))
        tensor([[2., 2.]])
    """

    formula: ClassVar[str] = "y = x1 + x2 + ..."
    backward_formula: ClassVar[str] = "dx_i = dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def build(self, shape: Any) -> Shape:
        return _common(self, shape)

    def forward(self, x: Any) -> Tensor:
        first, *others = leaves(x)
        self.save_for_backward(_names(x))
        y: Tensor = first
        for other in others:
            y = y + other
        return y

    def backward(self, dy: Tensor) -> Any:
        (names,) = self.saved_tensors()
        return arranged(names, [dy for _ in names])


class Multiply(Module):
    """Multiplies tensors of one shape, element by element.

        y = x1 · x2 · ...

    Shapes: x a tuple or dict of (N, ...), y (N, ...), all the same.
    Backward: dx_i = dy · (the product of the others).
    Raises: ValueError for shapes that differ: nothing is broadcast.

    Example:
        >>> Multiply()((torch.ones(1, 2), 3 * torch.ones(1, 2)))
        tensor([[3., 3.]])
    """

    formula: ClassVar[str] = "y = x1 · x2 · ..."
    backward_formula: ClassVar[str] = "dx_i = dy · the product of the others"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = True  # of a single tensor

    def build(self, shape: Any) -> Shape:
        return _common(self, shape)

    def forward(self, x: Any) -> Tensor:
        first, *others = leaves(x)
        self.save_for_backward([first, *others], _names(x))
        y: Tensor = first
        for other in others:
            y = y * other
        return y

    def backward(self, dy: Tensor) -> Any:
        parts, names = self.saved_tensors()
        gradients = []
        for index in range(len(parts)):
            dx = dy
            for other in (*parts[:index], *parts[index + 1 :]):
                dx = dx * other
            gradients.append(dx)
        return arranged(names, gradients)


class Pick(Module):
    """Takes one of several tensors.

        y = x[key]

    Shapes: x a tuple or dict of tensors, y the shape of the one.
    Backward: dx is dy for the one, and zeros for the others.

    Args:
        key: the place in the tuple, or the name in the dict.

    Example:
        >>> Pick(1)((torch.zeros(1, 2), torch.ones(1, 1)))
        tensor([[1.]])
    """

    formula: ClassVar[str] = "y = x[key]"
    backward_formula: ClassVar[str] = "dx[key] = dy,  dx of the others = 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, key: int | str) -> None:
        self.key = key

    def build(self, shape: Any) -> Shape:
        _shapes(self, shape)
        keys = list(shape) if isinstance(shape, dict) else list(range(len(shape)))
        if self.key not in keys:
            raise ValueError(f"{self!r} expects a key among {keys}; got {self.key!r}. "
                             "Choose one of them.")
        picked: Shape = shape[self.key]
        return picked

    def forward(self, x: Any) -> Any:
        self.save_for_backward({name: x[name] for name in _names(x)}, isinstance(x, dict))
        return x[self.key]

    def backward(self, dy: Tensor) -> Any:
        parts, is_dict = self.saved_tensors()
        gradients = {name: dy if name == self.key else torch.zeros_like(part)
                     for name, part in parts.items()}
        return gradients if is_dict else tuple(gradients.values())


Node.pick = Pick


def _names(x: Any) -> Any:
    """The names in a dict; the places in a tuple."""
    return {name: None for name in x} if isinstance(x, dict) else tuple(range(len(x)))


def _common(module: Module, shape: Any) -> Shape:
    first, *others = _shapes(module, shape)
    if any(other != first for other in others):
        raise ValueError(f"{module!r} expects tensors of one shape; got "
                         f"{', '.join(map(str, (first, *others)))} a sample. Nothing is broadcast: "
                         "bring them to one shape.")
    return first
