"""Shares of right answers, and which of them the word "accuracy" means."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number
from kerasish.losses import Hinge, KLDivergence, Loss
from kerasish.losses.binary import BinaryLoss
from kerasish.losses.classes import ClassLoss
from kerasish.metrics.metric import ElementwiseMean, Mean, Metric
from kerasish.metrics.reading import Range, Reading, weight_each
from kerasish.shapes import alike
from kerasish.types import Shape


class Accuracy(ElementwiseMean):
    """The share of elements that are equal, for predictions that are labels already.

        mean of  y_pred = y_true

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).

    Example:
        >>> import torch
        >>> accuracy = Accuracy()
        >>> accuracy.update(torch.tensor([1, 2, 3]), torch.tensor([1, 2, 4]))
        >>> round(accuracy.result(), 4)
        0.6667
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return y_pred == alike(self, y_pred, y_true)


class BinaryAccuracy(ElementwiseMean):
    """The share of elements on the right side of a threshold.

        mean of  (y_pred > threshold) = (y_true > threshold)

    NaN, predicted or true, lies on neither side: a wrong answer.

    Shapes: y_pred and y_true (N, ...), the same; (N,) counts as (N, 1).

    Args:
        threshold: 0.5 for probabilities, 0 for logits and for signs.
        target_threshold: the same for y_true, where it differs: 0.5 beside logits.

    Example:
        >>> import torch
        >>> accuracy = BinaryAccuracy(threshold=0.0)
        >>> accuracy.update(torch.tensor([0.3, -2.0]), torch.tensor([1.0, 1.0]))
        >>> accuracy.result()
        0.5
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, threshold: float = 0.5, target_threshold: float | None = None) -> None:
        self.threshold = check_number("BinaryAccuracy(threshold)", threshold)
        if target_threshold is None:
            target_threshold = threshold
        self.target_threshold = check_number("BinaryAccuracy(target_threshold)", target_threshold)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        y_true = alike(self, y_pred, y_true)
        yes = (y_pred > self.threshold).logical_and_(y_true > self.target_threshold)
        no = (y_pred <= self.threshold).logical_and_(y_true <= self.target_threshold)
        return yes.logical_or_(no)


class CategoricalAccuracy(Mean):
    """The share of samples whose largest prediction is at the true class.

        mean of  argmax(y_pred) = class

    Predictions with a NaN among them are wrong answers.

    Shapes: y_pred (N, C, ...); y_true class indices (N, ...), or probabilities in the shape of
        y_pred.

    Args:
        axis: the class axis of y_pred; None is the loss', or 1 as in torch.
        ignore_index: a class index that does not count, as in CrossEntropy; None is the loss'.

    Example:
        >>> import torch
        >>> accuracy = CategoricalAccuracy()
        >>> accuracy.update(torch.tensor([[0.1, 0.9]]), torch.tensor([1]))
        >>> accuracy.result()
        1.0
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True
    settings: ClassVar[tuple[str, ...]] = ("_reading",)

    def __init__(self, axis: int | None = None, ignore_index: int | None = None) -> None:
        self._reading = Reading(type(self).__name__, axis, ignore_index)

    @property
    def axis(self) -> int:
        """The class axis of y_pred."""
        return self._reading.axis

    def told(self, loss: Any, y_range: Range) -> None:
        self._reading.told(loss, y_range)

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        ignored = self._reading.ignore_index
        if ignored is None or y_true.shape == y_pred.shape:
            super().update(y_pred, y_true, sample_weight)
            return
        right = self.values(y_pred, y_true)
        counts = (y_true.reshape(right.shape) != ignored).to(torch.float64)
        if sample_weight is not None:
            counts.mul_(weight_each(sample_weight, right))
        self._take((right * counts).sum(), counts.sum(), 0)

    def check_shapes(self, y_pred: Shape, y_true: Shape) -> None:
        self._reading.check_classes(y_pred, y_true)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        best, answer = y_pred.max(self.axis)  # NaN if one is, which does not equal itself
        return (answer == self._true(y_pred, y_true, answer)).logical_and_(best == best)

    def _true(self, y_pred: Tensor, y_true: Tensor, answer: Tensor) -> Tensor:
        """The true classes, in the shape of the answers."""
        if y_true.shape == y_pred.shape:
            return y_true.argmax(self.axis)
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        return y_true.reshape(answer.shape)


class TopKCategoricalAccuracy(CategoricalAccuracy):
    """The share of samples whose true class is among the k largest predictions.

    Predictions with a NaN among them are wrong answers.

    Shapes: as for CategoricalAccuracy.

    Args:
        k: how many guesses there are, at least 1.
        axis, ignore_index: as for CategoricalAccuracy.

    Example:
        >>> import torch
        >>> accuracy = TopKCategoricalAccuracy(k=2)
        >>> accuracy.update(torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([2]))
        >>> accuracy.result()
        1.0
    """

    runs_in_step: ClassVar[bool] = True

    def __init__(self, k: int = 5, axis: int | None = None,
                 ignore_index: int | None = None) -> None:
        super().__init__(axis, ignore_index)
        self.k = check_count("TopKCategoricalAccuracy(k)", k, 1)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        best, guesses = y_pred.topk(min(self.k, y_pred.shape[self.axis]), self.axis)
        largest = best.select(self.axis, 0)
        true = self._true(y_pred, y_true, largest).unsqueeze(self.axis)
        return (guesses == true).any(self.axis).logical_and_(largest == largest)


class AccuracyByTargets(Metric):
    """Stands for an "accuracy" that only the targets can decide, until they are seen.

    Args:
        loss: what the model is trained with.
    """

    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def decided(self, y_true: Any) -> Metric:
        return accuracy_for(self.loss, None, y_true) or self

    def __repr__(self) -> str:
        return "decided by the targets"


def accuracy_for(
    loss: Loss, y_range: Range, y_true: Tensor | None = None
) -> Mean | None:
    """What "accuracy" means for a loss, a model that ends in that range, and these targets.

    Losses of classes and hinges decide it by themselves; else the middle of a bounded range of the
    last module, Tanh or Sigmoid; else targets that are all 0 and 1, or all -1 and 1.

    Returns: the metric, or None if only the targets can tell and are not given.
    Raises: ValueError if the targets do not tell.
    """
    if isinstance(loss, ClassLoss):
        ignored = {} if loss.ignore_index is None else {"ignore_index": loss.ignore_index}
        return CategoricalAccuracy(axis=loss.axis, **ignored)
    if isinstance(loss, KLDivergence):
        return CategoricalAccuracy(axis=loss.axis)
    if isinstance(loss, BinaryLoss):
        return BinaryAccuracy(0.0 if loss.from_logits else 0.5, target_threshold=0.5)
    if isinstance(loss, Hinge):
        return BinaryAccuracy(threshold=0.0)  # whether no is -1 or 0
    if y_range in ((-1.0, 1.0), (0.0, 1.0)):
        return BinaryAccuracy(threshold=sum(y_range) / 2)
    if y_true is None:
        return None
    pairs = [(low, high) for low, high in ((0, 1), (-1, 1))
             if bool(((y_true == low) | (y_true == high)).all())]
    if len(pairs) == 1:  # all targets 1 would fit both
        return BinaryAccuracy(threshold=sum(pairs[0]) / 2)
    raise ValueError(
        f"compile(metrics) expects targets that tell what 'accuracy' means with {loss!r}; got "
        f"targets from {float(y_true.min()):g} to {float(y_true.max()):g}, neither 0 and 1 nor "
        "-1 and 1. Say which with metrics=[BinaryAccuracy(threshold=...)]."
    )
