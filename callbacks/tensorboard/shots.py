"""What epochs were like, as arrays, and how several at once become histograms and norms."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from . import wire
from .buckets import counted, square_sums


class Shot(NamedTuple):
    """What is to be counted of one epoch."""

    step: int
    time: float
    tags: list[str]
    tensors: list[np.ndarray]
    """Those that there are to be histograms of, one for each tag."""
    modules: list[str]
    """The module of each parameter that was trained, by its path, and"""
    rates: list[float]
    """its learning rate, and"""
    moves: list[np.ndarray]
    """the gradients of all of them, then how far they went, then where from; empty for no step."""


def summaries(shots: Sequence[Shot]) -> Iterator[bytes]:
    """The Summary of each of them, as bytes."""
    if not shots:
        return
    found = counted([tensor for shot in shots for tensor in shot.tensors])
    squares = square_sums([part for shot in shots for part in shot.moves])
    first = first_move = 0
    for shot in shots:
        last, last_move = first + len(shot.tags), first_move + len(shot.moves)
        values = [wire.histogram(f"{tag}/histogram", row)
                  for tag, row in zip(shot.tags, found.rows[first:last], strict=True)]
        not_finite = found.not_finite[first:last]
        values += [wire.scalar(f"{shot.tags[place]}/not_finite", not_finite[place])
                   for place in not_finite.nonzero()[0]]
        values += _norms(shot, squares[first_move:last_move])
        yield wire.summary(values)
        first, first_move = last, last_move


def _norms(shot: Shot, squares: np.ndarray) -> Iterator[bytes]:
    """The norm of each module's gradient, how far it went for its size, and its learning rate."""
    if not len(squares):
        return
    sums: dict[str, list[float]] = {}
    for module, rate, *parts in zip(shot.modules, shot.rates, *squares.reshape(3, -1).tolist(),
                                    strict=True):
        known = sums.setdefault(module, [0.0, 0.0, 0.0, rate])
        for place, part in enumerate(parts):
            known[place] += part
    for module, (gradient, moved, before, rate) in sums.items():
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
