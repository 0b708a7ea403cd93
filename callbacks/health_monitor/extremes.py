"""Looks at what goes through a net in single steps; all that is kept of it lies on the device."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.endings import endings
from kerasish.layers.convolutions.convolving import Convolving
from kerasish.layers.normalization.channel_norm import ChannelNorm
from kerasish.layers.normalization.group_norm import GroupNorm
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import values as attributes
from kerasish.trees import leaves
from kerasish.watching import Place, Watch

from .gauges import Values, gauge_of

_CHANNELS_FIRST = (Convolving, ChannelNorm, GroupNorm)


class Extremes(Watch):
    """Keeps, for each unit of the activations, the greatest of the values that its gauge gives.

    A unit is a feature of (N, F), and a channel of (N, C, H, W) and of more axes. Of three axes it
    is a channel, (N, C, L), if the latest layer with weights was a convolution or a norm of
    channels, and else a feature, (N, L, F).
    """

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        last = {id(part) for part in leaves(endings(module))}
        gauges = {path: gauge_of(part, id(part) in last) for path, part in self.places}
        self.gauges = {path: gauge for path, gauge in gauges.items() if gauge is not None}
        self._axes = {path: 1 if isinstance(part, _CHANNELS_FIRST) else -1
                      for path, part in self.places
                      if next(attributes(part, Parameter), None) is not None}
        self.forget()

    def forget(self) -> None:
        """Begins anew: nothing has been seen."""
        self.greatest: dict[str, list[Tensor]] = {}
        """By path, a vector over units, for each side of the gauge, for each call in a step."""
        self.seen: dict[str, None] = {}
        """The paths of the modules with parameters, in the order of their first call."""

    def start(self) -> None:
        self._calls: Counter[str] = Counter()
        self._axis = -1
        super().start()

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        y, path = call(x), place.path
        if path in self._axes:
            self._axis = self._axes[path]
            self.seen[path] = None
        if path in self.gauges and isinstance(y, Tensor) and y.numel():
            self._keep(path, self.gauges[path].values(y))
        return y

    def _keep(self, path: str, values: Values) -> None:
        call, known = self._calls[path], self.greatest.setdefault(path, [])
        self._calls[path] += 1
        new = torch.cat([_over_samples(value, self._axis) for value in values])
        if call == len(known):
            known.append(new)
        elif known[call].shape == new.shape:
            known[call] = torch.maximum(known[call], new)
        else:  # of units whose number changes nothing can be said
            known[call] = new[:0]


def _over_samples(value: Tensor, axis: int) -> Tensor:
    """The greatest value of each unit; its axis among three is given."""
    axes = value.dim()
    unit = 1 if axes > 3 else axis % axes
    return value.amax([each for each in range(axes) if each != unit or not unit]).reshape(-1)
