"""What losses of one class among several share: their targets, and how much each of them counts."""

from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.losses.constants import LEAST_LOG, Constants
from kerasish.losses.loss import Ending, Loss


class ClassLoss(Loss):
    """Base of losses of one class among several.

        L = Σ w c v / Σ c        v: one value a distribution, c: the weight of its class

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred.
    """

    def __init__(
        self,
        axis: int = 1,
        *,
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        name = type(self).__name__
        for setting, value in (("axis", axis), ("ignore_index", ignore_index)):
            if not isinstance(value, int) and (value is not None or setting == "axis"):
                raise ValueError(f"{name}({setting}) expects a whole number; got {value!r}. "
                                 "Write weight=..., for instance, to name another argument.")
        self.axis, self.weight, self.ignore_index = axis, weight, ignore_index
        self.label_smoothing = check_number(f"{name}(label_smoothing)", label_smoothing, 0, 1)
        self._weight = None if weight is None else Constants(f"{name}(weight)", weight, axes=1)

    @property
    def ending(self) -> Ending | None:
        wanted = super().ending
        if wanted is not None and not self.from_logits:
            return wanted._replace(fix=wanted.fix.replace("Sigmoid()", f"Softmax({self.axis})"))
        return wanted

    # ---- shapes and values --------------------------------------------------------------------

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """Probabilities as they are; indices with a class axis of size 1, ready to gather."""
        if y_true.shape == y_pred.shape and y_pred.shape[self.axis] > 1:
            return y_true.to(y_pred.dtype)
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        self._check_type(y_true)
        y_true = y_true.long()
        return y_true if y_true.dim() == y_pred.dim() else y_true.unsqueeze(self.axis)

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        axis = self.axis if self.axis >= 0 else len(y_pred) + self.axis
        if not 1 <= axis < len(y_pred) or y_pred[axis] < 2:
            raise ValueError(
                f"{self!r} expects y_pred with two classes or more on axis {self.axis}; got shape "
                f"{y_pred}. Use BinaryCrossEntropy for one output of yes or no."
            )
        if self._weight is not None and self._weight.shape != (y_pred[axis],):
            raise ValueError(
                f"{type(self).__name__}(weight) expects one number a class, {y_pred[axis]} as in "
                f"y_pred; got {self._weight.shape[0]}. Give one for each class."
            )
        indices = (*y_pred[:axis], *y_pred[axis + 1 :])
        kept_axis = (*y_pred[:axis], 1, *y_pred[axis + 1 :])
        if y_true not in (y_pred, indices, kept_axis):
            raise ValueError(
                f"{self!r} expects y_true as class indices of shape {indices} or probabilities of "
                f"shape {y_pred}; got {y_true}. Change the last module's size, or the shape of y."
            )

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        if tuple(y_true.shape) == y_pred:
            self.check_values(y_true, 0, 1, "probabilities from 0 to 1",
                              "Divide them by their sum, or give class indices.")
            return
        self._check_type(y_true)
        classes, y_true = y_pred[self.axis], y_true.long()
        outside = (y_true < 0) | (y_true >= classes)
        if self.ignore_index is not None:
            outside &= y_true != self.ignore_index
        if outside.any():
            low, high = int(y_true.min()), int(y_true.max())
            first = outside.reshape(len(y_true), -1).any(1).nonzero()[0]
            raise ValueError(
                f"{self!r} expects classes from 0 to {classes - 1}, as y_pred has {classes}; got "
                f"{low} to {high}, first in sample {int(first)}. Change the last module's size, "
                "count classes from 0, or write ignore_index=... for what has no class."
            )

    def _check_type(self, indices: Tensor) -> None:
        if indices.is_floating_point():
            raise ValueError(
                f"{self!r} expects class indices as integers; got {indices.dtype}. "
                "Write y.astype('int64'), or y.long() for a tensor."
            )

    # ---- what forward is made of --------------------------------------------------------------

    def log_p(self, y_pred: Tensor) -> Tensor:
        """The logarithms of the predicted probabilities."""
        if self.from_logits:
            return torch.log_softmax(y_pred, self.axis)
        return y_pred.log().clamp_min_(LEAST_LOG)

    def at_class(
        self, values: Tensor, t: Tensor, sample_weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Any]:
        """The values at the true classes; the indices, the ignored ones 0; and their shares."""
        if self._weight is None and self.ignore_index is None:
            picked = values.gather(self.axis, t)
            return picked, t, self.shares(sample_weight, picked)
        t, counts = self._counted(t, values)
        picked = values.gather(self.axis, t).masked_fill_(counts == 0, 0.0)  # -∞ counts not either
        return picked, t, self.shares(sample_weight, picked, self._number(counts)) * counts

    def spread(self, t: Tensor, like: Tensor, sample_weight: Tensor | None) -> Tensor:
        """The targets as probabilities of all classes, times the shares and the class weights."""
        one = like.narrow(self.axis, 0, 1)
        if t.is_floating_point():
            shares, uniform = self.shares(sample_weight, one), self.label_smoothing
            if uniform:
                t = torch.mul(t, 1 - uniform).add_(uniform / like.shape[self.axis])
        else:
            t, shares = self._one_hot(t, like, sample_weight, one)
        spread = torch.mul(t, shares)
        if self._weight is not None:
            spread.mul_(self.along_classes(self._weight.like(like), like))
        return spread

    def _one_hot(
        self, t: Tensor, like: Tensor, sample_weight: Tensor | None, one: Tensor
    ) -> tuple[Tensor, Any]:
        """Class indices as probabilities, smoothed, 0 where they are ignored; and their shares."""
        ignored = None if self.ignore_index is None else t == self.ignore_index
        number = None
        if self._weight is not None or ignored is not None:
            t, counts = self._counted(t, like)
            number = self._number(counts)
        spread = torch.full_like(like, self.label_smoothing / like.shape[self.axis])
        spread.scatter_(self.axis, t, 1 - self.label_smoothing, reduce="add")
        if ignored is not None:
            spread.masked_fill_(ignored, 0.0)
        return spread, self.shares(sample_weight, one, number)

    def _counted(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Indices fit to gather with, and what each counts: its class' weight, or 0."""
        ignored = None
        if self.ignore_index is not None:
            ignored = t == self.ignore_index
            t = t.masked_fill(ignored, 0)
        if self._weight is None:
            counts = torch.ones_like(t, dtype=like.dtype)
        else:
            counts = self._weight.like(like).take(t)
        return t, counts if ignored is None else counts.masked_fill(ignored, 0.0)

    def _number(self, counts: Tensor) -> Tensor:
        """What the mean divides by; 1 where nothing counts, for a loss of 0."""
        number = counts.sum()
        return number.masked_fill_(number == 0, 1.0)

    def along_classes(self, values: Tensor, like: Tensor) -> Tensor:
        """One number a class, in a shape that multiplies along the class axis."""
        return values.view(-1, *[1] * (like.dim() - 1)).movedim(0, self.axis)
