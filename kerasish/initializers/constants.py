"""Initial values that are not drawn."""

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.initializers.initializer import Initializer
from kerasish.types import Shape


class Zeros(Initializer):
    """Zeros: the usual start of a bias."""

    def numbers(self, shape: Shape) -> Tensor:
        return torch.zeros(shape)


class Ones(Initializer):
    """Ones: the usual start of a scale."""

    def numbers(self, shape: Shape) -> Tensor:
        return torch.ones(shape)


class Constant(Initializer):
    """The same number everywhere.

    Args:
        value: that number.

    Example:
        >>> Constant(0.5)((2,))
        tensor([0.5000, 0.5000])
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = check_number("Constant(value)", value)

    def numbers(self, shape: Shape) -> Tensor:
        return torch.full(shape, self.value)


class Identity(Initializer):
    """A matrix that hands its inputs on, as far as there are outputs for them.

        w = g I

    Shapes: w (outputs, inputs), ones on the diagonal that begins at the first of each.
    Raises: ValueError for a shape of another number of axes.

    Args:
        gain: g.

    Example:
        >>> Identity()((2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("Identity(gain)", gain)

    def numbers(self, shape: Shape) -> Tensor:
        if len(shape) != 2:
            raise ValueError(f"{self!r} expects a matrix, a shape of 2 axes; got {tuple(shape)}. "
                             "Choose another initializer, 'orthogonal' for instance.")
        return self.gain * torch.eye(*shape)
