"""Histograms of weights, gradients and outputs, and norms of single modules, every so many epochs.

Weights are those at the end of the epoch; the rest is from its first step, or its first update.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from kerasish.parameter import Parameter
from kerasish.paths import joined, values
from kerasish.training import on_host
from kerasish.types import Logs

from . import wire
from .buckets import counted
from .one_step import Outputs, Update
from .page import Page


class Stretch(NamedTuple):
    """A parameter, and where it lies in the flat vectors of the optimizer."""

    path: str
    module: str
    """The path of the module that it belongs to."""
    parameter: Parameter
    flat: int
    number: int
    """Its place among the parameters of that flat vector."""
    inside: slice


class Histograms(Page):
    """`<path>/histogram`, `<path>/gradient/histogram`, `<path>/activation/histogram`, and of each
    module that has something to train `<path>/gradient_norm`, `update_ratio` and `learning_rate`.

    Args:
        every: epochs from one set to the next.
    """

    outputs: Outputs | None = None
    update: Update | None = None

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.is_told_again:
            self.outputs, self.update = Outputs(self.model), Update(self.model.optimizer)
            self._stretches = list(_stretches(self.model))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._is_due(epoch):
            self.outputs.start_for_one_step()
            self.update.start()

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        if self._is_due(epoch) and self.update.norms is None:  # micro-batches wait for an update
            self.update.start()

    def close(self) -> None:
        if self.update is not None:
            self._stop()
        self.outputs = self.update = None

    def state_dict(self) -> dict[str, Any]:
        if self.update is None:
            return {}
        return {"outputs": self.outputs.state_dict(), "update": self.update.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.update is not None and state:
            self.outputs.load_state_dict(state["outputs"])
            self.update.load_state_dict(state["update"])

    def _stop(self) -> None:
        self.outputs.stop()
        self.update.stop()

    def _is_due(self, epoch: int) -> bool:
        return self.update is not None and max(self.model.epochs_trained, epoch) % self.every == 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.update is not None and self.epochs % self.every == 0:
            self._stop()
            self.write("train", wire.summary(self._values()), self.epochs)
            self.outputs.drop()
            self.update.drop()

    def _values(self) -> Iterator[bytes]:
        tags, tensors = self._tensors()
        found = counted(tensors)
        yield from map(wire.histogram, (f"{tag}/histogram" for tag in tags), found.rows)
        for place in found.not_finite.nonzero()[0]:
            yield wire.scalar(f"{tags[place]}/not_finite", found.not_finite[place])
        if self.update.norms is not None:
            for tag, value in self._scalars(found.squares[len(self._stretches) :]).items():
                yield wire.scalar(tag, value)

    def _tensors(self) -> tuple[list[str], list[np.ndarray]]:
        """All tensors that are counted, and what each is: weights, then gradients, then outputs."""
        tags = [each.path for each in self._stretches]
        tensors = self._cut([flat.data for flat in self.update.optimizer.flats], self._stretches)
        if self.update.gradients is not None:
            trained = self._trained()
            tags += [f"{each.path}/gradient" for each in trained]
            tensors += self._cut(self.update.gradients, trained)
        if self.outputs.values is not None:
            tags += [_below(path, "activation") for path in self.outputs.sizes]
            ends = np.cumsum([*self.outputs.sizes.values()])
            tensors += np.split(on_host(self.outputs.values), ends[:-1])
        return tags, tensors

    def _scalars(self, squares: np.ndarray) -> dict[str, float]:
        """The norms of each module's gradient and of its step, and its learning rate."""
        trained, rate = self._trained(), self.update.optimizer.learning_rate
        norms = [on_host(each).astype(np.float64) ** 2 for each in self.update.norms]
        sums: dict[str, np.ndarray] = {}
        rates: dict[str, float] = {}
        for each, square in zip(trained, squares, strict=False):
            step, weight = norms[each.flat][:, each.number]
            sums[each.module] = sums.get(each.module, 0.0) + np.array([square, step, weight])
            rates.setdefault(each.module, rate * each.parameter.learning_rate_multiplier)
        found = {}
        for module, (gradient, step, weight) in sums.items():
            found[_below(module, "gradient_norm")] = math.sqrt(gradient)
            found[_below(module, "update_ratio")] = _ratio(math.sqrt(step), math.sqrt(weight))
            found[_below(module, "learning_rate")] = rates[module]
        return found

    def _trained(self) -> list[Stretch]:
        return [each for each in self._stretches if each.parameter.trainable]

    def _cut(self, vectors: Sequence[Tensor], stretches: Sequence[Stretch]) -> list[np.ndarray]:
        arrays = [on_host(vector) for vector in vectors]
        return [arrays[each.flat][each.inside] for each in stretches]


def _stretches(model: Any) -> Iterator[Stretch]:
    """All parameters of the model, each once, in the order of its modules."""
    flats, seen = model.optimizer.flats, set()
    for module, part in model.module.named_modules():
        for name, parameter in values(part, Parameter):
            if parameter not in seen and parameter.flat in flats:
                seen.add(parameter)
                flat = parameter.flat
                start = flat.offsets[parameter]
                yield Stretch(joined(module, name), module, parameter, flats.index(flat),
                              flat.parameters.index(parameter),
                              slice(start, start + parameter.data.numel()))


def _below(path: str, name: str) -> str:
    """The tag of something of a module; the whole net has no path."""
    return f"{path}/{name}" if path else name


def _ratio(step: float, weight: float) -> float:
    """How far a step goes; from weights that are all zero it is infinitely far."""
    return step / weight if weight else math.inf * step if step else 0.0
