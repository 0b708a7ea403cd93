"""Which stretches of the flat vectors an optimizer updates, and at what share of its rate."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from kerasish.optimizers.flat import FlatParameters
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
) -> list[Segment]:
    """The fewest segments that cover the trained parameters, and no others."""
    groups: dict[float, set[Parameter]] = {}
    for parameter in trained:
        groups.setdefault(parameter.learning_rate_multiplier, set()).add(parameter)
    return [
        Segment(
            multiplier, flat.data[run], flat.grad[run],
            [state[flat][slot][run] for slot in slots], flat.sizes(run),
            [flat.data[part] for part in flat.runs({p for p in group if p.decay})
             if run.start <= part.start < run.stop],
        )
        for flat in flats
        for multiplier, group in groups.items()
        for run in flat.runs(group)
    ]
