"""Which module a wrong gradient comes from: each alone, at the x and the dy that it saw."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from kerasish.differentiable import is_saving
from kerasish.insight.checking.comparing import FAIL, verdicts
from kerasish.insight.checking.probes import LossProbe, ModuleProbe, PenaltyProbe, Probe, WholeProbe
from kerasish.paths import penalized
from kerasish.trees import mapped
from kerasish.watching import Place, Watch


class _Call(NamedTuple):
    place: Place
    x: Any
    dy: Any


class _Calls(Watch):
    """What each module was given on the way forth and back, in the order of their returns."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.names = {place.path: repr(place.module) for place in self.places}
        self.calls: list[_Call] = []
        self._given: dict[str, list[Any]] = {}

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        if is_saving():
            self._given.setdefault(place.path, []).append(mapped(torch.clone, x))
        return call(x)

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        x = self._given[place.path].pop()
        kept = mapped(torch.clone, dy)
        dx = call(dy)
        self.calls.append(_Call(place, x, kept))
        return dx


def culprit(probe: WholeProbe, tolerance: float) -> str:
    """The first that is wrong alone on the way back, with the gradient that is wrong, in words."""
    calls = _Calls(probe.module)
    with calls:
        probe.parts()
    for name, alone in _alone(probe, calls):
        for found in verdicts(alone, tolerance, 1, probe.seed):
            if found.result == FAIL:
                return f"{name}, {_gradient(alone, found.part.name)}"
    return ("none of the modules alone. Look at how they are put together: at what is called "
            "several times, or keeps values outside of save_for_backward")


def _alone(probe: WholeProbe, calls: _Calls) -> Iterator[tuple[str, Probe]]:
    """The loss, then the modules on the way back, parts before what holds them; then penalties."""
    loss, seed = probe.model.loss, probe.seed
    yield f"the loss, {loss!r}", LossProbe(loss, (probe.y_pred, *probe.targets), seed)
    for place, x, dy in calls.calls:
        name = f"{place.path} {calls.names[place.path]}".strip()
        yield name, ModuleProbe(place.module, x, dy, seed)
    for path, parameter in penalized(probe.module):
        yield f"{parameter.regularizer!r} of {path}", PenaltyProbe(parameter, seed)


def _gradient(alone: Probe, name: str) -> str:
    """What is wrong, as backward's formulas say it: dx for an input, dy_pred for that of a loss."""
    if isinstance(alone, LossProbe):
        return f"dy_pred{name.removeprefix('x')}"
    return f"d{name}" if name.startswith("x") else f"gradient of {name}"
