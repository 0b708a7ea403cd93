"""A gradient against finite differences: along a random direction, at elements, and near kinks."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from kerasish.differences import moved, place_of
from kerasish.insight.checking.probes import Part, Probe

_STEPS = (1e-5, 1e-6, 1e-7)
"""As shares of a tensor's largest value, of 1 at least: the smaller ones for what a kink, or a
strong curve, spoils at the first."""
_ROUNDING = 64 * torch.finfo(torch.float64).eps
_LEAST = 1e-300
"""Keeps shares of nothing finite."""
_ELSEWHERE = 3
"""Points that are tried beside a kink."""

_SEEN = 0.01
"""A derivative that differences do not give to this share is not seen by them."""
_FAR = (1e1, 1e4, 1e7, 1e10, 1e13)
"""Steps that show a slope which rounding hides at the usual ones."""

PASS, HIDDEN, KINK, FAIL = "pass", "too small to tell", "kink", "FAIL"


class Comparison(NamedTuple):
    """A derivative twice: what backward gives, and what finite differences do."""

    result: str
    """"pass", "FAIL", "kink" where the function has no derivative, only one on each side, or "too
    small to tell" where rounding hides it from differences."""
    backward: float
    difference: float
    error: float
    """How far they are apart, as a share of the size that such a derivative has here, or of what
    rounding leaves of it."""
    place: tuple[int, ...] = ()
    """Which element; () is a direction through all of them."""


class Verdict(NamedTuple):
    """What is found for one tensor."""

    part: Part
    whole: Comparison
    """Along the random direction."""
    worst: Comparison | None
    """The element that is furthest off among those looked at."""

    @property
    def result(self) -> str:
        """The worse one of both results."""
        results = {self.whole.result, self.worst.result if self.worst else PASS}
        return next(each for each in (FAIL, HIDDEN, KINK, PASS) if each in results)


def verdicts(probe: Probe, tolerance: float, elements: int, seed: int) -> Iterator[Verdict]:
    """What is found for each tensor that a probe depends on.

    A kink counts as one only if backward is right at a point close by, where there is none.
    """
    found = list(_found(probe, tolerance, elements, seed))
    hidden = [each.part for each in found if each.result == HIDDEN]
    zeros = _zeros(probe, hidden, seed) if hidden else set()
    found = [_cleared(each) if each.part.name in zeros else each for each in found]
    kinks = [each.part.name for each in found if each.result == KINK]
    refuted = _refuted(probe, kinks, tolerance, elements, seed) if kinks else set()
    for each in found:
        if each.part.name in refuted:
            each = each._replace(whole=each.whole._replace(result=FAIL))
        yield each


def _found(
    probe: Probe, tolerance: float, elements: int, seed: int, names: set[str] | None = None
) -> Iterator[Verdict]:
    """What is found where the tensors are now; only for those of these names, if any are given."""
    parts, base = probe.parts(), probe()
    for part in parts:
        if names is None or part.name in names:
            yield _Comparer(probe, part, base, tolerance, elements, seed).verdict()


def _refuted(
    probe: Probe, names: list[str], tolerance: float, elements: int, seed: int
) -> set[str]:
    """Those whose gradient is wrong at points close by as well, or never seen away from a kink."""
    left, wrong = set(names), set[str]()
    for attempt in range(1, 1 + _ELSEWHERE):
        with probe.elsewhere(seed + attempt):
            for each in _found(probe, tolerance, elements, seed, left):
                wrong |= {each.part.name} if each.result == FAIL else set()
                left -= {each.part.name} if each.result != KINK else set()
        if not left:
            break
    return left | wrong


def _zeros(probe: Probe, parts: list[Part], seed: int) -> set[str]:
    """Those whose gradient is 0 but for rounding: close by it is another one altogether."""
    zeros = set[str]()
    for attempt in range(1, 1 + _ELSEWHERE):
        with probe.elsewhere(seed + attempt):
            close_by = {each.name: _flat_gradient(each) for each in probe.parts()}
        for part in parts:
            gradient = _flat_gradient(part)
            if float((close_by[part.name] - gradient).norm()) > 0.1 * float(gradient.norm()):
                zeros.add(part.name)
    return zeros


def _cleared(found: Verdict) -> Verdict:
    """The same with nothing hidden."""
    whole, worst = (each._replace(result=PASS) if each and each.result == HIDDEN else each
                    for each in (found.whole, found.worst))
    assert whole is not None
    return found._replace(whole=whole, worst=worst)


