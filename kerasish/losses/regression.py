"""Losses of numbers: how far off a prediction is."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.losses.loss import Loss
from kerasish.shapes import alike


class MSE(Loss):
    """The mean squared error.

        L = mean (y_pred - y_true)²

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = 2 (y_pred - y_true) / (number of elements).
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Example:
        >>> MSE()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(4.)
    """

    formula: ClassVar[str] = "L = mean (y_pred - y_true)²"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, alike(self, y_pred, y_true))
        share = (error.numel() or 1) ** -0.5
        line = error.mul_(share).reshape(-1)  # now its square is the mean
        if sample_weight is None:
            self.save_for_backward(error, share)
            return torch.dot(line, line)
        weighted = error * self.weights(sample_weight, error)
        self.save_for_backward(weighted, share)
        return torch.dot(line, weighted.reshape(-1))

    def backward(self) -> Tensor:
        weighted, share = self.saved_tensors()
        dy: Tensor = weighted.mul_(2 * share)
        return dy


class MAE(Loss):
    """The mean absolute error, which outliers pull less than the squared one.

        L = mean |y_pred - y_true|

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Backward: dy_pred = sign(y_pred - y_true) / (number of elements), 0 where they are equal.
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Example:
        >>> MAE()(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
        tensor(2.)
    """

    formula: ClassVar[str] = "L = mean |y_pred - y_true|"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        error = torch.sub(y_pred, self.matched(y_pred, y_true))
        self.save_for_backward(error, self.weights(sample_weight, error))
        return self.mean(error.abs(), sample_weight)

    def backward(self) -> Tensor:
        error, weights = self.saved_tensors()
        dy: Tensor = error.sign_().mul_(weights).div_(error.numel() or 1)
        return dy
