"""Losses of classes: how unlikely the predicted distribution makes the true class."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.losses.loss import Loss

_LEAST = 1e-12
"""Probabilities are cut here where they divide, as in torch."""

_LEAST_LOG = -100.0
"""Logarithms of probabilities are cut here, as in torch, so that that of 0 stays finite."""


class BinaryCrossEntropy(Loss):
    """The cross entropy of yes-or-no targets, each element on its own.

        L = mean of  -t log p - (1 - t) log(1 - p),    p = 1 / (1 + exp(-y_pred)) for logits

    Computed as max(z, 0) - z t + log(1 + exp(-|z|)) for a logit z, which never overflows.

    Shapes: y_pred and y_true t (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets from 0 to 1.
    Backward: dy_pred = (p - t) / n for logits, (p - t) / (p (1 - p)) / n for probabilities, where n
        is the number of elements.
    Raises: ValueError if the shapes differ, or, before training, for targets outside [0, 1].

    Args:
        from_logits: whether y_pred are logits, any real numbers, or probabilities.

    Example:
        >>> BinaryCrossEntropy()(torch.zeros(1, 1), torch.ones(1, 1))
        tensor(0.6931)
    """

    formula: ClassVar[str] = "L = mean of -t log p - (1 - t) log(1 - p)"

    def __init__(self, from_logits: bool = True) -> None:
        self.from_logits = from_logits

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        if self.from_logits:
            values = y_pred.clamp_min(0) - y_pred * t + (-y_pred.abs()).exp_().log1p_()
        else:
            yes, no = y_pred.log().clamp_min(_LEAST_LOG), (-y_pred).log1p_().clamp_min(_LEAST_LOG)
            values = -(t * yes + (1 - t) * no)
        self.save_for_backward(y_pred, t, self.weights(sample_weight, values))
        return self.mean(values, sample_weight)

    def backward(self) -> Tensor:
        y_pred, t, weights = self.saved_tensors()
        if self.from_logits:
            dy = torch.sigmoid(y_pred).sub_(t)
        else:
            dy = (y_pred - t).div_((y_pred * (1 - y_pred)).clamp_min_(_LEAST))
        return dy.mul_(weights).div_(dy.numel() or 1)

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        low, high = float(y_true.min()), float(y_true.max())
        if not (0 <= low and high <= 1):
            raise ValueError(
                f"{self!r} expects targets from 0 to 1; got {low:g} to {high:g}. "
                "Map them, y = (y + 1) / 2 for signs, or use loss='mse' with a Tanh at the end."
            )


class CrossEntropy(Loss):
    """The cross entropy of one class among several.

        L = mean of  -Σ_c t_c log p_c,    p = softmax(y_pred) over the class axis for logits

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred. L (). The mean is over all but the class axis.
    Backward: dy_pred = (p Σ_c t_c - t) / n for logits, -t / p / n for probabilities, where n is the
        number of distributions.
    Raises: ValueError for other shapes, indices that are not integers, or classes outside 0..C-1.

    Args:
        axis: the class axis of y_pred; 1 as in torch.
        from_logits: whether y_pred are logits, any real numbers, or probabilities.

    Example:
        >>> CrossEntropy()(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """

    formula: ClassVar[str] = "L = mean of -Σ t log p"

    def __init__(self, axis: int = 1, from_logits: bool = True) -> None:
        self.axis, self.from_logits = axis, from_logits

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        if self.from_logits:
            log_p = torch.log_softmax(y_pred, self.axis)
        else:
            log_p = y_pred.log().clamp_min_(_LEAST_LOG)
        values = self._values(log_p, t)
        self.save_for_backward(log_p, t, self.weights(sample_weight, values))
        return self.mean(values, sample_weight)

    def backward(self) -> Tensor:
        log_p, t, weights = self.saved_tensors()
        indices = not t.is_floating_point()
        p: Tensor = log_p.exp_()
        if self.from_logits and indices:
            dy = p.scatter_add_(self.axis, t, p.new_full((), -1.0).expand(t.shape))
        elif self.from_logits:
            dy = p.mul_(t.sum(self.axis, keepdim=True)).sub_(t)
        elif indices:
            likelihood = p.gather(self.axis, t).clamp_min_(_LEAST)
            dy = torch.zeros_like(p).scatter_(self.axis, t, -1 / likelihood)
        else:
            dy = -t / p.clamp_min_(_LEAST)
        if isinstance(weights, Tensor):
            dy.mul_(weights.unsqueeze(self.axis))
        return dy.div_(dy.numel() // max(dy.shape[self.axis], 1) or 1)

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """Probabilities as they are; indices with a class axis of size 1, ready to gather."""
        if y_true.shape == y_pred.shape:
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
            return
        self._check_type(y_true)
        classes, low, high = y_pred[self.axis], int(y_true.min()), int(y_true.max())
        if low < 0 or high >= classes:
            outside = ((y_true < 0) | (y_true >= classes)).reshape(len(y_true), -1).any(1)
            raise ValueError(
                f"{self!r} expects classes from 0 to {classes - 1}, as y_pred has {classes}; got "
                f"{low} to {high}, first in sample {int(outside.nonzero()[0])}. Change the last "
                "module's size, or count classes from 0."
            )

    def _check_type(self, indices: Tensor) -> None:
        if indices.is_floating_point():
            raise ValueError(
                f"{self!r} expects class indices as integers; got {indices.dtype}. "
                "Write y.astype('int64'), or y.long() for a tensor."
            )

    def _values(self, log_p: Tensor, t: Tensor) -> Tensor:
        if t.is_floating_point():
            return -(log_p * t).sum(self.axis)
        return -log_p.gather(self.axis, t).squeeze(self.axis)
