"""What was measured of each module in a window of steps: plain numbers, read all at once."""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kerasish.module import Module

from .extremes import Extremes
from .norms import UNKNOWN, Norms


class Numbers(NamedTuple):
    """One module in one window; lists hold a number for each step that was looked at."""

    path: str
    name: str
    """Its class."""
    order: int = -1
    """Of a module with parameters: its place among the first calls; -1 if it was not called."""
    units: int = 0
    """Of an activation; 0 if nothing can be told of it."""
    kind: str = ""
    """What units at fault are, "silent" or "saturated"."""
    at_fault: int = 0
    is_matrix: bool = False
    """Whether a trainable parameter of it has two axes or more."""
    weights: Sequence[float] = ()
    gradients: Sequence[float] = ()
    updates: Sequence[float] = ()

    @property
    def share(self) -> float:
        """That of the units at fault."""
        return self.at_fault / self.units if self.units else 0.0

    @property
    def gradient(self) -> float:
        """The median norm of its gradient."""
        return median(self.gradients)

    @property
    def weight(self) -> float:
        """The median norm of its trainable parameters."""
        return median(self.weights)

    @property
    def ratios(self) -> list[float]:
        """How much of the weights each update was."""
        return [update / weight for update, weight in zip(self.updates, self.weights, strict=True)
                if weight > 0]

    @property
    def ratio(self) -> float:
        """The median of these."""
        return median(self.ratios)

    def __str__(self) -> str:
        return f"layer {self.path} {self.name}" if self.path else f"the whole {self.name}"


def median(values: Sequence[float]) -> float:
    """The median of those that are numbers; NaN of none.

    Example:
        >>> median([1.0, float("nan"), 3.0])
        2.0
    """
    known = [value for value in values if value == value]
    return statistics.median(known) if known else float("nan")


def read(module: Module, extremes: Extremes, norms: Norms, rows: Sequence[Tensor]) -> list[Numbers]:
    """Reads all that was seen in one go, and sorts it by module, in the order of the net.

    Args:
        module: the net.
        extremes: what was seen of its activations.
        norms: what tells the rows apart.
        rows: a vector of norms for each step that was looked at.
    """
    calls = [(path, each) for path, known in extremes.greatest.items() for each in known]
    faults = [(each <= extremes.gauges[path].bound).sum().float().view(1) for path, each in calls]
    flat = torch.cat([*faults, *rows]).tolist() if faults or rows else []
    at_fault, units = Counter[str](), Counter[str]()
    for (path, each), count in zip(calls, flat, strict=False):
        at_fault[path] += int(count)
        units[path] += each.numel() // extremes.gauges[path].sides
    measured: dict[str, list[tuple[float, ...]]] = {path: [] for path in norms.owners}
    length = 3 * len(norms.parameters)
    for start in range(len(calls), len(flat), length or 1):
        for path, three in norms.by_module(flat[start : start + length]):
            measured[path].append(three)
    order = {path: place for place, path in enumerate(extremes.seen)}
    return [
        Numbers(path, type(part).__name__, order.get(path, -1), units[path],
                extremes.gauges[path].kind if path in units else "", at_fault[path],
                any(each.data.dim() > 1 for each in norms.owners.get(path, ())),
                *map(_known, zip(*measured.get(path, ()), strict=True)))
        for path, part in module.named_modules() if path in units or path in measured
    ]


def _known(norms: Sequence[float]) -> list[float]:
    return [norm for norm in norms if norm != UNKNOWN]
