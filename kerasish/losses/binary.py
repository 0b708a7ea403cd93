"""Losses of yes or no: each element on its own has a probability."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.losses.constants import LEAST, LEAST_LOG, Constants
from kerasish.losses.loss import Loss

_log_sigmoid: Callable[[Tensor], Tensor] = torch.ops.aten.log_sigmoid.default


class BinaryLoss(Loss):
    """Base of losses of yes-or-no targets t, from logits or probabilities.

    Shapes: y_pred and y_true t (N, ...), the same; (N,) counts as (N, 1).
    """

    def __init__(
        self, from_logits: bool = True, *, label_smoothing: float = 0.0, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction=reduction)
        self.from_logits = from_logits
        self.label_smoothing = check_number(
            f"{type(self).__name__}(label_smoothing)", label_smoothing, 0, 1)

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """y_true in the shape of y_pred, never by broadcasting; smoothed if wanted."""
        t = super().matched(y_pred, y_true)
        if not self.label_smoothing:
            return t
        return torch.mul(t, 1 - self.label_smoothing).add_(self.label_smoothing / 2)

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        self.check_values(
            y_true, 0, 1, "targets from 0 to 1",
            "Map them, y = (y + 1) / 2 for signs, or use loss='mse' with a Tanh at the end.")

    def surprise(self, y_pred: Tensor, t: Tensor, pull: Tensor | None = None) -> Tensor:
        """-t log p - (1 - t) log(1 - p), times `pull` in the first term.

        For a logit z it is (1 - t) z - (1 - t + t pull) log p, with log p from a kernel that never
        overflows.
        """
        if not self.from_logits:
            yes, no = y_pred.log().clamp_min_(LEAST_LOG), (-y_pred).log1p_().clamp_min_(LEAST_LOG)
            return (t if pull is None else t * pull).mul(yes).add_((1 - t).mul_(no)).neg_()
        log_p = _log_sigmoid(y_pred)
        if pull is not None:
            log_p.mul_(pull_of(t, pull))
        return torch.rsub(t, 1).mul_(y_pred).sub_(log_p)


def pull_of(t: Tensor, pull: Tensor) -> Tensor:
    """1 - t + t pull: how strongly each target pulls, from 1 for no to `pull` for yes."""
    return (pull - 1).mul(t).add_(1)


class BinaryCrossEntropy(BinaryLoss):
    """The cross entropy of yes-or-no targets, each element on its own.

        L = mean of  -a t log p - (1 - t) log(1 - p),    p = 1 / (1 + exp(-y_pred)) for logits

    where a is `pos_weight`, 1 if there is none. Computed as (1 - t) z - log p for a logit z, which
    never overflows.

    Shapes: y_pred and y_true t (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets from 0 to 1.
    Backward: dy_pred = (p - t) / n for logits, (p - t) / (p (1 - p)) / n for probabilities, where n
        is the number of elements; with `pos_weight`, p (1 - t + a t) - a t takes the place of
        p - t.
    Raises: ValueError if the shapes differ, or, before training, for targets outside [0, 1].

    Args:
        from_logits: whether y_pred are logits, any real numbers, or probabilities.
        pos_weight: how much more a yes counts than a no, 0 or more: a number, or as in torch a
            shape that lines up with the last axes of y_pred.
        label_smoothing: the share of each target that is moved to one half.
        reduction: "mean" or "sum".

    Example:
        >>> BinaryCrossEntropy()(torch.zeros(1, 1), torch.ones(1, 1))
        tensor(0.6931)
    """

    formula: ClassVar[str] = "L = mean of -t log p - (1 - t) log(1 - p)"
    backward_formula: ClassVar[str] = (
        "dy_pred = (p - t) / n for logits, (p - t) / (p (1 - p)) / n for probabilities")

    def __init__(
        self,
        from_logits: bool = True,
        *,
        pos_weight: Any = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(from_logits, label_smoothing=label_smoothing, reduction=reduction)
        self.pos_weight, self._pull = pos_weight, None
        if pos_weight is not None:
            self._pull = Constants("BinaryCrossEntropy(pos_weight)", pos_weight)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        pull = None
        if self._pull is not None:
            self._check_pos_weight(tuple(y_pred.shape))
            pull = self._pull.like(y_pred)
        values = self.surprise(y_pred, t, pull)
        shares = self.shares(sample_weight, values)
        self.save_for_backward(y_pred, t, pull, shares)
        return self.total(values, shares)

    def backward(self) -> Tensor:
        y_pred, t, pull, shares = self.saved_tensors()
        p = torch.sigmoid(y_pred) if self.from_logits else y_pred
        dy = p - t if pull is None else pull_of(t, pull).mul_(p).sub_(t * pull)
        if not self.from_logits:
            dy.div_((p * (1 - p)).clamp_min_(LEAST))
        return dy.mul_(shares)

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        super().check_shapes(y_pred, y_true)
        self._check_pos_weight(y_pred)

    def _check_pos_weight(self, y_pred: tuple[int, ...]) -> None:
        shape = () if self._pull is None else self._pull.shape
        last = y_pred[len(y_pred) - len(shape) :]
        if len(shape) >= max(len(y_pred), 1) or any(
            size not in (1, there) for size, there in zip(shape, last, strict=True)
        ):
            raise ValueError(
                f"BinaryCrossEntropy(pos_weight) expects a number, or a shape that lines up with "
                f"the last axes of y_pred, {y_pred}; got {shape}. Give one a class, shape "
                f"{(*y_pred[1:2], *[1] * (len(y_pred) - 2))}."
            )
