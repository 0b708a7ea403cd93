"""From numbers to findings: what is compared with what."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .alarm import Finding, percent, times
from .numbers import Numbers


class Limits(NamedTuple):
    """Beyond what something is wrong; `HealthMonitor` explains each."""

    silent: float
    saturated: float
    vanishing: float
    exploding: float
    updates: tuple[float, float]


class Judge:
    """Judges windows of a run, one after the other.

    Args:
        limits: beyond what something is wrong.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.first: dict[str, float] = {}
        """The norm of the gradient in the first window, by path."""
        self.largest: dict[str, float] = {}
        """The largest share of the weights that an update was so far, by path."""

    def findings(
        self, window: Sequence[Numbers], steps: int, unit_steps: int | None
    ) -> Iterator[Finding]:
        """What holds and what does not, of all that can be told.

        Args:
            window: what was measured.
            steps: how many steps long.
            unit_steps: the same of what was seen of units; None if it is not enough yet.
        """
        if unit_steps is not None:
            yield from self._units(window, unit_steps)
        called = [each for each in window if each.order >= 0 and each.weights]
        called.sort(key=lambda each: each.order)
        blocked = any(each.units and each.at_fault == each.units for each in window)
        for place, each in enumerate(called):
            is_finite = all(map(math.isfinite, each.gradients))
            yield Finding(each, "not finite", not is_finite, math.nan, "gradients are not finite")
            if is_finite and each.is_matrix:
                found: list[Finding] = []
                if each.gradients and not blocked:  # else that is why, and is said
                    found = list(self._gradients(each, called[place + 1 :], steps))
                yield from found
                arrives = not blocked and not any(
                    one.holds for one in found if one.kind == "vanishing")
                yield from self._updates(each, steps, arrives)

    def _units(self, window: Sequence[Numbers], steps: int) -> Iterator[Finding]:
        for each in window:
            if each.units:
                limit = self.limits.silent if each.kind == "silent" else self.limits.saturated
                yield Finding(each, each.kind, each.share >= limit, each.share,
                              f"{percent(each.share)} of units {each.kind} for {steps:,} steps")

    def _gradients(self, each: Numbers, later: Sequence[Numbers], steps: int) -> Iterator[Finding]:
        """Compares with the largest of the layers after it, and with what it was at first."""
        first = self.first.setdefault(each.path, each.gradient)
        others = [one for one in later if one.is_matrix and one.gradient > 0]
        largest = max(others, key=lambda one: one.gradient, default=None)
        beside, growth = 1.0, 1.0
        if largest is not None:
            beside = each.gradient / largest.gradient
            most = max(each.gradients) / largest.gradient
            yield Finding(each, "vanishing", most < self.limits.vanishing, most,
                          f"gradients are {times(most)} times those of {largest} for {steps:,} "
                          "steps")
        if 0 < first and each.weight < each.gradient:  # what takes off from nearly 0 is no harm
            growth = each.gradient / first
        value, whose = max((growth, "what they were at first"), (beside, f"those of {largest}"))
        yield Finding(each, "exploding", value >= self.limits.exploding, value,
                      f"gradients are {times(value)} times {whose}")

    def _updates(self, each: Numbers, steps: int, arrives: bool) -> Iterator[Finding]:
        """What has been large enough once may become small: training converges, rates decay.

        Those that no gradient comes to are not judged: this is said in its own words.
        """
        ratios = [ratio for ratio in each.ratios if math.isfinite(ratio)]
        if not ratios:
            return
        low, high = self.limits.updates
        best = self.largest[each.path] = max(self.largest.get(each.path, 0.0), *ratios)
        share = f"updates are {percent(each.ratio)} of the weights for {steps:,} steps"
        if arrives:
            is_small = best < low and any(each.gradients or (1.0,))
            yield Finding(each, "small updates", is_small, each.ratio, share)
        yield Finding(each, "large updates", each.ratio > high, each.ratio, share)
