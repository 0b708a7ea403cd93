"""Areas under curves: how well scores rank yes above no, whatever the threshold."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice
from kerasish.metrics.held import Held
from kerasish.metrics.reading import Range, Reading, weight_each


class AUC(Held):
    """The area under the ROC curve, or under the curve of precision against recall.

        ROC: ∫ TPR dFPR, by trapezoids        PR: Σ (R_k - R_{k-1}) P_k, the average precision

    Exact, from all scores: they are kept until `reset` (8 bytes a score and target). Targets in the
    shape of y_pred are yes or no for each element; else, and with a loss of classes, the result is
    the mean over the classes that are there of each against the rest. NaN among scores or targets
    that count has no rank, and the area is NaN.

    Shapes: y_pred (N, ...) with y_true the same ((N,) counts as (N, 1)), or y_pred (N, C, ...) with
        y_true (N, ...). Logits and probabilities give the same area.
    Raises: ValueError for an unknown curve, and for other shapes, before training.

    Args:
        curve: "ROC" or "PR".
        axis: the class axis of y_pred; None is the loss', or 1 as in torch.

    Example:
        >>> auc = AUC()
        >>> auc.update(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
        >>> auc.result()
        0.75
    """

    higher_is_better: ClassVar[bool | None] = True
    settings: ClassVar[tuple[str, ...]] = ("_reading",)

    def __init__(self, curve: str = "ROC", axis: int | None = None) -> None:
        self.curve = check_choice("AUC(curve)", curve, ("ROC", "PR"))
        self._reading = Reading("AUC", axis)

    def told(self, loss: Any, y_range: Range) -> None:
        self._reading.told(loss, y_range)

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self._reading.check_shapes(self, y_pred, y_true)

    def score(self, y_pred: Tensor, y_true: Tensor, weight: Tensor) -> float:
        of_classes = self._reading.of_classes(tuple(y_pred.shape), tuple(y_true.shape))
        y_pred, y_true, weight = self._reading.rows(self, y_pred, y_true, weight)
        if not len(y_pred) or bool(y_pred.isnan().any() | y_true.isnan().any()):
            return math.nan
        if of_classes:
            columns = [(y_pred[:, c], y_true == c) for c in range(y_pred.shape[1])]
            areas = [self._area(score, yes, weight) for score, yes in columns if bool(yes.any())]
            return sum(areas) / len(areas)
        each = weight_each(weight, y_pred).expand(y_pred.shape)
        yes = y_true > self._reading.true
        return self._area(y_pred.flatten(), yes.flatten(), each.flatten())

    def _area(self, score: Tensor, yes: Tensor, weight: Tensor) -> float:
        """The area for scores in a line; NaN where there is no yes, or no no."""
        score, order = score.sort(descending=True)
        weight = weight[order]
        found, wrong = (weight * part[order] for part in (yes, ~yes))
        last = torch.cat((score[1:] != score[:-1], score.new_ones(1, dtype=torch.bool)))
        right, wrong = found.cumsum(0)[last], wrong.cumsum(0)[last]  # equal scores come together
        if not float(right[-1]) or (self.curve == "ROC" and not float(wrong[-1])):
            return math.nan
        recall = torch.cat((right.new_zeros(1), right / right[-1]))
        if self.curve == "ROC":
            fall_out = torch.cat((wrong.new_zeros(1), wrong / wrong[-1]))
            return float(torch.trapezoid(recall, fall_out))
        precision = right / (right + wrong).clamp_min(torch.finfo(right.dtype).tiny)
        return float((recall.diff() * precision).sum())
