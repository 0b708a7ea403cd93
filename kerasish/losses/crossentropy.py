"""Losses of classes: how unlikely the predicted distribution makes the true class."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.losses.classes import ClassLoss
from kerasish.losses.constants import LEAST
from kerasish.losses.loss import Ending


class _Likelihood(ClassLoss):
    """Base of the losses that are linear in log-probabilities: what their forward is."""

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        log_p = self.log_p(y_pred)
        if t.is_floating_point() or self.label_smoothing:
            t = self.spread(t, log_p, sample_weight)
            self.save_for_backward(log_p, t, None)
            return (log_p * t).sum().neg_()
        picked, t, shares = self.at_class(log_p, t, sample_weight)
        self.save_for_backward(log_p, t, shares)
        return self.total(picked, -shares)


class CrossEntropy(_Likelihood):
    """The cross entropy of one class among several.

        L = mean of  -Σ_c t_c log p_c,    p = softmax(y_pred) over the class axis for logits

    Class weights c and sample weights w, for class indices: L = Σ w c v / Σ c, over what is not
    ignored; for probabilities: L = -mean of Σ_c weight_c t_c log p_c. As in torch.

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred. L (). The mean is over all but the class axis.
    Backward: dy_pred = (p Σ_c t_c - t) / n for logits, -t / p / n for probabilities, where n is the
        number of distributions, or Σ c.
    Source: label smoothing: Szegedy et al. (2016), section 7.
    Raises: ValueError for other shapes, indices that are not integers, or, before training,
        classes outside 0..C-1 and probabilities outside [0, 1].

    Args:
        axis: the class axis of y_pred; 1 as in torch.
        from_logits: whether y_pred are logits, any real numbers, or probabilities.
        weight: one number of 0 or more a class.
        ignore_index: a class index that does not count; torch's is -100, here None is. Where all
            are ignored the loss is 0.
        label_smoothing: the share of each target that is spread evenly over all classes.
        reduction: "mean" or "sum".

    Example:
        >>> CrossEntropy()(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """

    formula: ClassVar[str] = "L = mean of -Σ t log p"
    backward_formula: ClassVar[str] = (
        "dy_pred = (p Σ t - t) / n for logits, -t / p / n for probabilities")

    def __init__(
        self,
        axis: int = 1,
        from_logits: bool = True,
        *,
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(axis, weight=weight, ignore_index=ignore_index,
                         label_smoothing=label_smoothing, reduction=reduction)
        self.from_logits = from_logits

    def backward(self) -> Tensor:
        log_p, t, shares = self.saved_tensors()
        p: Tensor = log_p.exp_()
        if shares is None and self.from_logits:
            return p.mul_(t.sum(self.axis, keepdim=True)).sub_(t)
        if shares is None:
            return torch.div(t, p.clamp_min_(LEAST)).neg_()
        if self.from_logits:
            return p.scatter_(self.axis, t, -1.0, reduce="add").mul_(shares)
        likelihood = p.gather(self.axis, t).clamp_min_(LEAST)
        return torch.zeros_like(p).scatter_(self.axis, t, -1 / likelihood).mul_(shares)


class NLL(_Likelihood):
    """The negative log-likelihood of one class among several, from log-probabilities.

        L = mean of  -log p_t = -y_pred_t

    LogSoftmax and NLL together are CrossEntropy, which does both at once and better. Class weights
    and what is ignored count as there.

    Shapes: y_pred (N, C, ...); y_true either class indices, integers of shape (N, ...), or
        probabilities in the shape of y_pred. L (). The mean is over all but the class axis.
    Backward: dy_pred = -t / n, t being 1 at the true class, n the number of distributions, or Σ c.
    Raises: ValueError for other shapes, indices that are not integers, or, before training,
        classes outside 0..C-1 and probabilities outside [0, 1].

    Args:
        axis: the class axis of y_pred; 1 as in torch.
        weight: one number of 0 or more a class.
        ignore_index: a class index that does not count; torch's is -100, here None is.
        reduction: "mean" or "sum".

    Example:
        >>> NLL()(torch.tensor([[-0.5, -1.0]]), torch.tensor([1]))
        tensor(1.)
    """

    formula: ClassVar[str] = "L = mean of -Σ t y_pred"
    backward_formula: ClassVar[str] = "dy_pred = -t / n"

    def __init__(
        self,
        axis: int = 1,
        *,
        weight: Any = None,
        ignore_index: int | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(axis, weight=weight, ignore_index=ignore_index, reduction=reduction)

    @property
    def ending(self) -> Ending:
        return Ending("log-probabilities", f"Add LogSoftmax({self.axis}) at the end, or use "
                      "CrossEntropy, which takes logits.", within=(float("-inf"), 0.0))

    def log_p(self, y_pred: Tensor) -> Tensor:
        return y_pred

    def backward(self) -> Tensor:
        log_p, t, shares = self.saved_tensors()
        if shares is None:
            dy: Tensor = t.neg_()
            return dy
        return torch.zeros_like(log_p).scatter_(self.axis, t, -1.0).mul_(shares)
