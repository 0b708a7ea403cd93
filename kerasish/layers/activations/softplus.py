"""Smooth versions of max(x, 0), and of min(x, 0)."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number, check_positive
from kerasish.module import Module
from kerasish.types import Shape

_softplus: Callable[[Tensor, float, float], Tensor] = torch.ops.aten.softplus.default
_softplus_backward: Callable[[Tensor, Tensor, float, float], Tensor] = (
    torch.ops.aten.softplus_backward.default
)
_log_sigmoid_forward: Callable[[Tensor], tuple[Tensor, Tensor]] = (
    torch.ops.aten.log_sigmoid_forward.default
)
_log_sigmoid_backward: Callable[[Tensor, Tensor, Tensor], Tensor] = (
    torch.ops.aten.log_sigmoid_backward.default
)


class Softplus(Module):
    """A ReLU with its corner rounded off.

        y = ln(1 + exp(beta x)) / beta;  y = x where beta x > threshold, which is the same there

    Shapes: x and y (N, ...).
    Backward: dx = dy σ(beta x).
    Source: Dugas et al. (2001), "Incorporating Second-Order Functional Knowledge for Better Option
        Pricing".
    Raises: ValueError unless beta is above 0 and threshold a finite number.

    Args:
        beta: how sharp the corner is, above 0.
        threshold: from where on y is x, so that nothing overflows.

    Example:
        >>> Softplus()(torch.tensor([[0.0, 100.0]]))
        tensor([[  0.6931, 100.0000]])
    """

    formula: ClassVar[str] = "y = ln(1 + exp(beta x)) / beta"
    backward_formula: ClassVar[str] = "dx = dy σ(beta x)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (0.0, math.inf)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = check_positive("Softplus(beta)", beta, "1 is the usual value.")
        self.threshold = check_number("Softplus(threshold)", threshold, fix="20 is the usual one.")

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _softplus(x, self.beta, self.threshold)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _softplus_backward(dy, x, self.beta, self.threshold)


class LogSigmoid(Module):
    """The logarithm of a probability that is given as its logit, -Softplus(-x).

        y = ln σ(x) = min(x, 0) - ln(1 + exp(-|x|))

    Shapes: x and y (N, ...).
    Backward: dx = dy σ(-x), from the exp(-|x|) that forward has computed.

    Example:
        >>> LogSigmoid()(torch.tensor([[-100.0, 0.0]]))
        tensor([[-100.0000,   -0.6931]])
    """

    formula: ClassVar[str] = "y = ln σ(x)"
    backward_formula: ClassVar[str] = "dx = dy σ(-x)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        y, exponential = _log_sigmoid_forward(x)
        self.save_for_backward(x, exponential)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        x, exponential = self.saved_tensors()
        return _log_sigmoid_backward(dy, x, exponential)

    def own_bytes(self, shape: Shape) -> int:
        return torch.Size(shape).numel() * torch.get_default_dtype().itemsize  # exp(-|x|)
