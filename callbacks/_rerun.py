"""The module that made the first value that is not finite: its batch is run through a copy again.

Nothing of the model that trains is touched, random states included.
"""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple

import torch

from kerasish.module import Module
from kerasish.random import derived_generator, drawing_from, global_states, set_global_states
from kerasish.trees import leaves

Tell = Callable[[Module, Any, Any], None]


class Forward(NamedTuple):
    """What became of a batch."""

    place: str | None = None
    """The path of the first module whose output is not finite, though its input is."""
    is_finite: bool = False
    """Whether the predictions are finite."""


def forward_again(module: Module, x: Any, device: torch.device) -> Forward:
    """Runs a batch through a copy of the module, and watches every part of it.

    For inputs that are not finite, the first module that hands such values on is meant. Noise is
    not that of the first time.
    """
    states = global_states()
    try:
        with suppress(Exception):  # a `train_step` of one's own may feed its modules otherwise
            return _watched(deepcopy(module), x, device)
    finally:
        set_global_states(states)
    return Forward()


def is_finite(tree: Any) -> bool:
    """Whether all numbers in the tensors are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in leaves(tree))


def _watched(module: Module, x: Any, device: torch.device) -> Forward:
    found: list[str] = []
    places = {id(part): place for place, part in module.named_modules()}
    any_input = not is_finite(x)

    def tell(part: Module, x: Any, y: Any) -> None:
        if not found and (any_input or is_finite(x)) and not is_finite(y):
            found.append(places[id(part)])

    for part in list(module.modules()):
        part.__class__ = _telling(type(part), tell)
    noise = derived_generator(0, device=device)
    with torch.inference_mode(), module.inference(), drawing_from(noise):
        y = module.forward(x)
    return Forward(found[0] if found else None, is_finite(y))


def _telling(kind: Any, tell: Tell) -> Any:
    """The class with a forward that tells; as a subclass it is neither fused nor overwrites x."""

    def forward(self: Any, x: Any) -> Any:
        y = kind.forward(self, x)
        tell(self, x, y)
        return y

    return type(kind.__name__, (kind,), {"forward": forward})
