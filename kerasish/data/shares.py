"""Batches of which a process reads its own rows of x alone, and what stands for the others."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from kerasish.data.arrays import Arrays, Batch, Blocks, views
from kerasish.trees import filled, leaves, mapped


class Share(Protocol):
    """The part of a process in batches that several go through together."""

    @property
    def rank(self) -> int:
        """The number of the process."""

    @property
    def size(self) -> int:
        """How many there are."""

    def rows(self, count: int) -> slice:
        """The rows of a batch of so many that are its own."""

    def gathered(self, own: Tensor, count: int) -> Tensor:
        """The rows of all processes, which all ask for them at once."""


class OwnRows:
    """A tensor with all rows of a batch, of which some are here and the others are read if needed.

    Args:
        here: the rows that are here.
        at: which ones they are.
        count: how many the batch has.
        read: reads all of them, without the other processes.

    Example:
        >>> x = OwnRows(torch.ones(2, 3), slice(0, 2), 5, lambda: torch.ones(5, 3))
        >>> x.shape, x[slice(0, 2)].shape, x.whole().shape
        (torch.Size([5, 3]), torch.Size([2, 3]), torch.Size([5, 3]))
    """

    def __init__(self, here: Tensor, at: slice, count: int, read: Callable[[], Tensor]) -> None:
        self.here, self.at, self.count, self.whole = here, at, count, read

    @property
    def shape(self) -> torch.Size:
        """That of all rows."""
        return torch.Size((self.count, *self.here.shape[1:]))

    def __getitem__(self, rows: slice) -> Tensor:
        return self.here if rows == self.at else self.whole()[rows]


def whole(tree: Any) -> Any:
    """The same with all rows."""
    return mapped(lambda part: part.whole() if isinstance(part, OwnRows) else part, tree)


def with_others(x: Any, at: slice, count: int, read: Callable[[], Any]) -> Any:
    """A tree with a process' own rows, as one that has all of them, which `read` reads."""
    def reader(place: int) -> Callable[[], Tensor]:
        return lambda: list(leaves(read()))[place]

    return filled(x, [OwnRows(part, at, count, reader(place))
                      for place, part in enumerate(leaves(x))])


def own_batches(
    arrays: Arrays, size: int, order: Tensor | None, through: Blocks, share: Share
) -> Iterator[Batch]:
    """Batches as `Arrays.batches` gives them, with x read for a process' own rows."""
    order = torch.arange(len(arrays)) if order is None else order
    lots = torch.split(order, arrays.block_rows(size)) if len(order) else ()

    def blocks() -> Iterator[Batch]:
        for lot in lots:
            own = torch.cat([rows[share.rows(len(rows))] for rows in torch.split(lot, size)])
            yield arrays.gathered(lot, own)

    for lot, block in zip(lots, through(blocks()), strict=True):
        x, y, sample_weight = arrays.placed(block)
        batches = torch.split(lot, size)
        parts = [share.rows(len(rows)) for rows in batches]
        own_x = views(x, [at.stop - at.start for at in parts])
        others = (views(part, list(map(len, batches))) for part in (y, sample_weight))
        for rows, at, here, *rest in zip(batches, parts, own_x, *others, strict=False):
            yield with_others(here, at, len(rows), _reader(arrays, rows)), *rest


def _reader(arrays: Arrays, rows: Tensor) -> Callable[[], Any]:
    return lambda: arrays.placed(arrays.gathered(rows, rows))[0]
