"""When a gradient is complete: it is then updated from, or sent, while backward goes on."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import torch

from kerasish.checks import check_flag
from kerasish.distributed import Exchange
from kerasish.hooks import CallbackList
from kerasish.module import Module
from kerasish.optimizers.streaming import check_optimizer
from kerasish.parameter import Parameter
from kerasish.paths import values
from kerasish.watching import Place, Watch


class Awaiting(Protocol):
    """What wants to know of gradients."""

    def begin(self, parameter: Parameter) -> None:
        """Is called before something is added to its gradient."""

    def complete(self, parameter: Parameter) -> None:
        """Is called once nothing more will be."""


class Completion(Watch):
    """Tells of each gradient as soon as the last backward that adds to it is done.

    A module goes back as often as it went forward: after the last time its parameters, and those
    of parts of it that were not called by themselves, have their gradients, unless another module
    has the same parameter. A replay of forward, on the way back, counts for nothing.

    Args:
        module: the net.
        awaiting: what is told.
    """

    listens: ClassVar[bool] = True

    def __init__(self, module: Module, awaiting: Awaiting) -> None:
        super().__init__(module)
        self.awaiting = awaiting
        self._calls: Counter[str] = Counter()
        """How often each module went forward in this step."""
        self._due: dict[str, list[Parameter]] = {}
        """The parameters that a module adds gradients to, once backward has begun."""
        self._missing: Counter[Parameter] = Counter()
        """How many more calls of backward add to each."""

    def watches(self, part: Module) -> bool:
        return any(True for _ in part.parameters())

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        if self._due and not place.path:  # the step before is over
            for each in (self._calls, self._due, self._missing):
                each.clear()
        if not self._due and place.module.training:
            self._calls[place.path] += 1
        return call(x)

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        if not self._due:
            self._look_ahead()
        mine = self._due.get(place.path, ())
        for parameter in mine:
            self.awaiting.begin(parameter)
        dx = call(dy)
        for parameter in mine:
            self._missing[parameter] -= 1
            if self._missing[parameter] == 0:
                self.awaiting.complete(parameter)
        return dx

    def _look_ahead(self) -> None:
        """Gives the parameters of each module to it, or to what was called in its stead."""
        for path, part in self.places:
            called = path
            while called and not self._calls[called]:
                called = called.rpartition(".")[0]
            due = self._due.setdefault(called, [])
            for _, parameter in values(part, Parameter):
                if parameter.trainable and parameter not in due:
                    due.append(parameter)
        for path, due in self._due.items():
            for parameter in due:
                self._missing[parameter] += self._calls[path]


def sends_early(trainer: Any, exchange: Exchange) -> bool:
    """Whether gradients are sent while backward goes on: where nothing is added to them later."""
    adds_later = trainer.optimizer.accumulates or trainer.trains_by_itself or trainer.precision
    return exchange.early and not adds_later


@contextmanager
def gradients_used_early(trainer: Any, stream_updates: bool = False) -> Iterator[None]:
    """Inside the block gradients are used while backward goes on.

    With stream_updates each parameter is updated then; and several processes send them then, unless
    more is to be added to them later.
    """
    optimizer, exchange = trainer.optimizer, trainer.optimizer.exchange
    if stream_updates:
        streaming = optimizer.stream()
        try:
            with Completion(trainer.module, streaming):
                yield
        finally:
            streaming.end()
    elif exchange is not None and sends_early(trainer, exchange):
        with Completion(trainer.module, exchange):
            yield
    else:
        yield


def check_streaming(wanted: bool, trainer: Any, hooks: CallbackList) -> None:
    """Refuses what needs all gradients at once, if updates in stream are wanted.

    Raises: ValueError naming it.
    """
    check_flag("fit(stream_updates)", wanted, "Updates follow each other, or wait.")
    if not wanted:
        return
    if trainer.trains_by_itself:
        raise ValueError(
            "fit(stream_updates) expects the usual train_step; got that of "
            f"{type(trainer).__name__}, which may go back more than once. Leave stream_updates "
            "out.")
    if trainer.group is not None:
        raise ValueError(f"fit(stream_updates) expects one process; got {trainer.group.size}, "
                         "which add up all gradients before an update. Leave it out.")
    smaller = trainer.precision not in (None, torch.float32)
    for setting, on in (("jit_compile=True", trainer.jit is not None), ("precision", smaller)):
        if on:
            raise ValueError(f"fit(stream_updates) expects a model compiled without {setting}; got "
                             "one with it. Leave one of them out.")
    for each in hooks:
        if each.listens("on_backward_end"):
            raise ValueError(
                "fit(stream_updates) expects callbacks that need no gradients; got "
                f"{type(each).__name__}, which looks at all of them between backward and update. "
                "Leave one of them out.")
    check_optimizer(trainer.optimizer)
