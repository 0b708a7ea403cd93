"""Losses of numbers: how far off a prediction is."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.losses.factors import factor
from kerasish.losses.loss import Loss
from kerasish.shapes import alike

_LEAST = 1e-7
"""What divides, or is taken the logarithm of, is cut here, as in Keras."""


class MSE(Loss):
    """The mean squared error.

        L = mean (y_pred - y_true)²

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = 2 (y_pred - y_true) / (number of elements).
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> MSE()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(4.)
    """

    formula: ClassVar[str] = "L = mean (y_pred - y_true)²"
    backward_formula: ClassVar[str] = "dy_pred = 2 (y_pred - y_true) / n"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, alike(self, y_pred, y_true))
        if sample_weight is None:
            share = 1.0 if self.reduction == "sum" else (error.numel() or 1) ** -0.5
            if share != 1.0:
                error.mul_(factor(share, error.dtype))  # now its square is the mean
            self.save_for_backward(error, 2 * share)
            line = error.reshape(-1)
            return torch.dot(line, line)
        weighted = error * self.shares(sample_weight, error)
        self.save_for_backward(weighted, 2.0)
        return torch.dot(error.reshape(-1), weighted.reshape(-1))

    def backward(self) -> Tensor:
        weighted, share = self.saved_tensors()
        dy: Tensor = weighted.mul_(factor(share, weighted.dtype))
        return dy


class MAE(Loss):
    """The mean absolute error, which outliers pull less than the squared one.

        L = mean |y_pred - y_true|

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = sign(y_pred - y_true) / (number of elements), 0 where they are equal.
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> MAE()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(2.)
    """

    formula: ClassVar[str] = "L = mean |y_pred - y_true|"
    backward_formula: ClassVar[str] = "dy_pred = sign(y_pred - y_true) / n"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, self.matched(y_pred, y_true))
        shares = self.shares(sample_weight, error)
        self.save_for_backward(error, shares)
        return self.total(error.abs(), shares)

    def backward(self) -> Tensor:
        error, shares = self.saved_tensors()
        dy: Tensor = error.sign_().mul_(shares)
        return dy


class MAPE(MAE):
    """The mean absolute error in per cent of the targets.

        L = mean 100 |y_pred - y_true| / max(|y_true|, 1e-7)

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = 100 sign(y_pred - y_true) / max(|y_true|, 1e-7) / (number of elements).
    Source: Keras, whose least divisor is the same. A target of 0 outweighs all others.
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> MAPE()(torch.tensor([[3.0]]), torch.tensor([[2.0]]))
        tensor(50.)
    """

    formula: ClassVar[str] = "L = mean 100 |y_pred - y_true| / |y_true|"
    backward_formula: ClassVar[str] = "dy_pred = 100 sign(y_pred - y_true) / |y_true| / n"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        error = torch.sub(y_pred, t)
        shares = torch.div(100.0, t.abs().clamp_min_(_LEAST)).mul_(
            self.shares(sample_weight, error))
        self.save_for_backward(error, shares)
        return self.total(error.abs(), shares)


class MSLE(Loss):
    """The mean squared error of logarithms, for targets that span orders of magnitude.

        L = mean (log(1 + y_pred) - log(1 + y_true))²

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets of 0 or more; predictions below 1e-7 count as that.
    Backward: dy_pred = 2 (log(1 + y_pred) - log(1 + y_true)) / (1 + y_pred) / (number of elements),
        0 below 1e-7.
    Source: Keras, whose least prediction is the same.
    Raises: ValueError if the shapes differ, or, before training, for targets below 0.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> MSLE()(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
        tensor(0.4805)
    """

    formula: ClassVar[str] = "L = mean (log(1 + y_pred) - log(1 + y_true))²"
    backward_formula: ClassVar[str] = (
        "dy_pred = 2 (log(1 + y_pred) - log(1 + y_true)) / (1 + y_pred) / n")

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true).clamp_min(_LEAST)
        error = y_pred.clamp_min(_LEAST).log1p_().sub_(t.log1p_())
        weighted = error * self.shares(sample_weight, error)
        self.save_for_backward(y_pred, weighted)
        return torch.dot(error.reshape(-1), weighted.reshape(-1))

    def backward(self) -> Tensor:
        y_pred, weighted = self.saved_tensors()
        dy = torch.div(weighted.mul_(2), y_pred + 1)
        return dy.masked_fill_(y_pred < _LEAST, 0)

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        self.check_values(y_true, 0, float("inf"), "targets of 0 or more",
                          "Use loss='mse' for numbers of either sign.")
