"""Norms of the weights, the gradients and the updates of each module, in a few operations a net."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.paths import values

UNKNOWN = -1.0
"""In the place of the norm of a gradient that nobody told of."""


class Norms:
    """Measures one step: weights before it, gradients within it, and what it has changed.

    Frozen parameters are left out; one that is shared belongs to the first module that has it.

    Args:
        module: the net.
    """

    def __init__(self, module: Module) -> None:
        self.owners: dict[str, list[Parameter]] = {}
        """The trainable parameters that lie in a module itself, by its path."""
        known: set[int] = set()
        for path, part in module.named_modules():
            own = [each for _, each in values(part, Parameter)
                   if each.trainable and id(each) not in known]
            known.update(map(id, own))
            if own:
                self.owners[path] = own
        self.parameters = [each for own in self.owners.values() for each in own]
        self.revision = Parameter.revisions

    def before(self) -> None:
        """To be called before the update: keeps the weights for a step."""
        self._weights = [each.data.clone() for each in self.parameters]
        self._gradients: list[Tensor] | None = None

    def gradients(self, rows: int) -> None:
        """To be called when they are complete: the sum over so many rows, or the mean with 1."""
        norms = _norms([each.grad for each in self.parameters])
        self._gradients = [norm / rows for norm in norms] if rows > 1 else norms

    def after(self, updates: int) -> Tensor | None:
        """To be called after so many updates: all the norms in one vector; None of no parameters.

        They are those of the weights, of the gradients (-1 if none was told of), and of an
        update, a number for each parameter.
        """
        weights, self._weights = self._weights, []
        if not weights:
            return None
        changes = torch._foreach_sub([each.data for each in self.parameters], weights)
        norms = [*_norms(weights), *_norms(list(changes))]
        count = len(weights)
        gradients = self._gradients or [norms[0].new_full((), UNKNOWN)] * count
        row = torch.stack([*norms[:count], *gradients, *norms[count:]]).float()
        return row if updates == 1 else torch.cat([row[: 2 * count], row[2 * count :] / updates])

    def by_module(self, row: Sequence[float]) -> Iterator[tuple[str, tuple[float, float, float]]]:
        """The path and the three norms of each module, from a vector that was read."""
        count, start = len(self.parameters), 0
        for path, own in self.owners.items():
            stop = start + len(own)
            weight, gradient, update = (row[at + start : at + stop]
                                        for at in (0, count, 2 * count))
            told = gradient[0] != UNKNOWN
            yield path, (math.hypot(*weight), math.hypot(*gradient) if told else UNKNOWN,
                         math.hypot(*update))
            start = stop


def _norms(tensors: list[Tensor]) -> list[Tensor]:
    kind = torch.float32 if tensors and tensors[0].dtype.itemsize < 4 else None
    return list(torch._foreach_norm(tensors, 2, dtype=kind)) if tensors else []
