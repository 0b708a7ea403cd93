"""What pages about the answers of a model share: they look on while it is validated."""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from kerasish.endings import endings
from kerasish.losses import KLDivergence
from kerasish.losses.binary import BinaryLoss
from kerasish.losses.classes import ClassLoss
from kerasish.losses.several import NoLoss, OutputLosses
from kerasish.metrics.reading import Reading
from kerasish.progress import notice
from kerasish.shapes import alike
from kerasish.trees import is_shape
from kerasish.types import Logs, Shape

from .page import Page

_BLOCK = 2**20
"""Numbers of batches that are taken in together: a few large operations cost less than many."""


class Answers(NamedTuple):
    """Predictions for M samples, or places in samples, read as probabilities of C classes.

    One of yes or no is a single class; several of them are as many.
    """

    p: Tensor
    """(M, C), from 0 to 1."""
    true: Tensor
    """(M, C): which classes are true."""
    counts: Tensor | None
    """(M,): which of the M count; None if all do."""


class Answering:
    """Reads the predictions of a model with one output as probabilities, if they are any.

    Args:
        model: a compiled and built one.
    """

    def __init__(self, model: Any) -> None:
        self.loss, self.shape = model.loss, model.module.output_shape
        ending = endings(model.module)
        self.within = None if isinstance(ending, tuple | dict) else ending.y_range
        self.reading = Reading("TensorBoard")
        self.reading.told(self.loss, self.within)

    @property
    def classes(self) -> int:
        """How many classes there are, or how many answers of yes or no a sample has."""
        shape: Shape = (1, *self.shape)
        return shape[self.reading.axis] if self.reading.by_loss else torch.Size(shape).numel()

    @property
    def unread(self) -> str | None:
        """Why the predictions are no probabilities, in words; None if they are."""
        if isinstance(self.loss, NoLoss):
            return "the model is compiled without a loss, which would say what its outputs mean"
        if isinstance(self.loss, OutputLosses) or not is_shape(self.shape):
            return "the model has several outputs"
        bounded = self.within in ((-1.0, 1.0), (0.0, 1.0)) and self.classes == 1
        if isinstance(self.loss, ClassLoss | KLDivergence | BinaryLoss) or bounded:
            return None
        return f"{self.loss!r} is no loss of classes"

    def read(self, y_pred: Tensor, y_true: Tensor) -> Answers:
        """Predictions and targets as the loss gets them, read."""
        if self.reading.of_classes(tuple(y_pred.shape), tuple(y_true.shape)):
            true, counts = self.reading.classes(y_pred, y_true)
            p = self.reading.probabilities(y_pred, self.reading.axis)
            p = p.movedim(self.reading.axis, -1).flatten(0, -2)
            classes = torch.arange(p.shape[1], device=p.device)
            is_true = true.flatten().unsqueeze(1) == classes
            return Answers(p, is_true, None if counts is None else counts.flatten())
        y_true = alike("TensorBoard", y_pred, y_true)
        p = self.reading.probabilities(y_pred, -1)
        if self.within == (-1.0, 1.0):
            p = (p + 1) / 2
        is_true = y_true > self.reading.true
        return Answers(p.flatten(1) if p.dim() > 1 else p.unsqueeze(1), is_true.view(len(p), -1),
                       None)


class OfValidation(Page):
    """A page that looks at what the model answers for the data that it is validated on.

    A subclass takes in batches in `take`, several at once, on the device, and writes once an epoch
    in `show`. Where it has nothing to look at, it says why, once a fit, and costs nothing.
    """

    setting: ClassVar[str]
    """The argument of TensorBoard that asks for the page."""
    wants_inputs: ClassVar[bool] = False
    """Whether `take` gets the samples as well."""
    _looks = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.close()
        if not self.is_told_again and self.model.run:
            self._answering = Answering(self.model)
            self._settle(self._why_not())

    def listens(self, hook: str) -> bool:
        return self._looks and super().listens(hook)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._forget()
        if self._looks:
            self.begin()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        (x, y, _), outcome = self.model.tested
        y_pred = outcome[1] if isinstance(outcome, tuple) else None
        if self._looks and isinstance(y_pred, Tensor) and isinstance(y, Tensor):
            held = y_pred.clone()  # its memory may be reused
            self._hold(held, y, *([x] if self.wants_inputs else []))
        elif self._looks:
            self._settle("test_step answers no predictions for these targets")

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._take_held()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._has_taken:  # not each epoch is validated
            self.show()
        self._forget()

    def close(self) -> None:
        self._looks = False
        self._forget()

    def _forget(self) -> None:
        self._held: list[tuple[Tensor, ...]] = []
        self._size, self._has_taken = 0, False

    def _hold(self, *parts: Tensor) -> None:
        if self._held and any(part.shape[1:] != held.shape[1:]
                              for part, held in zip(parts, self._held[0], strict=True)):
            self._take_held()  # sizes of images, say, may differ from batch to batch
        self._held.append(parts)
        self._size += sum(part.numel() for part in parts)
        if self._size >= _BLOCK:
            self._take_held()

    def _take_held(self) -> None:
        if self._held:
            y_pred, y, *x = map(torch.cat, zip(*self._held, strict=True))
            self.take(self._answering.read(y_pred, y), *x)
            self._held, self._size, self._has_taken = [], 0, True

    def _settle(self, why_not: str | None) -> None:
        self._looks = why_not is None
        if why_not:
            notice(f"TensorBoard({self.setting}) has nothing to show: {why_not}.")

    def _why_not(self) -> str | None:
        if self.model.run.plan.validation is None:
            return "fit was given no validation data"
        return self._answering.unread or self.why_not(self._answering)

    def why_not(self, answering: Answering) -> str | None:
        """Why this page has nothing to show, in words, though there are predictions to read."""
        raise NotImplementedError

    def begin(self) -> None:
        """Forgets what was taken in."""
        raise NotImplementedError

    def take(self, answers: Answers, *x: Tensor) -> None:
        """Takes in some batches, and their samples if it wants them; reads nothing back."""
        raise NotImplementedError

    def show(self) -> None:
        """Writes what was taken in."""
        raise NotImplementedError
