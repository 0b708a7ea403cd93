"""Finds the first tensor of training that is not finite, and saves the step that made it."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

import torch

from kerasish.checks import check_count
from kerasish.differentiable import saving
from kerasish.insight.replaying.replay import rerun
from kerasish.insight.replaying.sight import Sight, listed
from kerasish.insight.replaying.step import Step, write_step
from kerasish.insight.twin import twin
from kerasish.progress import notice
from kerasish.random import drawing_from
from kerasish.saving.errors import check_path
from kerasish.types import Logs

from ._before import Before
from .terminate_on_nan import TerminateOnNaN


class NanTracer(TerminateOnNaN):
    """Ends training at the first batch that is not finite, and saves that step to be seen again.

    It ends training when and as TerminateOnNaN does, with weights, slots and counters from before
    the batch, and running statistics too. Besides, it runs the step again, on a copy and with the
    same noise, and says which tensor is the first with a NaN or an infinite value: the module, the
    direction (forward, backward, the gradient of which parameter, the loss, a parameter before the
    step or after the update, or the data), and the samples of the batch, counted from 0. The step
    goes into one file, and `model.replay(path)` shows it whenever wanted.

    In each batch it reads one number from the device and keeps the state of the noise and of
    running statistics. Where modules or the model are classes of your own, it also asks the global
    generators, and for a `train_step` of your own it copies all weights and slots. Micro-batches
    that waited in the gradients are left out of the file. If a value is finite when the step is run
    again, it says what TerminateOnNaN would.

    Raises: TypeError or ValueError for settings that cannot be meant; in fit, ValueError for a
        `train_step` of your own with steps_per_execution; RuntimeError, with raise_error=True, with
        the sentence that is otherwise said.

    Args:
        path: the folder of the steps; the file of the 123rd batch is "step-00123.safetensors".
        raise_error: whether it raises an error instead of ending training as `stop_training` does.
        steps: numbers of batches, counted from 1 through all fits, that are saved on purpose.

    Attributes: `first`, the `Sight` that was found; `saved`, the paths of the files of this fit.

    Example:
        >>> NanTracer("runs/disc/nan", steps=[100]).steps
        frozenset({100})
    """

    leaves_traces: ClassVar[bool] = True

    first: Sight | None = None
    _begin: Any = None
    _traced = False

    def __init__(
        self, path: str | os.PathLike[str] = "nan", raise_error: bool = False,
        steps: Collection[int] = (),
    ) -> None:
        super().__init__(raise_error)
        self.path = Path(check_path("NanTracer(path)", path, "nan"))
        if isinstance(steps, str) or not isinstance(steps, Collection):
            raise TypeError(f"NanTracer(steps) expects numbers of batches; got {steps!r}. Write "
                            "steps=[8123], say.")
        self.steps = frozenset(check_count("NanTracer(steps)", each, 1, "1 is the first batch.")
                               for each in steps)
        self.saved: list[Path] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.model.trains_by_itself and self.model.steps_per_execution > 1:
            raise ValueError("NanTracer expects compile(steps_per_execution=1) for a train_step of "
                             f"your own; got {self.model.steps_per_execution}. It is to see what "
                             "each step begins with.")
        self._begin, self.first, self.saved, self._traced = Before(self.model), None, [], False

        over = sorted(each for each in self.steps if each <= self.model.batches_trained)
        if over:
            notice(f"NanTracer(steps) saves nothing for {over}: batches are counted through all "
                   f"fits, and this one begins with batch {self.model.batches_trained + 1:,}.")

    def close(self) -> None:
        self._begin = None

    def _start(self, epoch: int) -> None:
        super()._start(epoch)
        if self._begin is not None:
            self._begin.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._begin.note()

    def on_backward_end(self, batch: int) -> None:
        begin = self._begin
        begin.settle()
        if begin.number in self.steps:
            begin.exchange_buffers()
            words = self._write(begin.step())
            begin.exchange_buffers()
            notice(f"NanTracer: batch {batch + 1} of epoch {self._epoch + 1}, {words}.")
        super().on_backward_end(batch)
        if self.model.diverged and not self._traced:  # a callback before this one has found it
            self._end(batch, "it is not finite")
        if self.model.steps_per_execution > 1:
            begin.note(ahead=1)  # nobody tells of its beginning

    def _sentence(self, batch: int, why: str, loss: Any) -> str:
        self._traced = True
        self._begin.exchange_buffers()
        step = self._begin.step()
        self.first = self._found(step)
        if self.first is None:
            words = super()._sentence(batch, why, loss).rstrip(".")
        else:
            step["first"] = self.first.place, self.first.direction
            parts = (f"First not finite: {self.first.words}", f"epoch {self._epoch + 1}",
                     f"batch {batch + 1}", listed(self.first.samples))
            words = ", ".join(filter(None, parts))
        return f"{words}; {self._write(step)}."

    def _found(self, step: Step) -> Sight | None:
        """The first tensor that is not finite, if the step can be run again."""
        try:
            with torch.inference_mode(False), saving(True), drawing_from(None), (
                    twin(self.model)) as copied:
                return rerun(copied, step, self.path).first
        except Exception:  # it may be a model of which there is only one
            return None

    def _write(self, step: Step) -> str:
        """Writes a step, and says where it is, or why not: training need not end for that."""
        path = self.path / f"step-{step['step']:05}.safetensors"
        try:
            write_step(path, step)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            return f"not saved: {error}".rstrip(".")
        self.saved.append(path)
        return f"saved to {str(path)!r}"
