"""Where batches come from: one face for all that fit, evaluate and predict can be given."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from kerasish.data.ahead import END, Ahead
from kerasish.data.arrays import Arrays, Batch
from kerasish.data.class_weights import weights_by_class
from kerasish.data.convert import argument
from kerasish.data.executions import Stack, stacked, unstacked
from kerasish.data.shares import Share, own_batches
from kerasish.random import derived_generator
from kerasish.types import Device

ORDER = 1
"""What the order of samples draws its stream for."""


class Source:
    """Batches, epoch by epoch.

    Without a number of steps an epoch is one pass, in the order of its number. With steps it is
    exactly so many batches: passes follow each other across epochs, and begin anew where they must.
    """

    restarts = True
    """Whether it can be gone through again, and to the same place in another process."""
    batches: int | None = None
    """Batches a pass, where that is known."""
    samples: int | None = None
    """Samples a pass, where that is known."""
    batch_size: int | None = None
    """Samples a batch, where that was said to it."""
    shuffle: bool | None = None
    """Whether passes have orders of their own, where that was said to it."""
    who = "fit"
    """The method that it was given to, for errors."""
    seed = 0
    """Decides the order of the samples, together with the number of the pass."""
    prefetch = 0
    """How many batches are prepared in a thread while one is trained; set before the first one."""

    def first(self) -> Batch:
        """All samples where they are at hand, else the first batch: to build and check by.

        What is read here is not lost for the first pass.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a first method. Write it.")

    def on(self, device: Device, dtype: torch.dtype) -> "Source":
        """The same with its batches on that device, floats in that type."""
        raise NotImplementedError(f"{type(self).__name__} needs an on method. Write it.")

    def shared(self, share: Share, whole: bool) -> "Source":
        """The same for one of several processes that go through each batch together.

        All give batches with all targets and weights, as one process alone does. With whole=False
        x may be `OwnRows`.
        """
        return self

    def weighted(self, weights: Any) -> "Source":
        """The same with the weights of samples multiplied by those of their classes."""
        raise NotImplementedError(f"{type(self).__name__} needs a weighted method. Write it.")

    def take(self, batches: int) -> "Source":
        """Only the first so many batches, in the same order in every pass."""
        raise NotImplementedError(f"{type(self).__name__} needs a take method. Write it.")

    def epoch(self, number: int, steps: int | None = None, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, those from `start` on.

        Raises: ValueError, when it is gone through, if there are too few and it cannot restart.
        """
        raise NotImplementedError(f"{type(self).__name__} needs an epoch method. Write it.")

    def stacks(self, number: int, steps: int | None, start: int, most: int) -> Iterator[Stack]:
        """The batches of an epoch as `epoch` gives them, up to so many in a stack."""
        return stacked(self.epoch(number, steps, start), most, start)

    def from_start(self, steps: int | None = None) -> Iterator[Batch]:
        """A pass, from its start where that can be, or the first so many batches of one.

        Raises: ValueError, when it is gone through, if there are fewer.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a from_start method. Write it.")

    def close(self) -> None:
        """Ends the thread that prepares batches, if there is one."""

    def state_dict(self) -> dict[str, Any]:
        """What `epoch` needs, besides its arguments, to come to the same place elsewhere."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes such a place; the next `epoch` goes on from there."""


class ArraySource(Source):
    """Arrays cut into batches: any place in any epoch is known in advance.

    Args:
        arrays: the samples.
        batch_size: samples a batch; the last one of a pass may be smaller.
        seed: decides the order of each pass.
        shuffle: whether there is one.
        who: the method that they were given to, for errors.
    """

    def __init__(
        self, arrays: Arrays, batch_size: int, seed: int = 0, shuffle: bool = False,
        who: str = "fit",
    ) -> None:
        self.who = who
        self.arrays, self.seed = arrays, seed
        self.batch_size: int = batch_size
        self.shuffle: bool = shuffle
        self.samples = len(arrays)
        self.batches = -(-self.samples // batch_size)
        self._ahead: Ahead | None = None
        self._share: Share | None = None

    def first(self) -> Batch:
        return self.arrays.x, self.arrays.y, self.arrays.sample_weight

    def on(self, device: Device, dtype: torch.dtype) -> "ArraySource":
        return self._of(self.arrays.to(device, dtype))

    def shared(self, share: Share, whole: bool) -> "ArraySource":
        """Only own rows of x are gathered where rows are gathered, or read from a file."""
        twin = self._of(self.arrays)
        twin._share = None if whole or not (self.shuffle or self.arrays.in_file) else share
        return twin

    def weighted(self, weights: Any) -> "ArraySource":
        _, y, sample_weight = self.first()
        return self._of(self.arrays.with_weights(weights_by_class(weights, y, sample_weight)))

    def take(self, batches: int) -> "ArraySource":
        return ArraySource(self.arrays.rows(0, batches * self.batch_size), self.batch_size,
                           who=self.who)

    def split(self, share: float, batch_size: int) -> tuple["ArraySource", "ArraySource"]:
        """What is left to train on, and the last share of the samples in batches of that size."""
        front, back = self.arrays.split(share)
        return self._of(front), ArraySource(back, batch_size)

    def epoch(self, number: int, steps: int | None = None, start: int = 0) -> Iterator[Batch]:
        if steps is None:
            return self._pass(number, start)
        return self._across_passes(number * steps + start, steps - start)

    def stacks(self, number: int, steps: int | None, start: int, most: int) -> Iterator[Stack]:
        if steps is not None or start % most or self.arrays.in_file:
            return super().stacks(number, steps, start, most)
        return unstacked(self._pass(number, start, most), self.batch_size)

    def from_start(self, steps: int | None = None) -> Iterator[Batch]:
        return islice(self._pass(0, 0), steps)

    def _across_passes(self, place: int, count: int) -> Iterator[Batch]:
        """So many batches from a place in the endless row of passes."""
        if not self.batches:
            raise ValueError(f"{argument(self.who, 'x')} expects at least one sample; got none for "
                             f"{count} steps. Check how x was selected.")
        while count > 0:
            number, start = divmod(place, self.batches)
            length = min(count, self.batches - start)
            yield from islice(self._pass(number, start), length)
            place, count = place + length, count - length

    def _pass(self, number: int, start: int, at_once: int = 1) -> Iterator[Batch]:
        row, size = start * self.batch_size, at_once * self.batch_size
        order = self._order(number)[row:] if self.shuffle else None
        if self._share is not None:
            arrays = self.arrays if order is not None else self.arrays.rows(row)
            return own_batches(arrays, size, order, self._through, self._share)
        if order is not None:
            return self.arrays.batches(size, order, self._through)
        arrays = self.arrays.rows(row) if row else self.arrays
        return arrays.batches(size, through=self._through)

    def _through(self, blocks: Iterator[Batch]) -> Iterator[Batch]:
        """Reads the next block of a file while one is trained on, if that is asked for."""
        self.close()
        if not (self.prefetch and self.arrays.in_file):
            return blocks
        self._ahead = Ahead(partial(next, blocks, END), most=1)
        return iter(self._ahead.take, END)

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _order(self, number: int) -> Tensor:
        generator = derived_generator(self.seed, ORDER, number)
        return torch.randperm(len(self.arrays), generator=generator)

    def _of(self, arrays: Arrays) -> "ArraySource":
        twin = ArraySource(arrays, self.batch_size, self.seed, self.shuffle, self.who)
        twin._share = self._share
        return twin

    def __repr__(self) -> str:
        return f"arrays of {self.samples} samples"
