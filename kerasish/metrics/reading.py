"""How metrics read predictions and targets: as classes, or as yes and no."""

from typing import Any

from torch import Tensor

from kerasish.checks import check_index, check_number
from kerasish.losses import CrossEntropy, KLDivergence, Loss
from kerasish.losses.binary import BinaryLoss
from kerasish.losses.classes import ClassLoss
from kerasish.losses.hinges import Hinge
from kerasish.shapes import alike, require_alike
from kerasish.types import Shape

Range = tuple[float, float] | None

_OF_LABELS = (ClassLoss, KLDivergence, BinaryLoss, Hinge)


def thresholds_for(loss: Loss | None, y_range: Range) -> tuple[float, float]:
    """Above which predictions, and targets, mean yes with a loss and a last module's range."""
    if loss is not None and loss.from_logits:
        return 0.0, 0.5
    return (0.0, 0.0) if y_range == (-1.0, 1.0) else (0.5, 0.5)


def weight_each(sample_weight: Tensor, values: Tensor) -> Tensor:
    """Weights of samples in a shape that multiplies values with the sample as axis 0."""
    return sample_weight.view(-1, *[1] * (values.dim() - 1))


class Reading:
    """How one metric reads predictions and targets; what it is not told, the loss says.

    With a loss of classes, everything is classes, targets in the shape of y_pred too, by their
    largest. Without one, class indices are known by their shape: an axis less than y_pred.

    Args:
        name: the metric's, for errors.
        axis: the class axis of y_pred; None is the loss', or 1.
        ignore_index: a class index that does not count; None is the loss'.
        threshold: above which a prediction means yes; None is what fits the loss.
    """

    def __init__(self, name: str, axis: int | None = None, ignore_index: int | None = None,
                 threshold: float | None = None) -> None:
        for setting, value in (("axis", axis), ("ignore_index", ignore_index)):
            if value is not None:
                check_index(f"{name}({setting})", value)
        if threshold is not None:
            check_number(f"{name}(threshold)", threshold)
        self._settings = axis, ignore_index, threshold
        self.told(None, None)

    def told(self, loss: Any, y_range: Range) -> None:
        """Takes over from a loss and a last module's range what no setting says.

        `of_labels` then is whether the loss is one of classes or of yes and no; None without one.
        """
        axis, ignore_index, threshold = self._settings
        yes, self.true = thresholds_for(loss, y_range)
        self.yes = yes if threshold is None else threshold
        self.by_loss = isinstance(loss, ClassLoss | KLDivergence)
        self.of_labels = None if loss is None else isinstance(loss, _OF_LABELS)
        self._link = _link_of(loss)
        self.axis = axis if axis is not None else loss.axis if self.by_loss else 1
        self._shapes = CrossEntropy(axis=self.axis)
        self.ignore_index = ignore_index
        if ignore_index is None:
            self.ignore_index = getattr(loss, "ignore_index", None)

    def of_classes(self, y_pred: Shape, y_true: Shape) -> bool:
        """Whether arrays of these shapes are classes, rather than yes and no."""
        return self.by_loss or (len(y_true) < len(y_pred) and (*y_true, 1) != tuple(y_pred))

    def check_shapes(self, who: object, y_pred: Shape, y_true: Shape) -> None:
        """Refuses shapes that do not fit together."""
        if self.of_classes(y_pred, y_true):
            self.check_classes(y_pred, y_true)
        else:
            require_alike(who, y_pred, y_true)

    def check_classes(self, y_pred: Shape, y_true: Shape) -> None:
        """Refuses shapes that do not fit together as classes."""
        self._shapes.check_shapes(y_pred, y_true)

    def classes(self, y_pred: Tensor, y_true: Tensor) -> tuple[Tensor, Tensor | None]:
        """The true classes without the class axis, and which count; None if all do."""
        if y_true.shape == y_pred.shape:
            return y_true.argmax(self.axis), None
        true = y_true.reshape(y_pred.select(self.axis, 0).shape).long()
        if self.ignore_index is None:
            return true, None
        counts = true != self.ignore_index
        return true.masked_fill(~counts, 0), counts

    def rows(
        self, who: object, y_pred: Tensor, y_true: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What counts, a weight a row: of classes, scores (M, C) and indices (M,)."""
        if self.of_classes(tuple(y_pred.shape), tuple(y_true.shape)):
            y_true, counts = self.classes(y_pred, y_true)
            weight = weight_each(weight, y_true).expand(y_true.shape)
            weight = (weight if counts is None else weight * counts).flatten()
            y_pred, y_true = y_pred.movedim(self.axis, -1).flatten(0, -2), y_true.flatten()
        else:
            y_true = alike(who, y_pred, y_true)
        kept = weight != 0
        return y_pred[kept], y_true[kept], weight[kept]

    def probabilities(self, y_pred: Tensor, axis: int) -> Tensor:
        """What the loss takes y_pred for, as probabilities: of logits, and of their logarithms."""
        if self._link == "exp":
            return y_pred.double().exp()
        if self._link == "sigmoid":
            return y_pred.double().sigmoid()
        return y_pred.double().softmax(axis) if self._link == "softmax" else y_pred


def _link_of(loss: Any) -> str:
    """The function that makes probabilities of what a loss takes, "" where it is no logits."""
    ending = getattr(loss, "ending", None)
    if ending is not None and ending.what == "log-probabilities":
        return "exp"
    if not getattr(loss, "from_logits", False):
        return ""
    return "softmax" if isinstance(loss, ClassLoss) else "sigmoid"
