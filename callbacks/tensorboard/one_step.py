"""What one step of training was: outputs of modules, gradients, and how far the weights went.

Nothing of it is read from the device within the step, and the other steps cost nothing.
"""

import math
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from kerasish.differentiable import is_saving
from kerasish.parameter import Parameter
from kerasish.paths import joined
from kerasish.trees import leaves, mapped
from kerasish.watching import Place, Watch

from .shots import Line, Step

_MOST = 1 << 14
"""Numbers of an output or a buffer that are kept; of a larger one so many that lie evenly in it."""


class Outputs(Watch):
    """What the modules of a model put out in the next step, as far as they train.

    Args:
        model: that trains.
    """

    values: Tensor | None = None
    """All of them, one after the other."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.module)
        self.model = model
        self.sizes: dict[str, int] = {}
        """How many of the values are of which module, by its path, in their order."""
        self._seen: dict[str, list[Tensor]] = {}
        is_container = len(self.places) > 1
        self._left_out = ("",) if is_container else ()  # its output is that of its last module

    def start(self) -> None:
        """Watches from now on, and knows nothing of what was before."""
        self.values, self.sizes, self._seen = None, {}, {}
        self._batch = self.model.batches_trained
        super().start()

    def forward(self, place: Place, x: Any, call: Any) -> Any:
        """Keeps y. In another step nothing is under way yet: it is the moment to watch no more."""
        if self.model.batches_trained != self._batch:
            self.stop()
            return call(x)
        y = call(x)
        if is_saving() and place.path not in self._left_out:
            self._seen.setdefault(place.path, []).extend(
                _some(part) for part in leaves(y) if not part.is_complex())
        return y

    def stop(self) -> None:
        """Watches no more."""
        super().stop()
        self._lay_down()

    def _lay_down(self) -> None:
        if self._seen:
            self.sizes = {path: sum(part.numel() for part in parts)
                          for path, parts in self._seen.items()}
            self.values = torch.cat([part for parts in self._seen.values() for part in parts])
            self._seen = {}

    def state_dict(self) -> dict[str, Any]:
        """What was seen, for checkpoints; nothing if nothing was."""
        self._lay_down()
        if self.values is None:
            return {}
        return {"values": copied(self.values), "sizes": dict(self.sizes)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self.values, self.sizes = state["values"], dict(state["sizes"])


class Buffers:
    """What modules keep beside their parameters, running statistics for instance.

    Args:
        model: that trains.
    """

    def __init__(self, model: Any) -> None:
        self._places = [(joined(path, name), part, name)
                        for path, part in model.module.named_modules()
                        for name in part._buffer_names if getattr(part, name).is_floating_point()]

    def line(self) -> Line:
        """As they are now."""
        parts = {path: _some(getattr(part, name)) for path, part, name in self._places}
        return Line({path: part.numel() for path, part in parts.items()},
                    torch.cat(list(parts.values())) if parts else None)


class Update:
    """What the next update of an optimizer finds and does, as its `step`.

    Args:
        optimizer: that updates.
    """

    step: Step | None = None

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.trainable: list[bool] = []
        """Whether it trained each of the optimizer's parameters: this may change in the epoch."""

    @property
    def trained(self) -> set[Parameter]:
        """The parameters that it trained."""
        return set(compress(self.optimizer.parameters, self.trainable))

    def start(self) -> None:
        """Looks at the next update, once."""
        vars(self.optimizer).setdefault("_advance", _Observed(self.optimizer)).by.append(self)

    def stop(self) -> None:
        """Looks at none any more."""
        observed = vars(self.optimizer).get("_advance")
        if observed is not None and self in observed.by:
            observed.by.remove(self)
            if not observed.by:
                del self.optimizer._advance

    def state_dict(self) -> dict[str, Any]:
        """What was seen, for checkpoints; nothing if nothing was."""
        if self.step is None:
            return {}
        return {"step": copied(self.step), "trainable": list(self.trainable)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes it back."""
        self.step, self.trainable = Step(*state["step"]), list(state["trainable"])


class _Observed:
    """Stands in the place of an update, and in that of no later one.

    Args:
        optimizer: that updates.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.by: list[Update] = []
        """Who looks at it: two TensorBoards, say, in one fit."""

    def __call__(self) -> None:
        by = list(self.by)
        for each in by:
            each.stop()
        flats, rows = self.optimizer.flats, self.optimizer.gathered_rows
        gradients = [flat.grad / rows if rows else flat.grad.clone() for flat in flats]
        before = [flat.data.clone() for flat in flats]
        trainable = [parameter.trainable for parameter in self.optimizer.parameters]
        self.optimizer._advance()
        moved = [flat.data - w for flat, w in zip(flats, before, strict=True)]
        for each in by:
            each.step, each.trainable = Step(gradients, before, moved), trainable


def copied(tree: Any) -> Any:
    """Tensors of a step as those that outlive it."""
    with torch.inference_mode(False):
        return mapped(torch.clone, tree)


def _some(y: Tensor) -> Tensor:
    """An output as a vector, or numbers at equal distances in it, which divide no axis."""
    values = y.reshape(-1)
    if len(values) <= _MOST:
        return values
    distance = -(-len(values) // _MOST)
    while math.gcd(distance, len(values)) > 1:
        distance += 1
    return values[::distance].clone()
