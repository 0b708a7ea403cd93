"""Losses of numbers as metrics: means over all elements seen."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.metrics.metric import ElementwiseMean, Metric, one_row_each, zeros_on
from kerasish.shapes import alike, require_alike


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


class RMSE(MSE):
    """The root of the mean squared error, in the unit of the targets.

        √(mean of (y_pred - y_true)²)

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).
    """

    runs_in_step: ClassVar[bool] = True

    def result(self) -> float:
        return math.sqrt(super().result())


class R2(Metric):
    """The share of the targets' variance that predictions explain: 1 is all of it.

        1 - Σ w (y_true - y_pred)² / Σ w (y_true - mean)², the mean of that over columns

    Constant columns count 1 where predicted without error, and else 0, as in scikit-learn. NaN,
    predicted or true, makes it NaN. Means and squares are merged batch by batch: Chan et al.
    (1983), eq. 2.1.

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).

    Example:
        >>> import torch
        >>> r2 = R2()
        >>> r2.update(torch.tensor([2.5, 0.0, 2.0, 8.0]), torch.tensor([3.0, -0.5, 2.0, 7.0]))
        >>> round(r2.result(), 4)
        0.9486
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True

    _sums: Tensor | None = None

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        require_alike(self, y_pred, y_true)

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        true = one_row_each(alike(self, y_pred, y_true)).double()
        error = one_row_each(y_pred).double() - true
        w = torch.ones(len(true), 1, dtype=torch.float64, device=true.device)
        if sample_weight is not None:
            w.mul_(sample_weight.view(-1, 1))
        if self._sums is None:
            self._sums = zeros_on(true, 4, true.shape[1])
        count, mean, squares, errors = self._sums
        least = torch.finfo(torch.float64).tiny  # a batch may weigh nothing
        more = w.sum()
        batch_mean, share = (w * true).sum(0) / (more + least), more / (count + more + least)
        apart = batch_mean - mean
        squares.add_((w * (true - batch_mean).square()).sum(0) + apart.square() * count * share)
        mean.add_(apart * share)
        errors.add_((w * error.square()).sum(0))
        count.add_(more)

    def result(self) -> float:
        if self._sums is None or not float(self._sums[0].max()):
            return math.nan
        if bool(self._sums.isnan().any()):
            return math.nan
        count, mean, squares, errors = self._sums
        varies = squares > count * (1e-14 * mean).square()  # rounding of the mean is no variance
        explained = torch.where(varies, 1 - errors / squares, (errors == 0).double())
        return float(explained.mean())

    def reset(self) -> None:
        if self._sums is not None:
            self._sums.zero_()
