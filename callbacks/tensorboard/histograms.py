"""Histograms of weights, gradients and outputs, and norms of single modules, every so many epochs.

Weights and buffers are those at the end of the epoch; the rest is from its first step, or its
first update. Counting is put off: short epochs of small nets are counted together.
"""

import time
from typing import Any

from kerasish.types import Logs

from .one_step import Buffers, Outputs, Update
from .page import Page
from .shots import Line, Shot, Stretch, stretches, summaries

_MOST = 1 << 19
"""Numbers that may wait to be counted, and"""
_SECONDS = 1.0
"""how long they may."""


class Histograms(Page):
    """`<path>/histogram`, `<path>/gradient/histogram`, `<path>/activation/histogram`, and norms.

    Of each module with something to train these are `<path>/gradient_norm`, `<path>/update_ratio`
    and `<path>/learning_rate`.

    Args:
        every: epochs from one set to the next.
    """

    _outputs: Outputs
    _buffers: Buffers
    _update: Update | None = None
    _stretches: list[Stretch]

    def __init__(self, every: int) -> None:
        self.every = every
        self._waiting: list[Shot] = []
        self._written = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.is_told_again:
            self._outputs, self._update = Outputs(self.model), Update(self.model.optimizer)
            self._stretches, self._buffers = list(stretches(self.model)), Buffers(self.model)
            self._written = time.time()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._update is not None and max(self.model.epochs_trained, epoch) % self.every == 0:
            self._outputs.start_for_one_step()
            self._update.start()

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        is_due = max(self.model.epochs_trained, epoch) % self.every == 0
        if self._update is not None and is_due and self._update.step is None:
            self._update.start()  # micro-batches wait for an update

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._update is not None and self.epochs % self.every == 0:
            self._stop(self._update)
            self._waiting.append(self._shot(self._update))
            self._outputs.values = self._update.step = None
        if self._waiting:
            is_late = time.time() - self._written > _SECONDS
            if is_late or self._waiting[-1].size * len(self._waiting) > _MOST:
                self._write()

    def close(self) -> None:
        self._write()
        if self._update is not None:
            self._stop(self._update)
            self._update = None

    def state_dict(self) -> dict[str, Any]:
        self._write()
        return {name: state for name, part in self._parts() if (state := part.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts():
            if name in state:
                part.load_state_dict(state[name])

    def _parts(self) -> list[tuple[str, Outputs | Update]]:
        """What sees something of the step that is looked at; nothing outside fit."""
        update = self._update
        return [] if update is None else [("outputs", self._outputs), ("update", update)]

    def _stop(self, update: Update) -> None:
        self._outputs.stop()
        update.stop()

    def _shot(self, update: Update) -> Shot:
        seen = update.trained
        trained = [each.parameter in seen for each in self._stretches]
        weights = [flat.data.clone() for flat in update.optimizer.flats]
        outputs = Line(self._outputs.sizes, self._outputs.values)
        return Shot(self.epochs, time.time(), self.model.optimizer.learning_rate, self._stretches,
                    trained, weights, update.step, self._buffers.line(), outputs)

    def _write(self) -> None:
        """Counts what waits, and writes it."""
        shots, self._waiting, self._written = self._waiting, [], time.time()
        for shot, summary in zip(shots, summaries(shots), strict=True):
            self.write("train", summary, shot.number, shot.time)
