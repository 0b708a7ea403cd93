"""Hinge losses: nothing is to pay beyond a margin on the right side."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.losses.classes import ClassLoss
from kerasish.losses.loss import Loss


class Hinge(Loss):
    """Linear in how far a prediction is from the right side of a margin.

        L = mean of  max(0, 1 - t y_pred),    t = y_true, -1 or 1

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets -1 and 1, or 0 and 1, where 0 is read as -1.
    Backward: dy_pred = -t / (number of elements) inside the margin, t y_pred < 1.
    Source: Cortes and Vapnik (1995), equation 2, whose slack this is; 0 and 1 as in Keras.
    Raises: ValueError if the shapes differ, or, before training, for other targets.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> Hinge()(torch.tensor([[0.5]]), torch.tensor([[1.0]]))
        tensor(0.5000)
    """

    formula: ClassVar[str] = "L = mean of max(0, 1 - t y_pred)"
    backward_formula: ClassVar[str] = "dy_pred = -t / n where t y_pred < 1, else 0"

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """Signs in the shape of y_pred, never by broadcasting; 0 becomes -1."""
        t = super().matched(y_pred, y_true)
        return t.masked_fill(t == 0, -1.0)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        lack = torch.rsub(t * y_pred, 1).clamp_min_(0)
        shares = self.shares(sample_weight, lack)
        self.save_for_backward(t, lack, shares)
        return self.total(lack, shares)

    def backward(self) -> Tensor:
        t, lack, shares = self.saved_tensors()
        dy: Tensor = lack.sign_().mul_(t).mul_(shares).neg_()
        return dy

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        found: Tensor = torch.unique(y_true.double())
        signs = bool((found.abs() == 1).all())
        bits = bool(((found == 0) | (found == 1)).all())
        if not signs and not bits:
            shown = ", ".join(f"{float(value):g}" for value in found[:4])
            raise ValueError(f"{self!r} expects targets -1 and 1, or 0 and 1; got {shown}"
                             f"{', ...' if len(found) > 4 else ''}. Map them to signs.")


class SquaredHinge(Hinge):
    """The square of how far a prediction is from the right side of a margin.

        L = mean of  max(0, 1 - t y_pred)²,    t = y_true, -1 or 1

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets -1 and 1, or 0 and 1, where 0 is read as -1.
    Backward: dy_pred = -2 t max(0, 1 - t y_pred) / (number of elements).
    Raises: ValueError if the shapes differ, or, before training, for other targets.

    Args:
        reduction: "mean" or "sum".

    Example:
        >>> SquaredHinge()(torch.tensor([[0.5]]), torch.tensor([[1.0]]))
        tensor(0.2500)
    """

    formula: ClassVar[str] = "L = mean of max(0, 1 - t y_pred)²"
    backward_formula: ClassVar[str] = "dy_pred = -2 t max(0, 1 - t y_pred) / n"

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        lack = torch.rsub(t * y_pred, 1).clamp_min_(0)
        weighted = lack * self.shares(sample_weight, lack)
        self.save_for_backward(t, weighted)
        return torch.dot(lack.reshape(-1), weighted.reshape(-1))

    def backward(self) -> Tensor:
        t, weighted = self.saved_tensors()
        dy: Tensor = weighted.mul_(t).mul_(-2)
        return dy


class CategoricalHinge(ClassLoss):
    """The true class is to lie above all others by a margin.

        L = mean of  max(0, 1 + max_c (1 - t_c) y_c - Σ_c t_c y_c),    y = y_pred

    The first maximum is at least 0, as the true class counts there with 0: so it is in Keras.

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred. L (). The mean is over all but the class axis.
    Backward: dy_pred = (1 - t) / n at the largest (1 - t) y, and -t / n, inside the margin.
    Source: Keras, and Weston and Watkins (1999) for the idea.
    Raises: ValueError for other shapes, indices that are not integers, or, before training,
        classes outside 0..C-1 and probabilities outside [0, 1].

    Args:
        axis: the class axis of y_pred; 1 as in torch.
        reduction: "mean" or "sum".

    Example:
        >>> CategoricalHinge()(torch.tensor([[2.0, 0.5]]), torch.tensor([1]))
        tensor(2.5000)
    """

    formula: ClassVar[str] = "L = mean of max(0, 1 + max (1 - t) y_pred - Σ t y_pred)"
    backward_formula: ClassVar[str] = (
        "dy_pred = (1 - t) / n at the largest (1 - t) y, and -t / n, inside the margin")

    def __init__(self, axis: int = 1, *, reduction: str = "mean") -> None:
        super().__init__(axis, reduction=reduction)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        if not t.is_floating_point():
            t = torch.zeros_like(y_pred).scatter_(self.axis, t, 1.0)
        rest = 1 - t
        highest, at = (rest * y_pred).max(self.axis, keepdim=True)
        true = (t * y_pred).sum(self.axis, keepdim=True)
        lack = highest.sub_(true).add_(1).clamp_min_(0)
        shares = self.shares(sample_weight, lack)
        self.save_for_backward(t, rest, at, lack, shares)
        return self.total(lack, shares)

    def backward(self) -> Tensor:
        t, rest, at, lack, shares = self.saved_tensors()
        dy = torch.neg(t).scatter_add_(self.axis, at, rest.gather(self.axis, at))
        return dy.mul_(lack.sign_().mul_(shares))
