"""What epochs were like, as vectors, and how several at once become histograms and norms."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from kerasish.parameter import Parameter
from kerasish.paths import joined, values
from kerasish.training import on_host

from . import wire
from .buckets import counted, square_sums


class Stretch(NamedTuple):
    """A parameter, and where it lies in the flat vectors of the optimizer."""

    path: str
    module: str
    """The path of the module that it belongs to."""
    parameter: Parameter
    flat: int
    inside: slice


class Step(NamedTuple):
    """What an update found and did: for each flat vector of the optimizer a vector as long."""

    gradients: list[Tensor]
    """Means over the samples, before penalties and clipping."""
    before: list[Tensor]
    """The weights before the update, and"""
    moved: list[Tensor]
    """how far it took them."""


class Shot(NamedTuple):
    """What is to be counted of one epoch; nothing of it is on the host yet."""

    number: int
    time: float
    rate: float
    stretches: list[Stretch]
    trained: list[Stretch]
    """Those of them that have a gradient."""
    weights: list[Tensor]
    step: Step | None
    sizes: dict[str, int]
    """How many of the outputs are of which module, by its path, in their order."""
    outputs: Tensor | None

    @property
    def size(self) -> int:
        """How many numbers there are to be counted."""
        count = sum(map(len, self.weights)) * (1 if self.step is None else 2)
        return count + (0 if self.outputs is None else len(self.outputs))


def stretches(model: Any) -> Iterator[Stretch]:
    """All parameters of a model, each once, in the order of its modules."""
    flats, seen = model.optimizer.flats, set()
    for module, part in model.module.named_modules():
        for name, parameter in values(part, Parameter):
            if parameter not in seen and parameter.flat in flats:
                seen.add(parameter)
                start = parameter.flat.offsets[parameter]
                yield Stretch(joined(module, name), module, parameter,
                              flats.index(parameter.flat),
                              slice(start, start + parameter.data.numel()))


def summaries(shots: Sequence[Shot]) -> Iterator[bytes]:
    """The Summary of each of them, as bytes: histograms, and what is of single modules."""
    if not shots:
        return
    tags: list[list[str]] = []
    tensors: list[np.ndarray] = []
    moves: list[np.ndarray] = []
    for shot in shots:
        parts = dict(_tensors(shot))
        tags.append(list(parts))
        tensors += parts.values()
        moves += _moves(shot)
    (buckets, not_finite), squares = counted(tensors), square_sums(moves)
    first = first_move = 0
    for shot, own in zip(shots, tags, strict=True):
        last = first + len(own)
        yield wire.summary([
            *map(wire.histogram, (f"{tag}/histogram" for tag in own), buckets[first:last]),
            *(wire.scalar(f"{own[place]}/not_finite", not_finite[first + place])
              for place in not_finite[first:last].nonzero()[0]),
            *_norms(shot, squares[first_move:]),
        ])
        first = last
        first_move += 0 if shot.step is None else len(Step._fields) * len(shot.trained)


def _tensors(shot: Shot) -> Iterator[tuple[str, np.ndarray]]:
    """What there are to be histograms of: weights, then gradients, then outputs."""
    for each, part in zip(shot.stretches, _cut(shot.weights, shot.stretches), strict=True):
        yield each.path, part
    if shot.step is not None:
        for each, part in zip(shot.trained, _cut(shot.step.gradients, shot.trained), strict=True):
            yield f"{each.path}/gradient", part
    if shot.outputs is not None:
        outputs, start = on_host(shot.outputs), 0
        for path, size in shot.sizes.items():
            yield below(path, "activation"), outputs[start : start + size]
            start += size


def _moves(shot: Shot) -> Iterator[np.ndarray]:
    """The gradients of what was trained, then where from it went, then how far."""
    for vectors in shot.step or ():
        yield from _cut(vectors, shot.trained)


def _cut(vectors: Sequence[Tensor], parts: Sequence[Stretch]) -> list[np.ndarray]:
    """The parts of flat vectors, on the host."""
    arrays = [on_host(vector) for vector in vectors]
    return [arrays[part.flat][part.inside] for part in parts]


def _norms(shot: Shot, squares: np.ndarray) -> Iterator[bytes]:
    """The norm of each module's gradient, how far it went for its size, and its learning rate."""
    if shot.step is None or not shot.trained:
        return
    count = len(shot.trained)
    sums: dict[str, list[float]] = {}
    for each, *parts in zip(shot.trained, *squares[: 3 * count].reshape(3, count).tolist(),
                            strict=True):
        rate = shot.rate * each.parameter.learning_rate_multiplier
        known = sums.setdefault(each.module, [0.0, 0.0, 0.0, rate])
        for place, part in enumerate(parts):
            known[place] += part
    for module, (gradient, before, moved, rate) in sums.items():
        yield wire.scalar(below(module, "gradient_norm"), math.sqrt(gradient))
        yield wire.scalar(below(module, "update_ratio"), _ratio(moved, before))
        yield wire.scalar(below(module, "learning_rate"), rate)


def below(path: str, name: str) -> str:
    """The tag of something of a module; the whole net has no path."""
    return f"{path}/{name}" if path else name


def _ratio(moved: float, before: float) -> float:
    """‖Δw‖ / ‖w‖ from their squares; away from weights that are all 0 it is infinitely far."""
    if before:
        return math.sqrt(moved / before)
    return math.inf if moved else 0.0
