"""Losses that are watched without being trained on."""

from typing import Any, ClassVar

from torch import Tensor

from kerasish.differentiable import saving
from kerasish.losses import Loss
from kerasish.metrics.metric import Mean, zeros_on
from kerasish.naming import snake_case


class LossMetric(Mean):
    """A loss as a metric: its mean over samples.

        result = Σ w v / Σ w

    Args:
        loss: any Loss with the reduction "mean"; a name that is only a loss's stands for this.

    Example:
        >>> import torch
        >>> from kerasish.losses import MSE
        >>> metric = LossMetric(MSE())
        >>> metric.update(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))
        >>> round(metric.result(), 6)
        2.5
    """

    higher_is_better: ClassVar[bool | None] = False

    def __init__(self, loss: Loss) -> None:
        self.loss, self.name = loss, snake_case(type(loss).__name__)

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self.loss.check_shapes(y_pred, y_true)

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        with saving(False):
            mean = self.loss.forward(y_pred.double(), y_true, sample_weight)
        self._total = zeros_on(mean) if self._total is None else self._total
        self._total.add_(mean, alpha=len(y_pred))
        if sample_weight is None:
            self._count += len(y_pred)
        else:
            self._weight = zeros_on(mean) if self._weight is None else self._weight
            self._weight.add_(sample_weight.sum())
