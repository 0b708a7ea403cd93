"""What was taken for what: the confusion matrix, and the scores that are formulas of it."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice, check_number
from kerasish.metrics.accuracy import CategoricalAccuracy, Range, thresholds_for
from kerasish.metrics.metric import Metric, zeros_on
from kerasish.shapes import alike, require_alike

_AVERAGES = ("macro", "micro", "weighted")


class ConfusionMatrix(Metric):
    """Counts how often each true class was taken for each class.

        M[i, j] = Σ w over the samples of class i that were taken for class j

    Targets in the shape of y_pred are yes or no for each element, and M has two rows; else y_true
    are class indices, and a sample is taken for the class of its largest prediction.

    Shapes: y_pred (N, ...) with y_true the same ((N,) counts as (N, 1)), or y_pred (N, C, ...) with
        y_true (N, ...). `result()` is a numpy array (C, C), or NaN before the first sample.
    Raises: ValueError for other shapes, before training.

    Args:
        threshold: above which a prediction means yes; None is 0 where the loss takes logits or the
            model ends in Tanh, and else 0.5.
        axis: the class axis of y_pred; 1 as in torch.

    Example:
        >>> matrix = ConfusionMatrix()
        >>> matrix.update(torch.tensor([0.9, 0.2, 0.8]), torch.tensor([1.0, 0.0, 0.0]))
        >>> matrix.result()
        array([[1., 1.],
               [0., 1.]])
    """

    runs_in_step: ClassVar[bool] = True

    _matrix: Tensor | None = None

    def __init__(self, threshold: float | None = None, axis: int = 1) -> None:
        self.threshold, self.axis = threshold, axis
        self._yes, self._true = thresholds_for(None, None)
        if threshold is not None:
            self._yes = check_number(f"{type(self).__name__}(threshold)", threshold)

    def told(self, loss: Any, y_range: Range) -> None:
        yes, self._true = thresholds_for(loss, y_range)
        self._yes = yes if self.threshold is None else self.threshold

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        if len(y_true) < len(y_pred) and y_pred[self.axis] > 1:
            CategoricalAccuracy(self.axis).check_shapes(y_pred, y_true)
        else:
            require_alike(self, y_pred, y_true)

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        if y_true.dim() < y_pred.dim() and y_pred.shape[self.axis] > 1:
            classes, taken, true = y_pred.shape[self.axis], y_pred.argmax(self.axis), y_true.long()
        else:
            classes, taken = 2, (y_pred > self._yes).long()
            true = (alike(self, y_pred, y_true) > self._true).long()
        weight = torch.ones_like(taken, dtype=torch.float64)
        if sample_weight is not None:
            weight.mul_(sample_weight.view(-1, *[1] * (taken.dim() - 1)))
        if self._matrix is None:
            self._matrix = zeros_on(y_pred, classes, classes)
        self._matrix.view(-1).scatter_add_(0, (true * classes + taken).flatten(), weight.flatten())

    def result(self) -> Any:
        if self._matrix is None or not float(self._matrix.sum()):
            return math.nan
        return self.score(self._matrix)

    def score(self, matrix: Tensor) -> Any:
        """What is made of the matrix."""
        return matrix.cpu().numpy()

    def reset(self) -> None:
        if self._matrix is not None:
            self._matrix.zero_()


class MeanIoU(ConfusionMatrix):
    """The mean over classes of intersection over union, for images of classes.

        mean over i of  M[i, i] / (Σ_j M[i, j] + Σ_j M[j, i] - M[i, i])

    Classes that are neither there nor predicted do not count, as in Keras.

    Args:
        threshold, axis: as for ConfusionMatrix.

    Example:
        >>> iou = MeanIoU()
        >>> iou.update(torch.tensor([0.9, 0.2, 0.8, 0.1]), torch.tensor([1.0, 0.0, 0.0, 0.0]))
        >>> round(iou.result(), 4)
        0.5833
    """

    runs_in_step: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True

    def score(self, matrix: Tensor) -> float:
        both = matrix.diagonal()
        union = matrix.sum(0) + matrix.sum(1) - both
        return float((both / union)[union > 0].mean())


class _Averaged(ConfusionMatrix):
    """Base of scores of one class, yes in yes-or-no targets; of several classes, their average.

    Args:
        average: of several classes: "macro", the plain mean over classes that are there or
            predicted; "weighted" by how often they are there; "micro", all of them counted
            together, which is the accuracy; or the index of a single class.
    """

    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, threshold: float | None = None, axis: int = 1,
                 average: str | int = "macro") -> None:
        super().__init__(threshold, axis)
        if not isinstance(average, int):
            check_choice(f"{type(self).__name__}(average)", average, _AVERAGES)
        self.average = average

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        """The score of a class from how often it was found, predicted, and there."""
        raise NotImplementedError(f"{type(self).__name__} needs an of method. Write it.")

    def score(self, matrix: Tensor) -> float:
        right, taken, there = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
        two = len(matrix) == 2
        if self.average == "micro" and not two:
            right, taken, there = right.sum(), taken.sum(), there.sum()
        scores = self.of(right, taken, there).nan_to_num(0.0)  # 0 / 0 is 0, as in scikit-learn
        if isinstance(self.average, int) or two:
            return float(scores[self.average if isinstance(self.average, int) else 1])
        if self.average == "weighted":
            return float((scores * there).sum() / there.sum())
        return float(scores.mean() if not scores.dim() else scores[(taken + there) > 0].mean())


class Precision(_Averaged):
    """The share of what was taken for a class that belongs to it.

        M[i, i] / Σ_j M[j, i], and 0 where nothing was

    Args:
        threshold, axis: as for ConfusionMatrix.
        average: of several classes: "macro", "micro", "weighted", or the index of a single class.

    Example:
        >>> precision = Precision()
        >>> precision.update(torch.tensor([0.9, 0.8, 0.2]), torch.tensor([1.0, 0.0, 1.0]))
        >>> precision.result()
        0.5
    """

    runs_in_step: ClassVar[bool] = True

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        return right / taken


class Recall(_Averaged):
    """The share of what belongs to a class that was found.

        M[i, i] / Σ_j M[i, j], and 0 where there was nothing

    Args:
        threshold, axis: as for ConfusionMatrix.
        average: of several classes: "macro", "micro", "weighted", or the index of a single class.

    Example:
        >>> recall = Recall()
        >>> recall.update(torch.tensor([0.9, 0.8, 0.2]), torch.tensor([1.0, 0.0, 1.0]))
        >>> recall.result()
        0.5
    """

    runs_in_step: ClassVar[bool] = True

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        return right / there


class F1(_Averaged):
    """The harmonic mean of precision and recall.

        2 M[i, i] / (Σ_j M[i, j] + Σ_j M[j, i])

    Args:
        threshold, axis: as for ConfusionMatrix.
        average: of several classes: "macro", "micro", "weighted", or the index of a single class.

    Example:
        >>> f1 = F1()
        >>> f1.update(torch.tensor([0.9, 0.8, 0.2]), torch.tensor([1.0, 0.0, 1.0]))
        >>> f1.result()
        0.5
    """

    runs_in_step: ClassVar[bool] = True

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        return 2 * right / (taken + there)
