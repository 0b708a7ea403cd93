"""Shares of right answers, and which of them the word "accuracy" means."""

from typing import Any, ClassVar

from torch import Tensor

from kerasish.checks import check_count
from kerasish.losses import BinaryCrossEntropy, CrossEntropy, Loss
from kerasish.metrics.metric import ElementwiseMean, Mean, Metric
from kerasish.shapes import alike
from kerasish.types import Shape

Range = tuple[float, float] | None


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
        self.threshold = threshold
        self.target_threshold = threshold if target_threshold is None else target_threshold

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        return (y_pred > self.threshold) == (alike(self, y_pred, y_true) > self.target_threshold)


class CategoricalAccuracy(Mean):
    """The share of samples whose largest prediction is at the true class.

        mean of  argmax(y_pred) = class

    Shapes: y_pred (N, C, ...); y_true class indices (N, ...), or probabilities in the shape of
        y_pred.

    Args:
        axis: the class axis of y_pred; 1 as in torch.

    Example:
        >>> import torch
        >>> accuracy = CategoricalAccuracy()
        >>> accuracy.update(torch.tensor([[0.1, 0.9]]), torch.tensor([1]))
        >>> accuracy.result()
        1.0
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, axis: int = 1) -> None:
        self.axis = axis

    def check_shapes(self, y_pred: Shape, y_true: Shape) -> None:
        CrossEntropy(axis=self.axis).check_shapes(y_pred, y_true)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        answer = y_pred.argmax(self.axis)
        if y_true.shape == y_pred.shape:
            return answer == y_true.argmax(self.axis)
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        return answer == y_true.reshape(answer.shape)


class TopKCategoricalAccuracy(CategoricalAccuracy):
    """The share of samples whose true class is among the k largest predictions.

    Shapes: as for CategoricalAccuracy.

    Args:
        k: how many guesses there are, at least 1.
        axis: the class axis of y_pred; 1 as in torch.

    Example:
        >>> import torch
        >>> accuracy = TopKCategoricalAccuracy(k=2)
        >>> accuracy.update(torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([2]))
        >>> accuracy.result()
        1.0
    """

    runs_in_step: ClassVar[bool] = True

    def __init__(self, k: int = 5, axis: int = 1) -> None:
        super().__init__(axis)
        self.k = check_count("TopKCategoricalAccuracy(k)", k, 1)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        if y_true.shape == y_pred.shape:
            y_true = y_true.argmax(self.axis)
        else:
            self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        best = y_pred.topk(min(self.k, y_pred.shape[self.axis]), self.axis).indices
        true = y_true if y_true.dim() == y_pred.dim() else y_true.unsqueeze(self.axis)
        return (best == true).any(self.axis)


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


def thresholds_for(loss: Loss | None, y_range: Range) -> tuple[float, float]:
    """Above which predictions, and targets, mean yes with a loss and a last module's range."""
    if loss is not None and loss.from_logits:
        return 0.0, 0.5
    return (0.0, 0.0) if y_range == (-1.0, 1.0) else (0.5, 0.5)


def accuracy_for(
    loss: Loss, y_range: tuple[float, float] | None, y_true: Tensor | None = None
) -> Mean | None:
    """What "accuracy" means for a loss, a model that ends in that range, and these targets.

    Cross entropies decide it by themselves; else the middle of a bounded range of the last module,
    Tanh or Sigmoid; else targets that are all 0 and 1, or all -1 and 1.

    Returns: the metric, or None if only the targets can tell and are not given.
    Raises: ValueError if the targets do not tell.
    """
    if isinstance(loss, CrossEntropy):
        return CategoricalAccuracy(axis=loss.axis)
    if isinstance(loss, BinaryCrossEntropy):
        return BinaryAccuracy(0.0 if loss.from_logits else 0.5, target_threshold=0.5)
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
