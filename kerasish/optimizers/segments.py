"""Which stretches of the flat vectors an optimizer updates, and at what share of its rate."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from kerasish.optimizers.flat import FlatParameters
from kerasish.optimizers.shares import Shares, overlap, within
from kerasish.parameter import Parameter


class Segment(NamedTuple):
    """Neighbours in a flat vector that are trained at one rate, with all that belongs to them."""

    multiplier: float
    """What scales the optimizer's learning rate here."""
    w: Tensor
    g: Tensor
    slots: list[Tensor]
    sizes: list[int]
    """How many elements belong to each parameter: `w.split(sizes)`."""
    decaying: list[Tensor]
    """The parts of w under weight decay."""


def cut(
    flats: Sequence[FlatParameters],
    trained: Sequence[Parameter],
    state: Mapping[FlatParameters, Mapping[str, Tensor]],
    slots: Sequence[str],
    shares: Shares,
) -> list[Segment]:
    """The fewest segments that cover what is trained of these shares, and nothing else."""
    groups: dict[float, set[Parameter]] = {}
    for parameter in trained:
        groups.setdefault(parameter.learning_rate_multiplier, set()).add(parameter)
    return [
        Segment(
            multiplier, flat.data[run], flat.grad[run],
            [state[flat][slot][within(shares[flat], run)] for slot in slots], flat.sizes(run),
            [flat.data[part] for part in _parts(flat, {p for p in group if p.decay}, run)],
        )
        for flat in flats
        for multiplier, group in groups.items()
        for run in _parts(flat, group, shares[flat])
    ]


def _parts(flat: FlatParameters, group: set[Parameter], share: slice) -> list[slice]:
    """The stretches of a share that belong to a group."""
    parts = [overlap(run, share) for run in flat.runs(group)]
    return [part for part in parts if part.start < part.stop]
