"""What epochs were like, as vectors, and how several at once become histograms and norms."""

from collections.abc import Iterator, Sequence
from itertools import compress, groupby
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from kerasish.parameter import Parameter
from kerasish.paths import joined, values
from kerasish.training import on_host

from . import wire
from .buckets import BUCKETS, counted, square_sums


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


class Line(NamedTuple):
    """Tensors one after the other."""

    sizes: dict[str, int]
    """How many of the values are of which, by its path, in their order."""
    values: Tensor | None


class Shot(NamedTuple):
    """What is to be counted of one epoch; nothing of it is on the host yet."""

    number: int
    time: float
    rate: float
    stretches: list[Stretch]
    trained: list[bool]
    """Whether each of them has a gradient."""
    weights: list[Tensor]
    step: Step | None
    buffers: Line
    outputs: Line

    @property
    def size(self) -> int:
        """How many numbers there are to be counted."""
        count = sum(map(len, self.weights)) * (1 if self.step is None else 2)
        return count + sum(self.buffers.sizes.values()) + sum(self.outputs.sizes.values())

    @property
    def layout(self) -> tuple[object, ...]:
        """What is where in it: shots that are alike in this are counted together."""
        return self.trained, self.step is None, self.buffers.sizes, self.outputs.sizes


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
    for _, alike in groupby(shots, key=lambda shot: shot.layout):
        yield from _of_alike(list(alike))


def _of_alike(shots: Sequence[Shot]) -> Iterator[bytes]:
    """The Summary of each of some shots with one layout."""
    moments, norms = dict(_moments(shots)), dict(_norms(shots))
    if not moments:  # nothing to train, and no module was called
        yield from [b""] * len(shots)
        return
    found = [counted(each) for each in moments.values()]
    buckets, not_finite = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    heads = [wire.histogram_head(f"{path}/histogram", BUCKETS, 3) for path in moments]
    heads += map(wire.scalar_head, norms)
    scalars = np.array(list(norms.values())).reshape(len(norms), len(shots)).T
    for counts, numbers, lost in zip(wire.contents(buckets), wire.contents(scalars),
                                     not_finite.tolist(), strict=True):
        yield wire.summary(heads, counts + numbers) + b"".join(
            wire.scalar(f"{path}/not_finite", count)
            for path, count in zip(moments, lost, strict=True) if count)


def _moments(shots: Sequence[Shot]) -> Iterator[tuple[str, np.ndarray]]:
    """What there are to be histograms of, a line for each shot: of the net, then of the step."""
    every = shots[0].stretches
    for each, part in zip(every, _cut([shot.weights for shot in shots], every), strict=True):
        yield each.path, part
    yield from _split([shot.buffers for shot in shots])
    steps, trained = [shot.step for shot in shots if shot.step], _trained(shots)
    for each, part in zip(trained, _cut([step.gradients for step in steps], trained), strict=True):
        yield f"{each.path}/gradient", part
    for path, part in _split([shot.outputs for shot in shots]):
        yield below(path, "activation"), part


def _norms(shots: Sequence[Shot]) -> Iterator[tuple[str, np.ndarray]]:
    """The norm of each module's gradient, how far it went for its size, and its learning rate."""
    rates = np.array([shot.rate for shot in shots])
    steps, trained = [shot.step for shot in shots if shot.step], _trained(shots)
    sums: dict[str, Any] = {}
    multipliers: dict[str, float] = {}
    kinds = [_cut(moments, trained) for moments in zip(*steps, strict=True)]
    for each, *parts in zip(trained, *kinds, strict=True):
        sums[each.module] = sums.get(each.module, 0) + np.array([*map(square_sums, parts)])
        multipliers.setdefault(each.module, each.parameter.learning_rate_multiplier)
    for module, (gradient, before, moved) in sums.items():
        yield below(module, "gradient_norm"), np.sqrt(gradient)
        yield below(module, "update_ratio"), _ratio(moved, before)
        yield below(module, "learning_rate"), rates * multipliers[module]


def _trained(shots: Sequence[Shot]) -> list[Stretch]:
    """What has gradients."""
    return [] if shots[0].step is None else [*compress(shots[0].stretches, shots[0].trained)]


def _cut(moments: Sequence[Sequence[Tensor]], parts: Sequence[Stretch]) -> list[np.ndarray]:
    """The parts of flat vectors, on the host, a line for each moment."""
    arrays = [_lines(vectors) for vectors in zip(*moments, strict=True)]
    return [arrays[part.flat][:, part.inside] for part in parts]


def _split(lines: Sequence[Line]) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of lines by their paths, on the host, a line for each moment."""
    vectors = [line.values for line in lines if line.values is not None]
    if vectors:
        arrays, start = _lines(vectors), 0
        for path, size in lines[0].sizes.items():
            yield path, arrays[:, start : start + size]
            start += size


def _lines(vectors: Sequence[Tensor]) -> np.ndarray:
    first, *others = map(on_host, vectors)
    return np.stack([first, *others]) if others else first[None]


def below(path: str, name: str) -> str:
    """The tag of something of a module; the whole net has no path."""
    return f"{path}/{name}" if path else name


def _ratio(moved: np.ndarray, before: np.ndarray) -> np.ndarray:
    """‖Δw‖ / ‖w‖ from their squares; away from weights that are all 0 it is infinitely far."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: np.ndarray = np.sqrt(moved / before)
    ratio[(before == 0) & (moved == 0)] = 0
    return ratio
