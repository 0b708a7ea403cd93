"""Gradients and weights between processes: what is sent, in which order, and while what goes on."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.distributed.group import Group
from kerasish.optimizers import Optimizer
from kerasish.optimizers.flat import FlatParameters
from kerasish.optimizers.shares import Shares, overlap
from kerasish.parameter import Parameter

BUCKET = 1 << 20
"""Bytes that are sent at once, at least: of neighbours, as long as there are any."""
_LINE = 64
"""Bytes. Shares begin on a cache line, whatever they cut in two."""


class Stretch(NamedTuple):
    """A part of a vector of gradients that is sent at once."""

    flat: FlatParameters
    run: slice
    parameters: tuple[Parameter, ...]
    """Those whose gradients are in it, or a part of them: it is sent when these are complete."""
    owner: int | None
    """Who updates it; None if all do."""

    @property
    def bytes(self) -> int:
        """How long it is."""
        return self.flat.data[self.run].nbytes


class Exchange:
    """Adds up the gradients of all processes, stretch by stretch, the last layers' first.

    While backward goes on, `complete` sends each stretch as soon as the gradients in it are, those
    before it included: the order is the same in all processes whatever is complete first. `settle`
    sends what is left, and waits. Undivided, every process gets the sums; divided, each gets those
    of the share that it updates, and `spread` hands the new weights to all.

    Args:
        group: the processes.
        optimizer: whose gradients these are.
        divided: whether each process updates a share of its own, and keeps the slots of that alone.
    """

    def __init__(self, group: Group, optimizer: Optimizer, divided: bool = False) -> None:
        self.group, self.divided, self.rank = group, divided, group.rank
        self.early = True
        """Whether stretches are sent while backward goes on."""
        self.everywhere = False
        """Whether all processes are to have all sums, also of what they do not update."""
        self._optimizer, self._planned_at = optimizer, -1
        self._bounds: dict[FlatParameters, list[int]] = {}
        self._stretches: list[Stretch] = []
        self.reset()

    def reset(self) -> None:
        """Forgets a step that was broken off."""
        self._works: list[Any] = []
        self._complete: set[Parameter] = set()
        self._sent, self._is_summed = 0, False

    def shares(self, flats: Iterable[FlatParameters], whole_parameters: bool) -> Shares:
        """The stretch of each vector that this process updates."""
        self._bounds = {flat: self._bounds_of(flat, whole_parameters) for flat in flats}
        rank = self.rank if self.divided else 0
        return {flat: slice(*bounds[rank : rank + 2]) for flat, bounds in self._bounds.items()}

    def stretches(self) -> list[Stretch]:
        """What is sent, in this order."""
        if self._planned_at != Parameter.revisions:
            self._planned_at = Parameter.revisions
            trained = {p for p in self._optimizer.parameters if p.trainable}
            self._stretches = [
                Stretch(flat, part, parameters, owner)
                for flat in self._optimizer.flats for run, parameters in buckets(flat, trained)
                for owner, part in self._by_owner(flat, run)]
        return self._stretches

    def begin(self, parameter: Parameter) -> None:
        """Refuses a gradient that comes after it was sent.

        Raises: RuntimeError.
        """
        if any(parameter in each.parameters for each in self._stretches[: self._sent]):
            raise RuntimeError("fit in several processes expects a module to go back as often as "
                               "it went forward; got a gradient for a parameter whose gradient was "
                               "sent already. Set model.optimizer.exchange.early = False.")

    def complete(self, parameter: Parameter) -> None:
        """Sends what is complete with this gradient."""
        self._complete.add(parameter)
        while self._sent < len(stretches := self.stretches()) and (
                self._complete.issuperset(stretches[self._sent].parameters)):
            self._send()

    def add_up(self) -> None:
        """Makes the gradients the sums of those of all processes; a second call does nothing."""
        if self._is_summed:
            return
        while self._sent < len(self.stretches()):
            self._send()
        self.group.wait_for(self._works)
        self.reset()
        self._is_summed = True

    def settle(self) -> None:
        """The same, at the beginning of an update."""
        self.add_up()
        self._is_summed = False

    def spread(self) -> None:
        """Hands each process the weights that others have updated."""
        if self.divided:
            self.group.wait_for([self.group.give(each.flat.data[each.run], each.owner)
                                 for each in self.stretches() if each.owner is not None])

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes of what each of them knows a part of; value is changed."""
        self.group.add_up([value])
        return value

    def whole(self, flat: FlatParameters, own: Tensor) -> Tensor:
        """A vector beside the weights, of which each process keeps its share."""
        with torch.inference_mode(False):
            vector = torch.zeros_like(flat.data)
            parts = [vector[start:stop] for start, stop in pairwise(self._bounds[flat])]
            parts[self.rank].copy_(own)
            self.group.wait_for([self.group.give(part, owner)
                                 for owner, part in enumerate(parts)])
        return vector

    def _send(self) -> None:
        flat, run, _, owner = self.stretches()[self._sent]
        self._sent += 1
        self._works.append(self.group.sum(flat.grad[run], None if self.everywhere else owner))

    def _bounds_of(self, flat: FlatParameters, whole_parameters: bool) -> list[int]:
        """Where the shares begin and end."""
        size, count = len(flat.data), self.group.size if self.divided else 1
        ideal = [size * number / count for number in range(count + 1)]
        if whole_parameters:
            starts = [*flat.offsets.values(), size]
            return [min(starts, key=lambda start: abs(start - wanted)) for wanted in ideal]
        line = _LINE // flat.data.element_size()
        return [round(wanted / line) * line for wanted in ideal]

    def _by_owner(self, flat: FlatParameters, run: slice) -> list[tuple[int | None, slice]]:
        if not self.divided:
            return [(None, run)]
        shares = enumerate(pairwise(self._bounds[flat]))
        parts = [(owner, overlap(run, slice(*share))) for owner, share in shares]
        return [(owner, part) for owner, part in parts if part.start < part.stop]


def buckets(
    flat: FlatParameters, wanted: set[Parameter]
) -> Iterable[tuple[slice, tuple[Parameter, ...]]]:
    """Neighbours that are sent together, in the order of backward: the last layers' come first.

    What has no weight decay, biases of all layers, lies together, and is complete at the end.
    """
    decaying = {parameter for parameter in wanted if parameter.decay}
    for group in (decaying, wanted - decaying):
        for run in reversed(flat.runs(group)):
            stop, inside = run.stop, []
            for parameter in reversed(flat.parameters):
                start = flat.offsets[parameter]
                if not run.start <= start < run.stop:
                    continue
                inside.append(parameter)
                if start == run.start or (stop - start) * flat.data.element_size() >= BUCKET:
                    yield slice(start, stop), tuple(inside)
                    stop, inside = start, []
