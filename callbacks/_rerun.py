"""The module that made the first value that is not finite: its batch is run through a copy again.

Nothing of the model that trains is touched, random states included.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch

from kerasish.insight.twin import twin
from kerasish.module import Module
from kerasish.random import derived_generator, drawing_from
from kerasish.trees import leaves
from kerasish.watching import Place, Watch


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
    with suppress(Exception), twin(module) as copied:  # it may be fed otherwise, or be the only one
        first, noise = _First(copied, x), derived_generator(0, device=device)
        with first, torch.inference_mode(), copied.inference(), drawing_from(noise):
            y = copied.forward(x)
        return Forward(first.place, is_finite(y))
    return Forward()


def is_finite(tree: Any) -> bool:
    """Whether all numbers in the tensors are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in leaves(tree))


class _First(Watch):
    """Keeps the first place where what is not finite comes out, and went in only if x has such."""

    place: str | None = None

    def __init__(self, module: Module, x: Any) -> None:
        super().__init__(module)
        self.any_input = not is_finite(x)

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        y = call(x)
        if self.place is None and (self.any_input or is_finite(x)) and not is_finite(y):
            self.place = place.path
        return y
