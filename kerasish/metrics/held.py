"""Metrics that need all samples at once, which they keep until somebody looks."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.metrics.metric import Metric
from kerasish.metrics.reading import Range, Reading


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

    Scores of labels get labels: classes by their largest prediction, yes and no by the threshold
    that fits the loss. Other scores get numbers; where the loss takes logits, or logarithms of
    probabilities, these are the probabilities: (N, C) of several classes, (N,) of the second of
    two. Samples that weigh nothing, or that the loss ignores, are left out. With NaN in the rest
    the score is NaN.

    Shapes: y_pred (N, C, ...) with class indices (N, ...), or both the same shape.
    Raises: TypeError for what is no function; ValueError for other shapes, before training.

    Args:
        function: f1_score, cohen_kappa_score, r2_score, ...
        labels: whether it takes labels, as f1_score does; False for numbers or probabilities, as
            mean_absolute_error, log_loss and roc_auc_score(multi_class="ovr") do. None is labels
            with losses of classes or of yes and no, numbers with other losses, and without one
            labels for class indices.
        name: what logs show; None is the function's name.
        axis: the class axis of y_pred; None is the loss', or 1 as in torch.
        arguments: its other arguments, `average="macro"` for instance; one called labels, which
            log_loss needs where not all classes are there, goes in by functools.partial.

    Example:
        >>> def agreement(y_true, y_pred, sample_weight=None):
        ...     return (y_true == y_pred).mean()
        >>> metric = ScikitMetric(agreement)
        >>> metric.update(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        >>> metric.result()
        0.5
    """

    settings: ClassVar[tuple[str, ...]] = ("_reading", "arguments")

    def __init__(self, function: Callable[..., Any], labels: bool | None = None,
                 name: str | None = None, axis: int | None = None, **arguments: Any) -> None:
        if not callable(function):
            raise TypeError("ScikitMetric(function) expects a function of (y_true, y_pred); got "
                            f"{function!r}. Write sklearn.metrics.f1_score, for instance.")
        if not (labels is None or isinstance(labels, bool)):
            raise ValueError(
                "ScikitMetric(labels) expects True for a score of labels, False for one of "
                f"numbers, or None; got {labels!r}. For the score's own argument labels, write "
                "functools.partial(score, labels=...)."
            )
        self.function, self.labels, self.arguments = function, labels, arguments
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self._reading = Reading("ScikitMetric", axis)

    def told(self, loss: Any, y_range: Range) -> None:
        self._reading.told(loss, y_range)

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self._reading.check_shapes(self, y_pred, y_true)

    def score(self, y_pred: Tensor, y_true: Tensor, weight: Tensor) -> float:
        reading = self._reading
        classes = reading.of_classes(tuple(y_pred.shape), tuple(y_true.shape))
        y_pred, y_true, weight = reading.rows(self, y_pred, y_true, weight)
        if not len(y_pred) or bool(y_pred.isnan().any() | y_true.isnan().any()):
            return math.nan
        labels = self.labels
        if labels is None:
            labels = classes if reading.of_labels is None else reading.of_labels
        if classes:
            y_pred = y_pred.argmax(1) if labels else _of_two(reading.probabilities(y_pred, 1))
        elif labels:
            y_pred, y_true = (y_pred > reading.yes).long(), (y_true > reading.true).long()
        else:
            y_pred = reading.probabilities(y_pred, 1)
        weights = {} if bool((weight == 1).all()) else {"sample_weight": weight.cpu().numpy()}
        true, predicted = (
            (part.squeeze(1) if part.dim() == 2 and part.shape[1] == 1 else part).cpu().numpy()
            for part in (y_true, y_pred))
        return float(self.function(true, predicted, **weights, **self.arguments))


def _of_two(probabilities: Tensor) -> Tensor:
    """Of two classes the second one's, as scikit-learn takes them; of more all of them."""
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
