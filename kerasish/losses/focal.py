"""Focal losses: cross entropies that turn to what is still predicted badly."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.losses.binary import BinaryLoss
from kerasish.losses.classes import ClassLoss
from kerasish.losses.constants import LEAST, Constants


class BinaryFocal(BinaryLoss):
    """The cross entropy of yes-or-no targets, less the more of an element is right already.

        L = mean of  a m^γ (-t log p - (1 - t) log(1 - p)),    m = p (1 - t) + t (1 - p)

    where p = 1 / (1 + exp(-y_pred)) for logits, m is the probability of being wrong, and a is
    alpha t + (1 - alpha) (1 - t), or 1.

    Shapes: y_pred and y_true t (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets from 0 to 1.
    Backward: with the cross entropy v and q = p (1 - p), for logits
        dy_pred = a m^γ ((p - t) + γ v (1 - 2t) q / m) / n, for probabilities that over q.
    Source: Lin et al. (2017), "Focal loss for dense object detection", equations 4 and 5; there
        alpha is 0.25.
    Raises: ValueError if the shapes differ, or, before training, for targets outside [0, 1].

    Args:
        gamma: how much less what is right counts, 0 or more; 0 is BinaryCrossEntropy.
        alpha: the share of attention for yes, from 0 to 1; None weighs both alike.
        from_logits: whether y_pred are logits, any real numbers, or probabilities.
        label_smoothing: the share of each target that is moved to one half.
        reduction: "mean" or "sum".

    Example:
        >>> BinaryFocal()(torch.zeros(1, 1), torch.ones(1, 1))
        tensor(0.1733)
    """

    formula: ClassVar[str] = "L = mean of (p (1 - t) + t (1 - p))^γ (-t log p - (1 - t) log(1 - p))"
    backward_formula: ClassVar[str] = (
        "dy_pred = a m^γ ((p - t) + γ v (1 - 2t) q / m) / n for logits, that over q for "
        "probabilities")

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        from_logits: bool = True,
        *,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(from_logits, label_smoothing=label_smoothing, reduction=reduction)
        self.gamma = check_number("BinaryFocal(gamma)", gamma, 0, fix="2.0 is usual.")
        self.alpha = alpha
        if alpha is not None:
            self.alpha = check_number("BinaryFocal(alpha)", alpha, 0, 1, "0.25 is usual.")

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        p = torch.sigmoid(y_pred) if self.from_logits else y_pred
        surprise = self.surprise(y_pred, t)
        wrong = torch.addcmul(p + t, p, t, value=-2)
        factor = wrong.pow(self.gamma).mul_(self.shares(sample_weight, wrong))
        if self.alpha is not None:
            factor.mul_((t * (2 * self.alpha - 1)).add_(1 - self.alpha))
        self.save_for_backward(p, t, surprise, wrong, factor)
        return (factor * surprise).sum()

    def backward(self) -> Tensor:
        p, t, surprise, wrong, factor = self.saved_tensors()
        slope = p * (1 - p)
        turned = torch.div(slope, wrong.clamp_min_(tiny(wrong))).mul_(surprise).mul_(1 - 2 * t)
        dy = turned.mul_(self.gamma).add_(p).sub_(t).mul_(factor)
        return dy if self.from_logits else dy.div_(slope.clamp_min_(LEAST))


class Focal(ClassLoss):
    """The cross entropy of one class among several, less the more of a sample is right already.

        L = mean of  -Σ_c a_c t_c (1 - p_c)^γ log p_c,    p = softmax(y_pred) for logits

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred. L (). The mean is over all but the class axis.
    Backward: with g_c = -a_c t_c ((1 - p_c)^γ - γ p_c (1 - p_c)^(γ - 1) log p_c) / n it is
        dy_pred = g - p Σ_c g_c for logits, and g / p for probabilities.
    Source: Lin et al. (2017), "Focal loss for dense object detection", equations 4 and 5, for
        several classes as in Keras, where alpha is 0.25.
    Raises: ValueError for other shapes, indices that are not integers, or, before training,
        classes outside 0..C-1 and probabilities outside [0, 1].

    Args:
        gamma: how much less what is right counts, 0 or more; 0 is CrossEntropy.
        alpha: a factor, or one a class; unlike the `weight` of CrossEntropy it divides nothing.
        axis: the class axis of y_pred; 1 as in torch.
        from_logits: whether y_pred are logits, any real numbers, or probabilities.
        ignore_index: a class index that does not count.
        label_smoothing: the share of each target that is spread evenly over all classes.
        reduction: "mean" or "sum".

    Example:
        >>> Focal()(torch.zeros(1, 4), torch.tensor([2]))
        tensor(0.7798)
    """

    formula: ClassVar[str] = "L = mean of -Σ t (1 - p)^γ log p"
    backward_formula: ClassVar[str] = (
        "g = -a t ((1 - p)^γ - γ p (1 - p)^(γ - 1) log p) / n,  dy_pred = g - p Σ g for "
        "logits, g / p for probabilities")

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: Any = None,
        axis: int = 1,
        from_logits: bool = True,
        *,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(axis, ignore_index=ignore_index, label_smoothing=label_smoothing,
                         reduction=reduction)
        self.gamma = check_number("Focal(gamma)", gamma, 0, fix="2.0 is usual.")
        self.alpha, self.from_logits = alpha, from_logits
        self._alpha = None if alpha is None else Constants("Focal(alpha)", alpha)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        log_p = self.log_p(y_pred)
        t = self.spread(t, log_p, sample_weight)
        if self._alpha is not None:
            t.mul_(self.along_classes(self._alpha.like(log_p), log_p))
        rest = log_p.expm1().neg_()
        t.mul_(rest.pow(self.gamma))
        self.save_for_backward(log_p, rest, t)
        return (t * log_p).sum().neg_()

    def backward(self) -> Tensor:
        log_p, rest, t = self.saved_tensors()
        p = log_p.exp()
        turned = torch.div(p, rest.clamp_min_(tiny(rest))).mul_(log_p).mul_(self.gamma)
        g = turned.sub_(1).mul_(t)
        if self.from_logits:
            return g.sub_(p.mul_(g.sum(self.axis, keepdim=True)))
        return g.div_(p.clamp_min_(LEAST))

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        super().check_shapes(y_pred, y_true)
        if self._alpha is not None and self._alpha.shape not in ((), (y_pred[self.axis],)):
            raise ValueError(
                f"Focal(alpha) expects a number, or one a class, {y_pred[self.axis]} as in y_pred; "
                f"got shape {self._alpha.shape}. Give one for each class."
            )


def tiny(like: Tensor) -> float:
    """The least number to divide by in that type."""
    return torch.finfo(like.dtype).tiny
