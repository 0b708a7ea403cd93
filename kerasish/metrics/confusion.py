"""What was taken for what: the confusion matrix, and the scores that are formulas of it."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice, check_count
from kerasish.metrics.metric import Metric, zeros_on
from kerasish.metrics.reading import Range, Reading, weight_each
from kerasish.shapes import alike

_AVERAGES = ("macro", "micro", "weighted")


class ConfusionMatrix(Metric):
    """Counts how often each true class was taken for each class.

        M[i, j] = Σ w over the samples of class i that were taken for class j

    Targets in the shape of y_pred are yes or no for each element, and M has two rows. Class indices
    are classes, and so are targets of any shape with a loss of classes: the true class is then that
    of the largest target, and a sample is taken for the class of its largest prediction. What the
    loss ignores counts 0. NaN that counts, predicted or true, makes its cell of M NaN, and scores
    of M all NaN.

    Shapes: y_pred (N, ...) with y_true the same ((N,) counts as (N, 1)), or y_pred (N, C, ...) with
        y_true (N, ...). `result()` is a numpy array (C, C), or NaN before the first sample.
    Raises: ValueError for other shapes, before training.

    Args:
        threshold: above which a prediction means yes; None is 0 where the loss takes logits or the
            model ends in Tanh, and else 0.5.
        axis: the class axis of y_pred; None is the loss', or 1 as in torch.

    Example:
        >>> matrix = ConfusionMatrix()
        >>> matrix.update(torch.tensor([0.9, 0.2, 0.8]), torch.tensor([1.0, 0.0, 0.0]))
        >>> matrix.result()
        array([[1., 1.],
               [0., 1.]])
    """

    runs_in_step: ClassVar[bool] = True
    settings: ClassVar[tuple[str, ...]] = ("_reading",)

    _matrix: Tensor | None = None

    def __init__(self, threshold: float | None = None, axis: int | None = None) -> None:
        self._reading = Reading(type(self).__name__, axis, threshold=threshold)

    def told(self, loss: Any, y_range: Range) -> None:
        self._reading.told(loss, y_range)

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self._reading.check_shapes(self, y_pred, y_true)

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        shapes, reading = (tuple(y_pred.shape), tuple(y_true.shape)), self._reading
        self.check_shapes(*shapes)
        classes, counts = 2, None
        if reading.of_classes(*shapes):
            classes, (best, taken) = y_pred.shape[reading.axis], y_pred.max(reading.axis)
            true, counts = reading.classes(y_pred, y_true)
            unknown = best.isnan()
        else:
            y_true = alike(self, y_pred, y_true)
            taken, true = (y_pred > reading.yes).long(), (y_true > reading.true).long()
            unknown = y_pred.isnan().logical_or_(y_true.isnan())
        weight = torch.ones_like(taken, dtype=torch.float64)
        if counts is not None:
            weight.mul_(counts)
        if sample_weight is not None:
            weight.mul_(weight_each(sample_weight, taken))
        weight.masked_fill_(unknown.logical_and_(weight != 0), math.nan)
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
        return float((both / union)[union != 0].mean())


class _Averaged(ConfusionMatrix):
    """Base of scores of one class, or their average over several.

    Args:
        average: None is the second of two classes, the yes of yes and no, and "macro" of more.
            "macro" is the plain mean over classes that are there or predicted; "weighted" by how
            often they are there; "micro" is of all counted together, which is the accuracy; an
            index is of that class alone. All are as in scikit-learn, with no and yes two classes.
    """

    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, threshold: float | None = None, axis: int | None = None,
                 average: str | int | None = None) -> None:
        super().__init__(threshold, axis)
        who = f"{type(self).__name__}(average)"
        if isinstance(average, int):
            check_count(who, average, 0, "Give the index of a class.")
        elif average is not None:
            check_choice(who, average, _AVERAGES)
        self.average = average

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        super().check_shapes(y_pred, y_true)
        reading = self._reading
        classes = y_pred[reading.axis] if reading.of_classes(y_pred, y_true) else 2
        if isinstance(self.average, int) and self.average >= classes:
            raise ValueError(
                f"{type(self).__name__}(average) expects a class from 0 to {classes - 1}, as there "
                f"are {classes}; got {self.average}. Count classes from 0."
            )

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        """The score of a class from how often it was found, predicted, and there."""
        raise NotImplementedError(f"{type(self).__name__} needs an of method. Write it.")

    def score(self, matrix: Tensor) -> float:
        if bool(matrix.isnan().any()):
            return math.nan
        average = self.average
        if average is None:
            average = 1 if len(matrix) == 2 else "macro"
        right, taken, there = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
        if average == "micro":
            right, taken, there = (part.sum().view(1) for part in (right, taken, there))
        scores = self.of(right, taken, there).nan_to_num(0.0)  # 0 / 0 is 0, as in scikit-learn
        if isinstance(average, int):
            return float(scores[average])
        if average == "weighted":
            return float((scores * there).sum() / there.sum())
        return float(scores[(taken + there) > 0].mean())


class Precision(_Averaged):
    """The share of what was taken for a class that belongs to it.

        M[i, i] / Σ_j M[j, i], and 0 where nothing was

    Args:
        threshold, axis: as for ConfusionMatrix.
        average: "macro", "micro" or "weighted" over classes, or the index of a single class. None
            is the second of two classes, the yes of yes and no, and "macro" of more.

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
        average: "macro", "micro" or "weighted" over classes, or the index of a single class. None
            is the second of two classes, the yes of yes and no, and "macro" of more.

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
        average: "macro", "micro" or "weighted" over classes, or the index of a single class. None
            is the second of two classes, the yes of yes and no, and "macro" of more.

    Example:
        >>> f1 = F1()
        >>> f1.update(torch.tensor([0.9, 0.8, 0.2]), torch.tensor([1.0, 0.0, 1.0]))
        >>> f1.result()
        0.5
    """

    runs_in_step: ClassVar[bool] = True

    def of(self, right: Tensor, taken: Tensor, there: Tensor) -> Tensor:
        return 2 * right / (taken + there)
