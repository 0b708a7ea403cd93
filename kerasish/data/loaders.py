"""torch's DataLoader and Dataset, with the order of samples decided by the seed of the fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset

from kerasish.data.arrays import Batch
from kerasish.data.sources import ORDER
from kerasish.data.streams import StreamSource
from kerasish.random import derived_generator
from kerasish.trees import mapped


class LoaderSource(StreamSource):
    """A DataLoader: what shuffles in it draws from the seed, unless it has a generator of its own.

    Args:
        loader: gives whole batches.
        seed: decides the order of each pass.
        who: the method that it was given to, for errors.
    """

    def __init__(self, loader: DataLoader[Any], seed: int = 0, who: str = "fit") -> None:
        super().__init__(loader, who, _length(loader))
        self.seed = seed
        batch_sampler = getattr(loader, "batch_sampler", None)
        sampler = getattr(batch_sampler, "sampler", None) or getattr(loader, "sampler", None)
        self._parts = [each for each in (loader, sampler, batch_sampler) if each is not None]
        drawing = [each for each in self._parts if hasattr(each, "generator")]
        self._to_seed = [each for each in drawing if each.generator is None]
        self._generators = [each.generator for each in drawing if each.generator is not None]

    @contextmanager
    def _seeded(self, number: int) -> Iterator[None]:
        """What draws has bound its generator once the first batch is there; then it is put back."""
        for part in self._parts:
            if hasattr(part, "set_epoch"):
                part.set_epoch(number)
        for place, part in enumerate(self._to_seed):
            part.generator = derived_generator(self.seed, ORDER, number, place)
        try:
            yield
        finally:
            for part in self._to_seed:
                part.generator = None

    def _checked(self, raw: Any, number: int) -> Batch:
        """Several inputs in a tuple come back from torch as a list of tensors."""
        return super()._checked(mapped(lambda part: part, raw), number)


def loader_of(dataset: Dataset[Any], batch_size: int, shuffle: bool) -> DataLoader[Any]:
    """A DataLoader for a Dataset; one that is iterated keeps its own order."""
    shuffles = shuffle and not isinstance(dataset, IterableDataset)
    return DataLoader(dataset, batch_size, shuffle=shuffles)


def _length(loader: DataLoader[Any]) -> int | None:
    try:
        return len(loader)
    except TypeError:  # a data set that is only iterated may not know
        return None
