"""torch's DataLoader and Dataset, with the order of samples decided by the seed of the fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from kerasish.data.arrays import Batch
from kerasish.data.shares import Share, with_others
from kerasish.data.sources import ORDER
from kerasish.data.splitting import SplitLoader, can_be_split
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
        self.seed, self._loader = seed, loader
        self._split: SplitLoader | None = None
        batch_sampler = getattr(loader, "batch_sampler", None)
        sampler = getattr(batch_sampler, "sampler", None) or getattr(loader, "sampler", None)
        self._parts = [each for each in (loader, sampler, batch_sampler) if each is not None]
        drawing = [each for each in self._parts if hasattr(each, "generator")]
        self._to_seed = [each for each in drawing if each.generator is None]
        self._generators = [each.generator for each in drawing if each.generator is not None]

    def shared(self, share: Share, whole: bool) -> "LoaderSource":
        """Only own rows are loaded, where a batch is made row by row; targets are sent.

        Raises: ValueError for a loader that splits the samples itself.
        """
        if any(isinstance(each, DistributedSampler) for each in self._parts):
            raise ValueError(
                f"{self._argument} expects a DataLoader of all samples in each of {share.size} "
                "processes, which go through rows of each batch; got one with a "
                "DistributedSampler. Leave that out, and give the batch size of all of them.")
        if whole or not can_be_split(self._loader):
            return self
        split = self._give = self._split = SplitLoader(self._loader, share)
        for parts in (self._parts, self._to_seed):
            parts[:] = [split.own if each is self._loader else each for each in parts]
        if self._began is not None:  # it was looked at as a whole
            for generator, state in zip(self._generators, self._began["own"], strict=True):
                generator.set_state(state)
            self._left = None
        return self

    @contextmanager
    def _seeded(self, number: int) -> Iterator[None]:
        """What draws has bound its generator once the first batch is there; then it is put back."""
        for part in self._parts:
            if hasattr(part, "set_epoch"):
                part.set_epoch(number)
        for place, part in enumerate(self._to_seed):
            part.generator = derived_generator(self.seed, ORDER, number, place, *self._apart(part))
        try:
            yield
        finally:
            for part in self._to_seed:
                part.generator = None

    def _apart(self, part: Any) -> tuple[int, ...]:
        """What sets a process apart that has own rows: workers draw other noise, a sampler not."""
        split = self._split
        return (split.share.rank,) if split and part is split.own and split.share.rank else ()

    def _arrived(self, raw: Any) -> Batch:
        split = self._split
        if split is None:
            return super()._arrived(raw)
        raw, samples = raw
        count, share = len(samples), split.share
        at = share.rows(count)
        x, *others = mapped(lambda part: part[: at.stop - at.start], super()._arrived(raw))
        if self.who != "predict":
            others = mapped(lambda part: share.gathered(part, count), others)
        y, sample_weight = others
        return with_others(x, at, count, lambda: self._whole_x(split, samples)), y, sample_weight

    def _whole_x(self, split: SplitLoader, samples: list[Any]) -> Any:
        return super()._arrived(split.loaded(samples))[0]

    def _checked(self, raw: Any, number: int) -> Batch:
        """Several inputs in a tuple come back from torch as a list of tensors."""
        return super()._checked(mapped(lambda part: part, raw), number)

    def __repr__(self) -> str:
        return f"a {type(self._loader).__name__}"


def loader_of(dataset: Dataset[Any], batch_size: int, shuffle: bool) -> DataLoader[Any]:
    """A DataLoader for a Dataset; one that is iterated keeps its own order."""
    shuffles = shuffle and not isinstance(dataset, IterableDataset)
    return DataLoader(dataset, batch_size, shuffle=shuffles)


def _length(loader: DataLoader[Any]) -> int | None:
    try:
        return len(loader)
    except TypeError:  # a data set that is only iterated may not know
        return None
