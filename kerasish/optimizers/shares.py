"""Which part of each flat vector is updated here: all of it, unless processes divide the work."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor

from kerasish.optimizers.flat import FlatParameters

Shares = Mapping[FlatParameters, slice]
"""The stretch of each vector that is updated here, and whose slots are kept here."""


class Exchange(Protocol):
    """What an optimizer asks of the processes that it trains together with.

    Every method is to be called by all of them, in the same order.
    """

    rank: int
    """The number of this process, from 0."""
    divided: bool
    """Whether each process updates a share of its own, and not all of them everything."""
    everywhere: bool
    """Whether all processes are to have all sums, also of what they do not update."""

    def shares(self, flats: Iterable[FlatParameters], whole_parameters: bool) -> Shares:
        """What this process is to update; with whole_parameters, none of them is cut in two."""

    def add_up(self) -> None:
        """Makes gradients the sums of those of all processes, before the update looks at them."""

    def settle(self) -> None:
        """Makes the gradients of what is updated here the sums of those of all processes."""

    def spread(self) -> None:
        """Hands each process the weights that others have updated."""

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes of what each of them knows a part of; value is changed."""

    def whole(self, flat: FlatParameters, own: Tensor) -> Tensor:
        """A vector beside the weights, of which each process keeps its share."""


def all_of(flats: Iterable[FlatParameters]) -> Shares:
    """The shares of a process that updates everything."""
    return {flat: slice(0, len(flat.data)) for flat in flats}


def overlap(one: slice, other: slice) -> slice:
    """What two stretches have in common.

    Example:
        >>> overlap(slice(0, 6), slice(4, 9)), overlap(slice(0, 2), slice(4, 9))
        (slice(4, 6, None), slice(4, 4, None))
    """
    start = max(one.start, other.start)
    return slice(start, max(start, min(one.stop, other.stop)))


def within(share: slice, run: slice) -> slice:
    """A stretch of a vector, counted from where the share begins.

    Example:
        >>> within(slice(4, 9), slice(5, 7))
        slice(1, 3, None)
    """
    return slice(run.start - share.start, run.stop - share.start)
