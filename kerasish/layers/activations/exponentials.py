"""Activations that bend down to a floor exponentially. Their backward passes read y, never x."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number, check_positive
from kerasish.module import Kernels, Module

_elu: Callable[[Tensor, float], Tensor] = torch.ops.aten.elu.default
_elu_: Callable[[Tensor, float], Tensor] = torch.ops.aten.elu_.default
_elu_backward: Callable[[Tensor, float, float, float, bool, Tensor], Tensor] = (
    torch.ops.aten.elu_backward.default
)

_ALPHA = 1.6732632423543772848170429916717
_SCALE = 1.0507009873554804934193349852946
"""They make mean 0 and variance 1 a fixed point of SELU: Klambauer et al. (2017)."""


class ELU(Module):
    """Keeps what is positive, and lets the rest run out at -alpha.

        y = x where x > 0, else alpha (exp(x) - 1)

    Shapes: x and y (N, ...).
    Backward: dx = dy where y > 0, else dy (y + alpha), for alpha exp(x) = y + alpha.
    Source: Clevert et al. (2016), "Fast and Accurate Deep Network Learning by Exponential Linear
        Units", section 3.
    Raises: ValueError if alpha is below 0: y would not tell the sign of x any more.

    Args:
        alpha: how far down it goes, at least 0.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> ELU()(torch.tensor([[-100.0, 2.0]]))
        tensor([[-1.,  2.]])
    """

    formula: ClassVar[str] = "y = x where x > 0, else alpha (exp(x) - 1)"
    backward_formula: ClassVar[str] = "dx = dy where y > 0, else dy (y + alpha)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = check_number("ELU(alpha)", alpha, 0, fix="1 is the usual value.")
        self.y_range = (-self.alpha, math.inf)  # type: ignore[misc]

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = (_elu_ if overwrite else _elu)(x, self.alpha)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _elu_backward(dy, self.alpha, 1.0, 1.0, True, y)


def _selu_backward(dy: Tensor, y: Tensor) -> Tensor:
    return _elu_backward(dy, _ALPHA, _SCALE, 1.0, True, y)


class SELU(Module):
    """ELU with the two constants that keep a signal at mean 0 and variance 1.

        y = scale · (x where x > 0, else alpha (exp(x) - 1)),  alpha = 1.6733, scale = 1.0507

    Shapes: x and y (N, ...).
    Backward: dx = scale · dy where y > 0, else dy (y + scale · alpha).
    Source: Klambauer et al. (2017), "Self-Normalizing Neural Networks", eq. 2. It wants weights
        of variance 1 / fan_in and AlphaDropout.

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> SELU()(torch.tensor([[-100.0, 1.0]]))
        tensor([[-1.7581,  1.0507]])
    """

    formula: ClassVar[str] = "y = scale · (x where x > 0, else alpha (exp(x) - 1))"
    backward_formula: ClassVar[str] = "dx = scale · dy where y > 0, else dy (y + scale · alpha)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-_ALPHA * _SCALE, math.inf)
    kernels: ClassVar[Kernels | None] = (torch.selu_, _selu_backward)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = torch.selu_(x) if overwrite else torch.selu(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _selu_backward(dy, y)


class CELU(Module):
    """ELU without the kink: its slope at zero is 1 whatever alpha is.

        y = x where x > 0, else alpha (exp(x / alpha) - 1)

    Shapes: x and y (N, ...).
    Backward: dx = dy where y > 0, else dy (y + alpha) / alpha.
    Source: Barron (2017), "Continuously Differentiable Exponential Linear Units".
    Raises: ValueError if alpha is not above 0.

    Args:
        alpha: how far down it goes, above 0.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> CELU(2.0)(torch.tensor([[-100.0, 2.0]]))
        tensor([[-2.,  2.]])
    """

    formula: ClassVar[str] = "y = x where x > 0, else alpha (exp(x / alpha) - 1)"
    backward_formula: ClassVar[str] = "dx = dy where y > 0, else dy (y + alpha) / alpha"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = check_positive("CELU(alpha)", alpha, "1 is the usual value.")
        self.y_range = (-self.alpha, math.inf)  # type: ignore[misc]

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = (torch.celu_ if overwrite else torch.celu)(x, self.alpha)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _elu_backward(dy, self.alpha, 1.0, 1 / self.alpha, True, y)
