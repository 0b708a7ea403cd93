"""Losses between whole distributions: what one says of the other."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.losses.constants import LEAST, LEAST_LOG
from kerasish.losses.loss import Ending, Loss
from kerasish.shapes import require_axis


class KLDivergence(Loss):
    """How much is lost where the predicted distribution stands for the true one.

        L = mean of  Σ_c t_c (log t_c - log p_c),    t = y_true, p = y_pred

    The sum is over one axis, the mean over all others, as in Keras; for (N, C) that is torch's
    "batchmean", which divides by N whatever the shape. Torch's "mean" divides by C as well, and is
    no divergence.

    Shapes: y_pred and y_true (N, ..., C), the same. L ().
    Range: probabilities from 0 to 1, or their logarithms.
    Backward: dy_pred = -t / p / n, and for log-probabilities -t / n, n being the number of
        distributions.
    Source: Kullback and Leibler (1951), equation 2.4.
    Raises: ValueError if the shapes differ, or, before training, for targets that are not in range.

    Args:
        axis: the axis that the classes lie on.
        log_input: whether y_pred are log-probabilities, as in torch, or probabilities, as in Keras.
        log_target: the same for y_true.
        reduction: "mean", "sum" or "batchmean".

    Example:
        >>> KLDivergence()(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """

    formula: ClassVar[str] = "L = mean of Σ t (log t - log p)"
    backward_formula: ClassVar[str] = "dy_pred = -t / p / n, or -t / n for log-probabilities"
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "batchmean")

    def __init__(
        self,
        axis: int = -1,
        log_input: bool = False,
        log_target: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.axis, self.log_input, self.log_target = axis, log_input, log_target

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        log_p = y_pred if self.log_input else y_pred.log().clamp_min_(LEAST_LOG)
        if self.log_target:
            log_t, t = t, t.exp()
            values = t * (log_t - log_p)
        else:
            values = torch.xlogy(t, t).sub_(t * log_p)
        one = values.sum(self.axis, keepdim=True)
        shares = self.shares(sample_weight, one)
        self.save_for_backward(y_pred, t, shares)
        return self.total(one, shares)

    def backward(self) -> Tensor:
        y_pred, t, shares = self.saved_tensors()
        dy: Tensor = (t * shares).neg_()
        return dy if self.log_input else dy.div_(y_pred.clamp_min(LEAST))

    def shares(
        self, sample_weight: Tensor | None, values: Tensor, number: int | Tensor | None = None
    ) -> Any:
        """As for each loss; "batchmean" divides by the number of samples."""
        if self.reduction == "batchmean":
            number = len(values) or 1
        return super().shares(sample_weight, values, number)

    @property
    def ending(self) -> Ending:
        if self.log_input:
            return Ending("log-probabilities", f"Add LogSoftmax({self.axis}) at the end, or leave "
                          "log_input=True out.", within=(float("-inf"), 0.0))
        return Ending("probabilities", f"Add Softmax({self.axis}) at the end, or write "
                      "KLDivergence(log_input=True) after LogSoftmax.", within=(0.0, 1.0))

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        super().check_shapes(y_pred, y_true)
        require_axis(self, self.axis, y_pred)

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        if self.log_target:
            self.check_values(y_true, float("-inf"), 0, "log-probabilities of 0 or less as targets",
                              "Leave log_target=True out for probabilities.")
        else:
            self.check_values(y_true, 0, 1, "probabilities from 0 to 1 as targets",
                              "Divide them by their sum, or write log_target=True.")
