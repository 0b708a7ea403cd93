"""Losses that square small errors and count large ones linearly, so that outliers pull less."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number, check_positive
from kerasish.losses.loss import Loss


class _Bounded(Loss):
    """Base of the losses whose slope is the error, scaled, cut at a bound.

        v = s (e - s / 2 k),    s = min(max(k e, -bound), bound),    e = y_pred - y_true

    Inside the bound that is k e² / 2, outside bound · |e| less a constant.
    """

    def slope(self, error: Tensor) -> tuple[Tensor, float]:
        """The slope s at an error, and 1 / 2 k."""
        raise NotImplementedError(f"{type(self).__name__} needs a slope method. Write it.")

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, self.matched(y_pred, y_true))
        slope, half = self.slope(error)
        shares = self.shares(sample_weight, error)
        self.save_for_backward(slope, shares)
        return self.total(torch.sub(error, slope, alpha=half).mul_(slope), shares)

    def backward(self) -> Tensor:
        slope, shares = self.saved_tensors()
        dy: Tensor = slope.mul_(shares)
        return dy


class Huber(_Bounded):
    """Half the squared error up to delta, and linear beyond.

        L = mean of  e² / 2 where |e| <= delta,  delta (|e| - delta / 2) elsewhere

    with e = y_pred - y_true.

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = min(max(e, -delta), delta) / (number of elements).
    Source: Huber (1964), "Robust estimation of a location parameter".
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        delta: where linear begins, above 0.
        reduction: "mean" or "sum".

    Example:
        >>> Huber()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(1.5000)
    """

    formula: ClassVar[str] = "L = mean of e²/2, or δ (|e| - δ/2) where |e| > δ"
    backward_formula: ClassVar[str] = "dy_pred = min(max(e, -delta), delta) / n"

    def __init__(self, delta: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.delta = check_positive("Huber(delta)", delta)

    def slope(self, error: Tensor) -> tuple[Tensor, float]:
        return error.clamp(-self.delta, self.delta), 0.5


class SmoothL1(_Bounded):
    """The absolute error with its corner rounded off: squared below beta.

        L = mean of  e² / 2 beta where |e| < beta,  |e| - beta / 2 elsewhere

    with e = y_pred - y_true; that is Huber(beta) / beta.

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = min(max(e / beta, -1), 1) / (number of elements).
    Source: Girshick (2015), "Fast R-CNN", equation 3, where beta is 1.
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        beta: where linear begins; 0 is MAE.
        reduction: "mean" or "sum".

    Example:
        >>> SmoothL1(beta=2.0)(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(1.)
    """

    formula: ClassVar[str] = "L = mean of e²/2β, or |e| - β/2 where |e| >= β"
    backward_formula: ClassVar[str] = "dy_pred = min(max(e / beta, -1), 1) / n"

    def __init__(self, beta: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.beta = check_number("SmoothL1(beta)", beta, 0, fix="1.0 is usual.")

    def slope(self, error: Tensor) -> tuple[Tensor, float]:
        if self.beta == 0:
            return error.sign(), 0.0
        return torch.div(error, self.beta).clamp_(-1, 1), self.beta / 2


class LogCosh(Loss):
    """About half the squared error where it is small, the absolute one where it is large.

        L = mean of  log cosh(e),    e = y_pred - y_true

    Computed as |e| + log(1 + (exp(-2|e|) - 1) / 2), which neither overflows nor loses small errors.

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = tanh(e) / (number of elements).
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> LogCosh()(torch.tensor([[3.0]]), torch.tensor([[3.0]]))
        tensor(0.)
    """

    formula: ClassVar[str] = "L = mean of log cosh(y_pred - y_true)"
    backward_formula: ClassVar[str] = "dy_pred = tanh(y_pred - y_true) / n"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, self.matched(y_pred, y_true))
        shares = self.shares(sample_weight, error)
        self.save_for_backward(error, shares)
        size = error.abs()
        return self.total((-2 * size).expm1_().div_(2).log1p_().add_(size), shares)

    def backward(self) -> Tensor:
        error, shares = self.saved_tensors()
        dy: Tensor = error.tanh_().mul_(shares)
        return dy
