"""Passes through data that come by themselves, one after the other, and where in them one is."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from itertools import chain
from typing import Any

import numpy as np
import torch

from kerasish.data.ahead import END, Ahead
from kerasish.data.convert import argument
from kerasish.data.sources import Source
from kerasish.random import global_states, set_global_states
from kerasish.trees import leaves


class Passes(Source):
    """Goes through what a user gave, pass after pass.

    Args:
        give: an iterable; a function that makes one for each pass; or an iterator, which cannot
            restart.
        who: the method that it was given to, for errors.
    """

    def __init__(self, give: Any, who: str) -> None:
        self._give, self.who = give, who
        self.restarts = callable(give) or iter(give) is not give
        self._left: Iterator[Any] | None = None
        self._number = self._taken = 0
        self._outside = copy_context()  # where the user's data runs, as if there were no training
        self._generators: list[torch.Generator] = []  # the user's own
        self._began: dict[str, Any] | None = None
        self._awaited: dict[str, Any] | None = None
        self._ahead: Ahead | None = None
        self._to_come: float = 0  # batches that this epoch is still to take
        self._own_states: list[torch.Tensor] = []  # of the user's generators, at the last batch
        self._draws_alone = False  # whether batches were seen to draw from no one else's generator

    def _next(self) -> Any:
        if self._ahead is not None:
            given = self._ahead.take()
        elif self.prefetch and self._taken and not self._draws_alone:
            given = self._watched()
        else:
            given = self._given()
        if given is END:
            return END
        raw, self._own_states = given
        self._taken, self._to_come = self._taken + 1, self._to_come - 1
        self._look_ahead()
        return raw

    def _given(self) -> Any:
        """The next batch, and where the user's generators are then; or END."""
        assert self._left is not None
        with torch.inference_mode(False):
            raw = self._outside.run(next, self._left, END)
        return END if raw is END else (raw, [each.get_state() for each in self._generators])

    def _begin(self, number: int) -> None:
        """Begins a pass, and looks at its first batch."""
        if not self.restarts and self._left is not None:
            raise ValueError(
                f"{self._argument} expects batches for all epochs and steps; got {self!r}, which "
                f"ended after {self._taken} batches and cannot begin anew. Give a function that "
                "makes it, or a list; or ask for fewer epochs or steps."
            )
        self.close()
        self._number, self._taken, self._began = number, 0, self._random_states()
        with torch.inference_mode(False), self._seeded(number):
            self._left = self._outside.run(self._iterator)
            first = self._outside.run(next, self._left, END)
        if first is END:
            raise ValueError(f"{self._argument} expects at least one batch; got {self!r} without "
                             "any. Check what it goes through.")
        self._left = chain([first], self._left)

    def _iterator(self) -> Iterator[Any]:
        batches = self._give() if callable(self._give) else self._give
        if not isinstance(batches, Iterable) or hasattr(batches, "ndim"):
            raise TypeError(f"{self._argument} expects a function that makes an iterable of "
                            f"batches; got {type(batches).__name__} from {self!r}. Write yield in "
                            "it.")
        return iter(batches)

    def _seeded(self, number: int) -> AbstractContextManager[None]:
        """Makes what shuffles inside draw from the seed and the number of the pass."""
        return nullcontext()

    @property
    def _argument(self) -> str:
        return argument(self.who, "x")

    # ---- the next batches in a thread -----------------------------------------------------------

    def _expect(self, batches: float) -> None:
        """So many are to be taken at most: what may be lost to an iterator is not read ahead."""
        self._to_come = batches
        if self._ahead is not None:
            self._ahead.want(batches)

    def _look_ahead(self) -> None:
        if self.prefetch and self._draws_alone and self._ahead is None and self._to_come > 0:
            self._ahead = Ahead(self._given, self.prefetch, self._to_come)

    def _watched(self) -> Any:
        """The second batch, made here, to see whether others could disturb what is drawn for it.

        Raises: ValueError if so.
        """
        before = global_states()
        given = self._given()
        for name, state in global_states().items():
            if not all(map(np.array_equal, leaves(state), leaves(before.get(name)))):
                raise ValueError(
                    f"fit(prefetch) expects batches that draw from generators of their own; got "
                    f"{self!r}, which draws from {name}'s, so that noise would depend on which "
                    "thread is faster. Give it a generator, a DataLoader workers, or leave "
                    "prefetch out."
                )
        self._draws_alone = True
        return given

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    # ---- the same place in another process ----------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        if self._awaited is not None:
            return self._awaited
        now = self._random_states()
        if self._ahead is not None:  # the thread is further than training
            now["own"] = self._own_states
        return {"number": self._number, "taken": self._taken, "began": self._began, "now": now}

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

    def _go_back(self, start: int, to_begin: bool) -> None:
        """Comes to the place that was put away, by going through its pass again.

        A pass that is over is left out if another one is what follows. The global generators are
        left as they are: the run puts them back itself.
        """
        state, self._awaited = self._awaited or {}, None
        if not self.restarts:
            if start:
                raise ValueError(
                    f"{self._argument} expects data that can be gone through again, to go on with "
                    f"batch {start} of an epoch; got {self!r}. Give a function that makes it, or a "
                    "list; or save by epoch."
                )
            return
        before, self._left = global_states(), None
        if state["began"] is None or (to_begin and state["taken"]):
            self._put_back(state["now"])
        else:
            self._put_back(state["began"])
            self._begin(state["number"])
            for _ in range(state["taken"]):
                self._next()
        set_global_states(before)

    def __repr__(self) -> str:
        give = self._give
        if callable(give) and hasattr(give, "__name__"):
            return f"the function {give.__name__}"
        return f"a {type(give.batches if isinstance(give, Sequence) else give).__name__}"


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
