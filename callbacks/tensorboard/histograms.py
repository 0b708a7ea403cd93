"""Histograms of weights, gradients and outputs, and norms of single modules, every so many epochs.

Weights are those at the end of the epoch; the rest is from its first step, or its first update.
Counting is put off: small nets with short epochs are counted for several epochs in one pass.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from kerasish.parameter import Parameter
from kerasish.paths import joined, values
from kerasish.training import on_host
from kerasish.types import Logs

from .one_step import Outputs, Update
from .page import Page
from .shots import Shot, below, summaries

_MOST = 1 << 17
"""Numbers that may wait to be counted, and"""
_SECONDS = 1.0
"""how long they may."""


class Stretch(NamedTuple):
    """A parameter, and where it lies in the flat vectors of the optimizer."""

    path: str
    module: str
    """The path of the module that it belongs to."""
    parameter: Parameter
    flat: int
    inside: slice


class Histograms(Page):
    """`<path>/histogram`, `<path>/gradient/histogram`, `<path>/activation/histogram`, and norms.

    Of each module with something to train these are `<path>/gradient_norm`, `<path>/update_ratio`
    and `<path>/learning_rate`.

    Args:
        every: epochs from one set to the next.
    """

    _outputs: Outputs
    _update: Update | None = None
    _stretches: list[Stretch]

    def __init__(self, every: int) -> None:
        self.every = every
        self._waiting: list[Shot] = []
        self._written = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.is_told_again:
            self._outputs, self._update = Outputs(self.model), Update(self.model.optimizer)
            self._stretches = list(_stretches(self.model))
            self._written = time.time()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._update is not None and max(self.model.epochs_trained, epoch) % self.every == 0:
            self._outputs.start_for_one_step()
            self._update.start()

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        is_due = max(self.model.epochs_trained, epoch) % self.every == 0
        if self._update is not None and is_due and self._update.moved is None:
            self._update.start()  # micro-batches wait for an update

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._update is not None and self.epochs % self.every == 0:
            self._stop(self._update)
            self._waiting.append(self._shot(self._update))
            self._outputs.drop()
            self._update.drop()
            size = sum(tensor.size for tensor in self._waiting[0].tensors)
            if size * len(self._waiting) > _MOST or time.time() - self._written > _SECONDS:
                self._write()

    def close(self) -> None:
        self._write()
        if self._update is not None:
            self._stop(self._update)
            self._update = None

    def state_dict(self) -> dict[str, Any]:
        self._write()
        if self._update is None:
            return {}
        return {"outputs": self._outputs.state_dict(), "update": self._update.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._update is not None and state:
            self._outputs.load_state_dict(state["outputs"])
            self._update.load_state_dict(state["update"])

    def _stop(self, update: Update) -> None:
        self._outputs.stop()
        update.stop()

    def _shot(self, update: Update) -> Shot:
        """What there is to be counted: of weights, then gradients, then outputs."""
        tags = [each.path for each in self._stretches]
        weights = [flat.data.clone() for flat in update.optimizer.flats]
        tensors = _cut(weights, self._stretches)
        trained = [each for each in self._stretches if each.parameter.trainable]
        moves, outputs = [], self._outputs
        if update.gradients is not None and update.before is not None and update.moved is not None:
            gradients = _cut(update.gradients, trained)
            tags += [f"{each.path}/gradient" for each in trained]
            tensors += gradients
            moves = [*gradients, *_cut(update.moved, trained), *_cut(update.before, trained)]
        if outputs.values is not None:
            tags += [below(path, "activation") for path in outputs.sizes]
            ends = np.cumsum([*outputs.sizes.values()])
            tensors += np.split(on_host(outputs.values), ends[:-1])
        rate = self.model.optimizer.learning_rate
        rates = [rate * each.parameter.learning_rate_multiplier for each in trained]
        return Shot(self.epochs, time.time(), tags, tensors, [each.module for each in trained],
                    rates, moves)

    def _write(self) -> None:
        """Counts what waits, and writes it."""
        shots, self._waiting, self._written = self._waiting, [], time.time()
        for shot, summary in zip(shots, summaries(shots), strict=True):
            self.write("train", summary, shot.step, shot.time)


def _stretches(model: Any) -> Iterator[Stretch]:
    """All parameters of the model, each once, in the order of its modules."""
    flats, seen = model.optimizer.flats, set()
    for module, part in model.module.named_modules():
        for name, parameter in values(part, Parameter):
            if parameter not in seen and parameter.flat in flats:
                seen.add(parameter)
                start = parameter.flat.offsets[parameter]
                yield Stretch(joined(module, name), module, parameter,
                              flats.index(parameter.flat),
                              slice(start, start + parameter.data.numel()))


def _cut(vectors: Sequence[Tensor], stretches: Sequence[Stretch]) -> list[np.ndarray]:
    """The parts of flat vectors, on the host."""
    arrays = [on_host(vector) for vector in vectors]
    return [arrays[each.flat][each.inside] for each in stretches]
