"""Batches that come by themselves: iterables, functions that make them, iterators."""

import math
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from kerasish.data.ahead import END
from kerasish.data.arrays import Arrays, Batch, placed
from kerasish.data.class_weights import weights_by_class
from kerasish.data.passes import Passes
from kerasish.trees import batch_size, mapped
from kerasish.types import Device


class StreamSource(Passes):
    """Batches from anything that can be iterated.

    Each is (x,), (x, y) or (x, y, sample weights) in a tuple or a list, or x alone.

    Args:
        give: an iterable; a function that makes one for each pass; or an iterator, which cannot
            restart.
        who: the method that it was given to, for errors.
        batches: batches a pass, where that is known.
    """

    def __init__(self, give: Any, who: str = "fit", batches: int | None = None) -> None:
        super().__init__(give, who)
        self.batches = batches
        self._place: tuple[Device, torch.dtype] | None = None
        self._weights: Any = None
        self._has_targets: bool | None = None

    def first(self) -> Batch:
        if self._left is None:
            self._begin(0)
        assert self._left is not None
        raw = next(self._left)
        self._left = chain([raw], self._left)
        return self._checked(raw, self._taken)

    def on(self, device: Device, dtype: torch.dtype) -> "StreamSource":
        self._place = device, dtype
        return self

    def weighted(self, weights: Any) -> "StreamSource":
        self._weights = weights
        return self

    def take(self, batches: int) -> "StreamSource":
        if self._left is None:
            self._begin(0)
        left = enumerate(islice(self._left or (), batches))
        kept = [mapped(torch.clone, self._checked(raw, number)) for number, raw in left]
        return StreamSource(kept, self.who, len(kept))

    def epoch(self, number: int, steps: int | None = None, start: int = 0) -> Iterator[Batch]:
        inside = self._awaited is not None and start > 0
        if self._awaited is not None:
            self._go_back(start, to_begin=steps is None and not start)
        if not inside:
            self._begin_epoch(number, steps, start)
        self._expect(math.inf if steps is None else steps - start)
        return self._pass() if steps is None else self._steps(steps - start)

    def from_start(self, steps: int | None = None) -> Iterator[Batch]:
        if self._awaited is not None:
            self._go_back(0, to_begin=True)
        if self._left is None or (self._taken and (self.restarts or steps is None)):
            self._begin(0)
        self._expect(math.inf if steps is None else steps)
        return self._pass() if steps is None else self._exactly(steps)

    def _begin_epoch(self, number: int, steps: int | None, start: int) -> None:
        if steps is None and not (self._left is not None and self._is_at(number)):
            self._begin(number)
        elif self._left is None or not (self._number or self._taken):
            self._begin_at(number, steps, start)

    def _begin_at(self, number: int, steps: int | None, start: int) -> None:
        """Begins where an epoch lies in the endless row of passes, if their length is known."""
        known = self.batches if self.restarts and steps is not None else None
        place, skipped = divmod(number * (steps or 0) + start, known) if known else (0, 0)
        if self._left is None or place != self._number:
            self._begin(place)
        for _ in range(skipped):
            self._next()

    def _is_at(self, number: int) -> bool:
        """Whether the pass of that number has begun, and nothing of it is taken."""
        return self._taken == 0 and (self._number == number or not self.restarts)

    def _pass(self) -> Iterator[Batch]:
        while (raw := self._next()) is not END:
            yield self._batch(raw)

    def _steps(self, count: int) -> Iterator[Batch]:
        for _ in range(count):
            raw = self._next()
            if raw is END:
                self._begin(self._number + 1)
                raw = self._next()
            yield self._batch(raw)

    def _exactly(self, count: int) -> Iterator[Batch]:
        for number in range(count):
            raw = self._next()
            if raw is END:
                raise ValueError(f"{self._argument} expects {count} batches, the number of steps; "
                                 f"got {self!r} with {number}. Ask for no more steps than that.")
            yield self._batch(raw)

    # ---- one batch ----------------------------------------------------------------------------

    def _batch(self, raw: Any) -> Batch:
        batch = self._arrived(raw)
        if self._weights is not None:
            x, y, sample_weight = batch
            batch = x, y, weights_by_class(self._weights, y, sample_weight)
        return batch

    def _arrived(self, raw: Any) -> Batch:
        """What was given, checked and on the device."""
        batch = self._checked(raw, self._taken - 1)
        return batch if self._place is None else placed(*self._place, batch, pinning=True)

    def _checked(self, raw: Any, number: int) -> Batch:
        """What was given as tensors of as many samples."""
        is_several = isinstance(raw, tuple | list) and 1 <= len(raw) <= 3
        x, y, sample_weight, *_ = (*raw, None, None) if is_several else (raw, None, None)
        try:
            if not _are_tensors(x, y, sample_weight):
                arrays = Arrays(x, y, sample_weight, self.who)
                x, y, sample_weight = arrays.x, arrays.y, arrays.sample_weight
            if self.who != "predict" and self._has_targets not in (None, y is not None):
                raise ValueError(f"{self._argument} expects targets in all batches or in none; got "
                                 f"a batch with{'out' if y is None else ''} them. Give them all y.")
            if y is not None and batch_size(x) == 0:
                raise ValueError(f"{self._argument} expects at least one sample in a batch; got "
                                 "none. Leave the batch out.")
        except (TypeError, ValueError) as error:
            error.add_note(f"in batch {number} of pass {self._number} of {self!r}, counted "
                           "from 0; a batch is (x,), (x, y) or (x, y, sample_weight)")
            raise
        self._has_targets = y is not None
        return x, y, sample_weight


def _are_tensors(x: Any, *others: Any) -> bool:
    """Whether these need no conversion, and fit: the usual batch, found out at little cost."""
    return _is_tensor(x) and all(
        other is None or (_is_tensor(other) and len(other) == len(x)) for other in others
    ) and (others[1] is None or others[1].dim() == 1)


def _is_tensor(part: Any) -> bool:
    return type(part) is Tensor and part.dim() > 0 and part.layout is torch.strided and not (
        part.requires_grad or part.is_complex())
