"""Losses of numbers as metrics: means over all elements seen."""

from typing import ClassVar

from torch import Tensor

from kerasish.metrics.metric import Mean


class MSE(Mean):
    """The mean squared error.

        mean of  (y_pred - y_true)²

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).
    """

    higher_is_better: ClassVar[bool | None] = False

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return (y_pred - y_true.view(y_pred.shape)).square()


class MAE(Mean):
    """The mean absolute error.

        mean of  |y_pred - y_true|

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).
    """

    higher_is_better: ClassVar[bool | None] = False

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return (y_pred - y_true.view(y_pred.shape)).abs()
