"""What one fit is to do: its data, its epochs, and the order that a seed gives the samples."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from kerasish.checks import check_count, check_flag
from kerasish.data import (
    Arrays,
    ArraySource,
    Batch,
    Share,
    Source,
    argument,
    check_batch_size,
    class_weights,
    is_arrays,
    source_of,
)
from kerasish.losses import Loss
from kerasish.module import Module
from kerasish.random import Stream, check_seed, derived_generator, draw_seed
from kerasish.trees import leaves
from kerasish.types import Device

INITIAL, NOISE = 0, 2
"""What a seed is used for besides `ORDER`: each purpose has a stream of its own."""


class Plan(NamedTuple):
    """The checked arguments of a fit."""

    source: Source
    validation: Source | None
    epochs: range
    seed: int
    steps: int | None = None
    """Batches an epoch; None is a pass through the source."""
    validation_steps: int | None = None
    validation_freq: int | Collection[int] = 1
    """Every so many epochs are followed by validation, or those with these numbers, from 1."""
    seed_is_given: bool = True
    prefetch: int = 0
    """How many batches are prepared in a thread while one is trained."""
    rank: int = 0
    """The number of this process among those that train together: each has noise of its own."""

    @property
    def batches_an_epoch(self) -> int | None:
        """How many there will be, where that is known."""
        return self.source.batches if self.steps is None else self.steps

    @property
    def samples_an_epoch(self) -> int | None:
        """How many there will be, where that is known: on average, where an epoch is no pass."""
        if self.steps is None:
            return self.source.samples
        if not self.source.samples or not self.source.batches:
            return None
        return round(self.steps * self.source.samples / self.source.batches)

    @property
    def batches_of_validation(self) -> int | None:
        """How many there will be, where that is known."""
        known = self.validation.batches if self.validation else None
        return known if self.validation_steps is None else self.validation_steps

    def initial_values(self) -> torch.Generator:
        """The stream that initial values of parameters are drawn from, on the CPU."""
        return derived_generator(self.seed, INITIAL)

    def noise(self, epoch: int, device: Device, batch: int = 0) -> Stream:
        """The stream that an epoch's noise, dropout for instance, is drawn from.

        That of processes besides the first is of one batch: it can be begun at any of them.
        """
        own = (self.rank, batch) if self.rank else ()
        return Stream(self.seed, NOISE, epoch, *own, device=device)

    def validates(self, epoch: int) -> bool:
        """Whether validation follows that epoch, counted from 0."""
        if self.validation is None:
            return False
        if isinstance(self.validation_freq, int):
            return (epoch + 1) % self.validation_freq == 0
        return epoch + 1 in self.validation_freq

    def validation_batches(self) -> Iterator[Batch]:
        """What is validated on after an epoch."""
        assert self.validation is not None
        return self.validation.from_start(self.validation_steps)

    def reseeded(self, seed: int) -> "Plan":
        """The same with the order and the noise of another seed."""
        for source in (self.source, self.validation):
            if source is not None:
                source.seed = seed
        return self._replace(seed=seed)

    def weighing(self, class_weight: Any, loss: Loss, output: Any) -> "Plan":
        """The same with the samples weighed by their classes as well."""
        return self._replace(source=weighing(self.source, class_weight, loss, output))

    def require_batches_for(self, module: Module, processes: int = 1) -> None:
        """Refuses batches that are too small for a module, a batch norm for instance.

        Raises: ValueError naming the module.

        Args:
            module: what is trained.
            processes: how many share the rows of a batch.
        """
        if not isinstance(self.source, ArraySource):
            return  # only what its own sizes are is known
        samples, size = len(self.source.arrays), self.source.batch_size
        last = samples % size or min(size, samples)
        for path, part in module.named_modules():
            apart = processes if not getattr(part, "synchronized", False) else 1
            fewest = min(_fewest_rows(count, apart) for count in (min(size, samples), last))
            if fewest < part.least_batch and part.trainable:
                each, way_out = "", "leave samples out"
                if apart > 1:
                    each = f" in each of {apart} processes"
                    way_out = f"write {type(part).__name__}(synchronized=True)"
                raise ValueError(
                    f"fit(batch_size) expects batches of {part.least_batch} samples or more{each}, "
                    f"for {part!r} at {path!r}; got {samples} samples in batches of {size}, the "
                    f"last one of {last}. Choose another batch_size, or {way_out}."
                )

    def shared(self, share: Share, whole: bool) -> "Plan":
        """The same for one of several processes: see `Source.shared`."""
        validation = self.validation and self.validation.shared(share, whole)
        return self._replace(source=self.source.shared(share, whole), validation=validation,
                             rank=share.rank)

    def on(self, device: Device, dtype: torch.dtype) -> "Plan":
        """The same with the data on that device, its floats in that type."""
        validation = self.validation.on(device, dtype) if self.validation else None
        return self._replace(source=self.source.on(device, dtype), validation=validation)

    @contextmanager
    def prefetching(self) -> Iterator[None]:
        """Inside the block batches are prepared in threads, if asked for; these end with it."""
        with ExitStack() as stack:
            for source in (self.source, self.validation):
                if source is not None:
                    source.prefetch = self.prefetch
                    stack.callback(source.close)
            yield


def _fewest_rows(count: int, processes: int) -> int:
    """The rows of the process that has the fewest of a batch, of those that have any."""
    share = max(1, -(-count // processes))
    return min(count, count % share or share)


def make_plan(
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    epochs: int,
    initial_epoch: int,
    steps: int | None,
    shuffle: bool,
    seed: int | None,
    validation: "Validation",
    trial: bool = False,
    overfit_batches: int | None = None,
    prefetch: int = 0,
) -> Plan:
    """Checks the arguments of `Model.fit`, which describes them.

    Raises: ValueError or TypeError naming the argument.
    """
    check_flag("fit(fast_dev_run)", trial, "It is one batch, of one epoch.")
    settled = draw_seed() if seed is None else check_seed("fit", seed)
    check_flag("fit(shuffle)", shuffle, "Samples are shuffled one by one, not in batches.")
    source = source_of(x, y, sample_weight, who="fit", batch_size=batch_size, seed=settled,
                       shuffle=shuffle)
    source, held_back = validation.split_from(source, batch_size, settled)
    if overfit_batches is not None:
        source = source.take(check_count("fit(overfit_batches)", overfit_batches, 1,
                                         "None trains on all of them."))
    plan = Plan(
        source,
        held_back,
        range(check_count("fit(initial_epoch)", initial_epoch), check_count("fit(epochs)", epochs)),
        settled,
        check_steps("fit(steps_per_epoch)", steps),
        check_steps("fit(validation_steps)", validation.steps, held_back),
        _check_freq(validation.freq),
        seed is not None,
        check_count("fit(prefetch)", prefetch, 0, "2 is usual, 0 prepares none in advance."),
    )
    if trial:
        first = plan.epochs.start
        plan = plan._replace(epochs=range(first, first + 1), steps=1, validation_steps=1,
                             validation_freq=1)
    return plan


class Validation(NamedTuple):
    """What `fit` is told about validation."""

    split: float = 0.0
    data: Any = None
    freq: Any = 1
    steps: int | None = None
    batch_size: int | None = None

    def split_from(
        self, source: Source, batch_size: int | None, seed: int
    ) -> tuple[Source, Source | None]:
        """What is left to train on, and what to validate on, if anything is.

        Raises: ValueError for a split of what is no array, or that leaves a side empty.
        """
        size = batch_size
        if self.batch_size is not None:
            size = check_batch_size("fit(validation_batch_size)", self.batch_size)
        who = "fit(validation_data)"
        if self.data is not None:
            parts = self.data if _is_one_set(self.data) else (self.data,)
            if len(parts) > 1:
                return source, source_of(*parts, who=who, batch_size=size, seed=seed)
            own_size = size if isinstance(self.data, Dataset) else self.batch_size
            alone = source_of(*parts, who=who, batch_size=own_size, seed=seed)
            if isinstance(alone, ArraySource) and alone.arrays.y is None:
                raise ValueError(f"{who} expects a tuple (x, y), or what brings such batches; got "
                                 f"{type(self.data).__name__}. Write validation_data=(x, y).")
            return source, alone
        if not self.split:
            return source, None
        if not isinstance(source, ArraySource):
            raise ValueError("fit(validation_split) expects arrays, whose end it holds back; got "
                             f"{source!r}. Give validation_data instead.")
        return source.split(self.split, check_batch_size("fit(batch_size)", size))


def _is_one_set(data: Any) -> bool:
    """Whether it is (x, y) or (x, y, sample weights), and not something with batches in it."""
    if isinstance(data, list) and data and isinstance(data[0], tuple):
        return False
    return isinstance(data, list | tuple) and len(data) in (2, 3)


def check_steps(who: str, value: int | None, source: Source | None = None) -> int | None:
    """Hands a number of batches back if a pass of the source has as many; None is all there are."""
    if value is None:
        return None
    steps = check_count(who, value, 1, "None is all there are.")
    most = source.batches if source else None
    if most is not None and steps > most:
        raise ValueError(f"{who} expects at most {most}, as there are so many batches; got "
                         f"{steps}. None is all there are.")
    return steps


def _check_freq(value: Any) -> int | Collection[int]:
    who = "fit(validation_freq)"
    fix = "1 validates after each epoch, [1, 5] after the first and the fifth."
    if isinstance(value, list | tuple | set | range):
        return frozenset(check_count(who, each, 1, fix) for each in value)
    return check_count(who, value, 1, fix)


def one_batch(who: str, x: Any, y: Any = None, sample_weight: Any = None) -> ArraySource:
    """Arrays as a single batch.

    Raises: ValueError or TypeError in the name of who asks.
    """
    if not is_arrays(x):
        raise TypeError(f"{argument(who, 'x')} expects one batch, as an array or a tensor; got "
                        f"{type(x).__name__}. Take one out of it: x, y = next(iter(batches)).")
    arrays = Arrays(x, y, sample_weight, who)
    return ArraySource(arrays, max(1, len(arrays)), who=who)


def weighing(source: Source, class_weight: Any, loss: Loss, output: Any) -> Source:
    """The source with its samples weighed by their classes as well, if that is asked for.

    Args:
        source: where the batches come from.
        class_weight: what `Model.fit` was given.
        loss: what the model is trained with.
        output: the shape of a sample's output, or several in their structure.
    """
    if class_weight is None:
        return source
    return source.weighted(class_weights(class_weight, loss, output))


def require_targets(source: Source) -> None:
    """Refuses samples without targets, or no samples.

    Raises: ValueError in the name of who asks for them.
    """
    who, (x, y, _) = source.who, source.first()
    if next(leaves(y), None) is None:
        raise ValueError(f"{argument(who, 'y')} expects targets, one a sample; got {y!r}. "
                         "Only predict does without them.")
    if source.samples == 0:
        raise ValueError(f"{argument(who, 'x')} expects at least one sample; got x of shape "
                         f"{tuple(next(leaves(x)).shape)}. Check how x was selected.")

