"""Losses of numbers as metrics: means over all elements seen."""

from typing import ClassVar

from torch import Tensor

from kerasish.metrics.metric import ElementwiseMean
from kerasish.shapes import alike


class MSE(ElementwiseMean):
    """The mean squared error.

        mean of  (y_pred - y_true)²

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = False

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return (y_pred - alike(self, y_pred, y_true)).square()


class MAE(ElementwiseMean):
    """The mean absolute error.

        mean of  |y_pred - y_true|

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = False

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return (y_pred - alike(self, y_pred, y_true)).abs()
