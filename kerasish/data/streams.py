"""Batches that come by themselves: iterables, functions that make them, iterators."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from kerasish.data.arrays import Arrays, Batch, placed
from kerasish.data.class_weights import weights_by_class
from kerasish.data.sources import Source
from kerasish.random import global_states, set_global_states
from kerasish.types import Device


class StreamSource(Source):
    """Batches from anything that can be iterated.

    Each is (x,), (x, y) or (x, y, sample weights) in a tuple or a list, or x alone.

    Args:
        give: an iterable; a function that makes one for each pass; or an iterator, which cannot
            restart.
        who: the method that it was given to, for errors.
        batches: batches a pass, where that is known.
    """

    def __init__(self, give: Any, who: str = "fit", batches: int | None = None) -> None:
        self._give, self.who, self.batches = give, who, batches
        self.restarts = callable(give) or iter(give) is not give
        self._place: tuple[Device, torch.dtype] | None = None
        self._weights: Any = None
        self._left: Iterator[Any] | None = None
        self._number = self._taken = 0
        self._has_targets: bool | None = None
        self._outside = copy_context()  # where the user's data runs, as if there were no training
        self._generators: list[torch.Generator] = []  # the user's own
        self._began: dict[str, Any] | None = None
        self._awaited: dict[str, Any] | None = None

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
        kept = list(islice(self._left or (), batches))
        return StreamSource(kept, self.who, len(kept))

    def epoch(self, number: int, steps: int | None = None, start: int = 0) -> Iterator[Batch]:
        if self._awaited is not None:
            self._go_on(number, steps, start)
        elif steps is None and not (self._left is not None and self._is_at(number)):
            self._begin(number)
        elif self._left is None or not (self._number or self._taken):
            self._begin_at(number, steps, start)
        return self._pass() if steps is None else self._steps(steps - start)

    def from_start(self, steps: int | None = None) -> Iterator[Batch]:
        if self._awaited is not None:
            self._go_on(0, None, 0)
        elif self.restarts and self._taken:
            self._begin(0)
        return self.epoch(0, steps)

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
        while (raw := self._next()) is not _END:
            yield self._batch(raw)

    def _steps(self, count: int) -> Iterator[Batch]:
        for _ in range(count):
            raw = self._next()
            if raw is _END:
                self._begin(self._number + 1)
                raw = self._next()
            yield self._batch(raw)

    def _next(self) -> Any:
        assert self._left is not None
        with torch.inference_mode(False):
            raw = self._outside.run(next, self._left, _END)
        if raw is not _END:
            self._taken += 1
        return raw

    def _begin(self, number: int) -> None:
        """Begins a pass, and looks at its first batch."""
        if not self.restarts and self._left is not None:
            raise ValueError(
                f"{self.who}(x) expects batches for all epochs and steps; got {self!r}, which "
                f"ended after {self._taken} batches and cannot begin anew. Give a function that "
                "makes it, or a list; or ask for fewer epochs or steps."
            )
        self._number, self._taken, self._began = number, 0, self._random_states()
        with torch.inference_mode(False), self._seeded(number):
            self._left = self._outside.run(self._iterator)
            first = self._outside.run(next, self._left, _END)
        if first is _END:
            raise ValueError(f"{self.who}(x) expects at least one batch; got {self!r} without any. "
                             "Check what it goes through.")
        self._left = chain([first], self._left)

    def _iterator(self) -> Iterator[Any]:
        batches = self._give() if callable(self._give) else self._give
        if not isinstance(batches, Iterable) or hasattr(batches, "ndim"):
            raise TypeError(f"{self.who}(x) expects a function that makes an iterable of batches; "
                            f"got {type(batches).__name__} from {self!r}. Write yield in it.")
        return iter(batches)

    def _seeded(self, number: int) -> AbstractContextManager[None]:
        """Makes what shuffles inside draw from the seed and the number of the pass."""
        return nullcontext()

    # ---- the same place in another process ----------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        if self._awaited is not None:
            return self._awaited
        return {"number": self._number, "taken": self._taken, "began": self._began,
                "now": self._random_states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._awaited = state

    def _random_states(self) -> dict[str, Any]:
        """Where the generators are that the user's data may draw from."""
        return {"everyone's": global_states(),
                "own": [generator.get_state() for generator in self._generators]}

    def _put_back(self, states: dict[str, Any]) -> None:
        set_global_states(states["everyone's"])
        for generator, state in zip(self._generators, states["own"], strict=True):
            generator.set_state(state)

    def _go_on(self, number: int, steps: int | None, start: int) -> None:
        """Comes to the place that was put away: by a new pass, or by going through its own again.

        The global generators are left as they are: the run puts them back itself.
        """
        state, self._awaited = self._awaited or {}, None
        if not self.restarts:
            if start:
                raise ValueError(
                    f"{self.who}(x) expects data that can be gone through again, to go on with "
                    f"batch {start} of an epoch; got {self!r}. Give a function that makes it, or a "
                    "list; or save by epoch."
                )
            if self._left is None:
                self._begin(number)
            return
        before, self._left = global_states(), None
        is_over = state["taken"] and steps is None and not start
        if is_over or state["began"] is None:
            self._put_back(state["now"])
            set_global_states(before)
            self._begin(number)
            return
        self._put_back(state["began"])
        self._begin(state["number"])
        for _ in range(state["taken"]):
            self._next()
        set_global_states(before)

    # ---- one batch ----------------------------------------------------------------------------

    def _batch(self, raw: Any) -> Batch:
        batch = self._checked(raw, self._taken - 1)
        if self._place is not None:
            batch = placed(*self._place, batch)
        if self._weights is not None:
            x, y, sample_weight = batch
            batch = x, y, weights_by_class(self._weights, y, sample_weight)
        return batch

    def _checked(self, raw: Any, number: int) -> Batch:
        """What was given as tensors of as many samples."""
        is_several = isinstance(raw, tuple | list) and 1 <= len(raw) <= 3
        x, y, sample_weight, *_ = (*raw, None, None) if is_several else (raw, None, None)
        try:
            if not _are_tensors(x, y, sample_weight):
                arrays = Arrays(x, y, sample_weight, self.who)
                x, y, sample_weight = arrays.x, arrays.y, arrays.sample_weight
            if self._has_targets not in (None, y is not None):
                raise ValueError(f"{self.who}(x) expects targets in all batches or in none; got a "
                                 f"batch with{'out' if y is None else ''} them. Give them all y.")
        except (TypeError, ValueError) as error:
            error.add_note(f"in batch {number} of pass {self._number} of {self!r}, counted "
                           "from 0; a batch is (x,), (x, y) or (x, y, sample_weight)")
            raise
        self._has_targets = y is not None
        return x, y, sample_weight

    def __repr__(self) -> str:
        give = self._give
        if callable(give) and hasattr(give, "__name__"):
            return f"the function {give.__name__}"
        return f"a {type(give.batches if isinstance(give, Sequence) else give).__name__}"


_END: Any = object()


def _are_tensors(x: Any, *others: Any) -> bool:
    """Whether these need no conversion, and fit: the usual batch, found out at little cost."""
    return _is_tensor(x) and all(
        other is None or (_is_tensor(other) and len(other) == len(x)) for other in others
    ) and (others[1] is None or others[1].dim() == 1)


def _is_tensor(part: Any) -> bool:
    return type(part) is Tensor and part.dim() > 0 and not (
        part.requires_grad or part.is_complex())


class Sequence:
    """Whole batches by their number, as from Keras' PyDataset, in an iterable.

    `on_epoch_begin` and `on_epoch_end`, where there are any, are called around each pass.
    """

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        self._tell("on_epoch_begin")
        for number in range(len(self.batches)):
            yield self.batches[number]
        self._tell("on_epoch_end")

    def _tell(self, hook: str) -> None:
        if hasattr(self.batches, hook):
            getattr(self.batches, hook)()
