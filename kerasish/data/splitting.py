"""A DataLoader of which each process loads its own rows of every batch."""

import copy
from collections import deque
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, default_collate

from kerasish.data.shares import Share


def can_be_split(loader: DataLoader[Any]) -> bool:
    """Whether rows of a batch can be loaded without the others.

    A function that makes batches of samples may pad them to the longest, or mix them: all
    processes then load all rows. So they do where samples come one after the other.
    """
    return (type(loader) is DataLoader and loader.batch_sampler is not None
            and loader.collate_fn is default_collate and getattr(loader, "in_order", True)
            and not isinstance(loader.dataset, IterableDataset))


class SplitLoader:
    """Gives a process' own rows of each batch, and which samples the whole batch is made of.

    Where none are its own it gives one row, which stands for their shapes.

    Args:
        loader: one that `can_be_split`; it stays as it is.
        share: which rows are the process' own.
    """

    def __init__(self, loader: DataLoader[Any], share: Share) -> None:
        self.share, self._loader, self._batches = share, loader, _OwnBatches(loader, share)
        self.own = copy.copy(loader)
        """The loader of own rows, with all its settings, and workers of its own."""
        vars(self.own).update(batch_sampler=self._batches, _iterator=None)

    def __iter__(self) -> Iterator[tuple[Any, list[Any]]]:
        self._batches.samples.clear()
        for rows in self.own:
            yield rows, self._batches.samples.popleft()

    def __len__(self) -> int:
        return len(self._loader)

    def loaded(self, samples: list[Any]) -> Any:
        """A whole batch."""
        return self._loader.collate_fn([self._loader.dataset[each] for each in samples])


class _OwnBatches:
    """What samples a batch has of those of another sampler, which are kept until it is there."""

    def __init__(self, loader: DataLoader[Any], share: Share) -> None:
        self._all: Any = loader.batch_sampler
        self._share = share
        self.samples: deque[list[Any]] = deque()

    def __iter__(self) -> Iterator[list[Any]]:
        for samples in self._all:
            self.samples.append(list(samples))
            yield self.samples[-1][self._share.rows(len(samples))] or self.samples[-1][:1]

    def __len__(self) -> int:
        return len(self._all)
