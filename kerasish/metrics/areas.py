"""Areas under curves: how well scores rank yes above no, whatever the threshold."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice
from kerasish.metrics.accuracy import CategoricalAccuracy, Range, thresholds_for
from kerasish.metrics.held import Held
from kerasish.shapes import alike, require_alike


class AUC(Held):
    """The area under the ROC curve, or under the curve of precision against recall.

        ROC: ∫ TPR dFPR, by trapezoids        PR: Σ (R_k - R_{k-1}) P_k, the average precision

    Exact, from all scores: they are kept until `reset` (8 bytes a score and target). Targets in the
    shape of y_pred are yes or no for each element; else y_true are class indices, and the result is
    the mean over the classes that are there of each against the rest.

    Shapes: y_pred (N, ...) with y_true the same ((N,) counts as (N, 1)), or y_pred (N, C) with
        y_true (N,). Logits and probabilities give the same area.
    Raises: ValueError for an unknown curve, and for other shapes, before training.

    Args:
        curve: "ROC" or "PR".

    Example:
        >>> auc = AUC()
        >>> auc.update(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
        >>> auc.result()
        0.75
    """

    higher_is_better: ClassVar[bool | None] = True

    def __init__(self, curve: str = "ROC") -> None:
        self.curve = check_choice("AUC(curve)", curve, ("ROC", "PR"))
        self._true = 0.5

    def told(self, loss: Any, y_range: Range) -> None:
        _, self._true = thresholds_for(loss, y_range)

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        if len(y_true) < len(y_pred) and y_pred[1] > 1:
            CategoricalAccuracy().check_shapes(y_pred, y_true)
        else:
            require_alike(self, y_pred, y_true)

    def score(self, y_pred: Tensor, y_true: Tensor, weight: Tensor) -> float:
        if y_true.dim() < y_pred.dim() and y_pred.shape[1] > 1:
            columns = [(y_pred[:, c], y_true == c) for c in range(y_pred.shape[1])]
            areas = [self._area(score, yes, weight) for score, yes in columns if bool(yes.any())]
            return sum(areas) / len(areas)
        yes = alike(self, y_pred, y_true) > self._true
        each = weight.view(-1, *[1] * (y_pred.dim() - 1)).expand(y_pred.shape)
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
