"""How to see from the outputs of an activation which of its units are silent or saturated."""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from kerasish.layers import ReLU6, Softmax, Softmin
from kerasish.module import Module

MARGIN = 0.01
"""How near to an end is saturated, as a share of the way from the middle of the range: there the
slope of a tanh or a sigmoid is below 2 % of its greatest."""
_STUCK = 1e-6
"""The same at the end of a net, where to be near the ends is the aim: there is no slope left."""

Values = tuple[Tensor, ...]


class Gauge(NamedTuple):
    """A unit is at fault where one of `values(y)` is `bound` at most for every sample."""

    kind: str
    """What a unit at fault is: "silent" or "saturated"."""
    bound: float
    values: Callable[[Tensor], Values]
    sides: int = 1
    """How many of them there are."""


def gauge_of(module: Module, ends: bool) -> Gauge | None:
    """The gauge for the outputs of a module; None if nothing can be told from them.

        range (0, ∞), ReLU6   silent:     y = 0
        range (a, b)          saturated:  |y - (a + b) / 2| ≥ 0.99 (b - a) / 2
        range (a, ∞), a < 0   saturated:  y ≤ 0.99 a
        Softmax, Softmin      saturated:  max y ≥ 0.99
        range (a, b), at the end of a net, where to be near a or b is the aim: saturated if it is as
        near as can be to the same one of both for every sample; a Softmax there is not judged

    Args:
        module: any; only the declared range of a single one is gone by.
        ends: whether it is at the end of a net.
    """
    low, high = _range(module)
    if low == 0 and (math.isinf(high) or type(module) is ReLU6):
        return Gauge("silent", 0.0, _itself)
    if math.isinf(low):
        return None
    if type(module) in (Softmax, Softmin):
        axis: int = module.dim  # type: ignore[attr-defined]
        return None if ends else Gauge(
            "saturated", MARGIN - 1, lambda y: (-y.amax(axis, keepdim=True),))
    if math.isinf(high):
        return Gauge("saturated", (1 - MARGIN) * low, _itself) if low < 0 else None
    middle, reach = (low + high) / 2, (high - low) / 2
    if ends:
        return Gauge("saturated", (_STUCK - 1) * reach, lambda y: (y - middle, middle - y), 2)
    return Gauge("saturated", (MARGIN - 1) * reach, lambda y: (-(y - middle).abs(),))


def _itself(y: Tensor) -> Values:
    return (y,)


def _range(module: Module) -> tuple[float, float]:
    """The declared range, where it stands beside the forward that it speaks of."""
    line = type(module).__mro__
    said_in, done_in = (next(place for place, cls in enumerate(line) if name in vars(cls))
                        for name in ("__init__" if "y_range" in vars(module) else "y_range",
                                     "forward"))
    is_single = next(module.named_children(), None) is None
    known = module.y_range if is_single and said_in <= done_in else None
    return known or (-math.inf, math.inf)
