"""Precision against recall, at every threshold, for the PR CURVES dashboard."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .validation import Answering, Answers, OfValidation

THRESHOLDS = 201
_MOST_CLASSES = 20
"""Of more classes nobody looks at each curve."""


class Curves(OfValidation):
    """The curve of precision against recall of each class, after each validation.

        precision(t) = TP / (TP + FP),  recall(t) = TP / (TP + FN)    for yes where p >= t

    In the run `validation`, over 201 thresholds t = 0, 0.005, ... 1: `pr_curve` for an answer of
    yes or no, and `pr_curve/<class>` for each of up to 20 classes against the rest. Each sample
    counts once, whatever its weight; NaN is yes at no threshold but 0. Counts stay on the device,
    16 bytes for each threshold and class, and are read once an epoch.
    """

    setting: ClassVar[str] = "pr_curves"
    _counts: Tensor

    def why_not(self, answering: Answering) -> str | None:
        if answering.classes <= _MOST_CLASSES:
            return None
        return (f"the model tells {answering.classes} classes apart, more than {_MOST_CLASSES}, "
                "which would be as many curves")

    def begin(self) -> None:
        size = self._answering.classes, 2, THRESHOLDS
        self._counts = torch.zeros(size, dtype=torch.int64, device=self.model.device)
        self._limits = torch.linspace(0, 1, THRESHOLDS, dtype=torch.float64,
                                      device=self.model.device)

    def take(self, answers: Answers, *x: Tensor) -> None:
        p = answers.p.double().nan_to_num(0.0).clamp(0.0, 1.0)
        bins = torch.bucketize(p, self._limits, right=True) - 1  # the last threshold that p reaches
        classes = torch.arange(p.shape[1], device=p.device)
        places = (classes * 2 + answers.true) * THRESHOLDS + bins
        counts = torch.ones_like(places) if answers.counts is None else (
            answers.counts.long().unsqueeze(1).expand_as(places))
        self._counts.view(-1).index_add_(0, places.flatten(), counts.flatten())

    def show(self) -> None:
        counts = self._counts.cpu().numpy()
        for number, (no, yes) in enumerate(counts):
            tag = f"pr_curve/{number}" if len(counts) > 1 else "pr_curve"
            self.write("validation", _summary(tag, curve(yes, no)), self.epochs)


def curve(yes: Any, no: Any) -> Any:
    """From how many of each truth lie at each threshold, to the rows that TensorBoard reads.

    Returns: TP, FP, TN, FN, precision and recall, each at all thresholds; a share of nothing is 0.

    Example:
        >>> curve(np.array([0, 1, 2]), np.array([3, 1, 0]))[[0, 1, 4]].tolist()
        [[3.0, 3.0, 2.0], [4.0, 1.0, 0.0], [0.42857142857142855, 0.75, 1.0]]
    """
    right, wrong = (each[::-1].cumsum()[::-1].astype(np.float64) for each in (yes, no))
    missed, kept_out = yes.sum() - right, no.sum() - wrong
    precision, recall = (right / np.maximum(whole, 1) for whole in (right + wrong, right + missed))
    return np.stack([right, wrong, kept_out, missed, precision, recall])


def _summary(tag: str, rows: Any) -> Any:
    """A curve as TensorBoard's PR CURVES dashboard reads it."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.pr_curve import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    described = metadata.create_summary_metadata(display_name=tag, description="",
                                                 num_thresholds=THRESHOLDS)
    tensor = make_tensor_proto(rows.astype(np.float32))
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=described)])
