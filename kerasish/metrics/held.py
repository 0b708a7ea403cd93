"""Metrics that need all samples at once, which they keep until somebody looks."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.metrics.accuracy import Range, thresholds_for
from kerasish.metrics.metric import Metric


class Held(Metric):
    """Base of metrics of the whole: a subclass writes `score(y_pred, y_true, weight)`.

    Predictions, targets and weights are kept on their device, in float64 where they are weights.
    """

    _kept: list[tuple[Tensor, Tensor, Tensor]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes the list here, so that a subclass may leave out `super().__init__()`."""
        self = super().__new__(cls, *args, **kwargs)
        self._kept = []
        return self

    def score(self, y_pred: Tensor, y_true: Tensor, weight: Tensor) -> float:
        """The value for all samples, with a weight each, not all 0."""
        raise NotImplementedError(f"{type(self).__name__} needs a score method. Write it.")

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        with torch.inference_mode(False):  # they outlive the step
            if sample_weight is None:
                sample_weight = y_pred.new_ones(len(y_pred), dtype=torch.float64)
            given = (y_pred.clone(), y_true.clone(), sample_weight.to(torch.float64, copy=True))
            self._kept.append(given)

    def result(self) -> float:
        if not any(float(weight.sum()) for _, _, weight in self._kept):
            return math.nan
        return self.score(*(torch.cat(parts) for parts in zip(*self._kept, strict=True)))

    def reset(self) -> None:
        self._kept = []


class ScikitMetric(Held):
    """Any of scikit-learn's scores, over all samples at once: `score(y_true, y_pred, ...)`.

    Shapes: predictions (N, C) with class indices (N,), or both the same shape.

    Args:
        function: f1_score, cohen_kappa_score, r2_score, ...
        labels: whether it takes class labels: predictions are turned into these, by the largest of
            several or by the threshold that fits the loss; False gives it the predictions.
        name: what logs show; None is the function's name.
        arguments: its other arguments, `average="macro"` for instance.

    Example:
        >>> def agreement(y_true, y_pred, sample_weight=None):
        ...     return (y_true == y_pred).mean()
        >>> metric = ScikitMetric(agreement)
        >>> metric.update(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        >>> metric.result()
        0.5
    """

    def __init__(self, function: Callable[..., Any], labels: bool = True, name: str | None = None,
                 **arguments: Any) -> None:
        self.function, self.labels, self.arguments = function, labels, arguments
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self._yes, self._true = thresholds_for(None, None)

    def told(self, loss: Any, y_range: Range) -> None:
        self._yes, self._true = thresholds_for(loss, y_range)

    def score(self, y_pred: Tensor, y_true: Tensor, weight: Tensor) -> float:
        if self.labels and y_true.dim() < y_pred.dim() and y_pred.shape[1] > 1:
            y_pred = y_pred.argmax(1)
        elif self.labels:
            y_pred, y_true = (y_pred > self._yes).long(), (y_true > self._true).long()
        weights = {} if bool((weight == 1).all()) else {"sample_weight": weight.cpu().numpy()}
        true, predicted = (
            (part.squeeze(1) if part.dim() == 2 and part.shape[1] == 1 else part).cpu().numpy()
            for part in (y_true, y_pred))
        return float(self.function(true, predicted, **weights, **self.arguments))