class _Comparer:
    """Compares the gradient of one tensor.

    Args:
        probe: what the tensor belongs to.
        part: the tensor, and its gradient by backward.
        base: the number where the tensors are now.
        tolerance: the largest error that passes.
        elements: how many elements are looked at.
        seed: decides the direction and the elements.
    """

    def __init__(
        self, probe: Probe, part: Part, base: float, tolerance: float, elements: int, seed: int
    ) -> None:
        self.probe, self.part, self.base, self.tolerance = probe, part, base, tolerance
        self.values = part.values.view(-1)
        self.count = self.values.numel()
        self.gradient = _flat_gradient(part)
        self.largest = float(self.gradient.abs().amax()) if self.count else 0.0
        self.random = torch.Generator().manual_seed(seed)
        self.chosen = self._chosen(elements)

    def verdict(self) -> Verdict:
        """Along the whole direction first; where that is off, halves of it lead to an element."""
        if not self.count:
            return Verdict(self.part, Comparison(PASS, 0.0, 0.0, 0.0), None)
        direction = self._direction()
        size = float(self.gradient.norm()) / self.count**0.5
        whole = self._compared(slice(0, self.count), direction, size)
        if whole.backward == whole.difference == 0 and self._has_hidden_slope(direction):
            whole = whole._replace(result=HIDDEN)
        if whole.result == FAIL:
            self.chosen.append(self._worst(direction))
        seen = [self._at(index) for index in dict.fromkeys(self.chosen)]
        ranks = {PASS: 0, HIDDEN: 1, KINK: 2, FAIL: 3}
        worst = max(seen, key=lambda each: (ranks[each.result], each.error), default=None)
        return Verdict(self.part, whole, worst)

    def _direction(self) -> Tensor:
        """Of length 1: no element has a share near 0 in it, and no two cancel by chance."""
        share = torch.rand(self.count, dtype=self.values.dtype, generator=self.random) - 0.5
        share += share.sign() * 0.5
        return share.div_(share.norm())

    def _chosen(self, elements: int) -> list[int]:
        """The one with the largest gradient, and others at random."""
        if not self.count or not elements:
            return []
        others = torch.randint(self.count, (elements - 1,), generator=self.random)
        return [int(self.gradient.abs().argmax()), *map(int, others)]

    def _compared(self, where: slice, by: Tensor, size: float) -> Comparison:
        """The derivative along a direction in a part of the tensor, by steps as small as needed."""
        backward, part = float(self.gradient[where] @ by), self.values[where]
        bends: list[float] = []
        error = share = difference = 0.0
        for step in _STEPS:
            step *= max(1.0, float(part.abs().amax()))
            noise = self._noise(step)
            if bends and noise > error / 4:  # such a step is too short to tell
                break
            above, below = (moved(self.probe, part, by, each) for each in (step, -step))
            difference = (above - below) / (2 * step)
            bends.append(abs(above - 2 * self.base + below) / step)
            error = abs(difference - backward)
            share = error / (max(size, abs(difference)) + noise / self.tolerance)
            if share <= self.tolerance:
                unseen = error > _SEEN * max(size, abs(difference))
                return Comparison(HIDDEN if unseen else PASS, backward, difference, share)
        result = KINK if len(bends) > 1 and _is_kink(bends, error) else FAIL
        return Comparison(result, backward, difference, share)

    def _has_hidden_slope(self, by: Tensor) -> bool:
        """Whether far steps agree on a slope that is too small for the usual ones to see."""
        slopes = [(moved(self.probe, self.values, by, step)
                   - moved(self.probe, self.values, by, -step)) / (2 * step) for step in _FAR]
        hiding = self._noise(_STEPS[0] * max(1.0, float(self.values.abs().amax())))
        return any(0 < abs(slope) < hiding and abs(slope - further) <= _SEEN * abs(slope)
                   for slope, further in pairwise(slopes))

    def _noise(self, step: float) -> float:
        """What rounding does to a difference; a sum of squares is rounded as its roots are."""
        size = abs(self.base)
        return float(_ROUNDING * (size + size**0.5) / step) + _LEAST

    def _at(self, index: int) -> Comparison:
        where = slice(index, index + 1)
        one = torch.ones(1, dtype=self.values.dtype)
        return self._compared(where, one, self.largest)._replace(
            place=place_of(index, self.part.values.shape))

    def _worst(self, direction: Tensor) -> int:
        """An element that is off: of a stretch that is, the half that is further off, and so on."""
        start, end = 0, self.count
        while end - start > 1:
            middle = (start + end) // 2
            first, second = (self._off(slice(*each), direction)
                             for each in ((start, middle), (middle, end)))
            start, end = (start, middle) if first >= second else (middle, end)
        return start

    def _off(self, where: slice, direction: Tensor) -> float:
        by = direction[where]
        by = by / by.norm()
        compared = self._compared(where, by, 0.0)
        return abs(compared.backward - compared.difference)


def _is_kink(bends: list[float], error: float) -> bool:
    """Whether slopes differ from side to side however short the step: a curve's do ever less."""
    first, *_, last = bends
    return last > min(first / 3, error)


def _flat_gradient(part: Part) -> Tensor:
    """No gradient is one of 0; one of another shape is none of a number."""
    if part.gradient is None:
        return torch.zeros_like(part.values).view(-1)
    if isinstance(part.gradient, Tensor) and part.gradient.shape == part.values.shape:
        return part.gradient.reshape(-1)
    return torch.full_like(part.values, torch.nan).view(-1)
