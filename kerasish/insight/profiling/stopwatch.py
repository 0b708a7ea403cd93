"""Where the time of a step goes: each module by itself, the loss, the update and what is left."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch

from kerasish.module import Module
from kerasish.watching import Place, Watch

FORWARD, WITH_DX, WITHOUT_DX = "forward", "backward with dx", "backward without dx"
LOSS, LOSS_BACK, UPDATE, REST = "loss", "loss backward", "update", "rest"

Key = tuple[str, str]
"""A path, "" for what is no module, and what is done there."""

Around = Callable[[str, Callable[[], Any]], Any]
"""Runs what is called under that name, and does what it likes before and after."""


def clock_of(device: torch.device) -> Callable[[], float]:
    """A clock in seconds that waits for the device first, so that its work is in the time."""
    if device.type != "cuda":
        return perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return perf_counter()

    return clock


class Stopwatch(Watch):
    """Adds up the seconds that each module takes by itself, without those of the modules below it.

    What looking costs, two readings of the clock a call, is left out of every sum as well.

    Args:
        module: the net.
        clock: answers the time in seconds.
    """

    def __init__(self, module: Module, clock: Callable[[], float]) -> None:
        super().__init__(module)
        self.clock = clock
        self._inside: list[float] = []
        self._seconds: dict[Key, float] = defaultdict(float)
        self._calls: dict[Key, int] = defaultdict(int)

    def take(self) -> tuple[Mapping[Key, float], Mapping[Key, int]]:
        """The seconds and the calls so far; it begins anew."""
        taken = self._seconds, self._calls
        self._seconds, self._calls = defaultdict(float), defaultdict(int)
        return taken

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        return self._timed(place.path, lambda y: FORWARD, lambda: call(x))

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        return self._timed(place.path, _kind_of_backward, lambda: call(dy))

    def around(self, what: str, call: Callable[[], Any]) -> Any:
        """Times what is no module, the loss for instance, in the same way."""
        return self._timed("", lambda answer: what, call)

    def _timed(self, path: str, what: Callable[[Any], str], call: Callable[[], Any]) -> Any:
        entered = self.clock()
        self._inside.append(0.0)
        started = self.clock()
        answer = call()
        took = self.clock() - started - self._inside.pop()
        key = path, what(answer)
        self._seconds[key] += took
        self._calls[key] += 1
        if self._inside:
            self._inside[-1] += self.clock() - entered
        return answer


def _kind_of_backward(dx: Any) -> str:
    return WITHOUT_DX if dx is None else WITH_DX


@contextmanager
def around_phases(model: Any, around: Around) -> Iterator[None]:
    """Has a model's loss and update run through `around` inside the block.

    Args:
        model: a twin, as what is put into it and its loss is no part of them.
        around: is given `LOSS`, `LOSS_BACK` or `UPDATE`.
    """
    phases = ((model, "objective", LOSS), (model.loss, "backward", LOSS_BACK),
              (model, "step", UPDATE))
    for owner, name, what in phases:
        setattr(owner, name, _through(around, what, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, _ in phases:
            delattr(owner, name)


def _through(around: Around, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: around(what, lambda: call(*args, **named))
