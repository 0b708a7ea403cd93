"""Which batch size a machine likes: samples a second and memory, size by size."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from kerasish.checks import check_count
from kerasish.data import Arrays, ArraySource, Batch
from kerasish.insight.batch import require_model, train_step
from kerasish.insight.live import Live, held_by
from kerasish.insight.profiling.stopwatch import clock_of
from kerasish.insight.table import in_units, ruled, wrapped
from kerasish.insight.twin import twin
from kerasish.insight.units import in_bytes
from kerasish.module import Module
from kerasish.progress import counted
from kerasish.training import mode
from kerasish.trees import batch_size, leaves

_SECONDS, _LEAST, _MOST = 0.15, 3, 200
"""About how long a size is measured, and in how many steps."""
_SLOWEST = 2.0
"""Seconds of a step after which no larger batch is tried."""
_AS_FAST = 0.9
"""The share of the best speed that is as good as the best."""
_UP_TO = 4096
_HEAD = ("Batch size", "Samples a second", "ms a step", "Steps an epoch", "Memory")
_LONGEST, _TEXTS = 100, 1


class BatchSize(NamedTuple):
    """What training steps with one size of batches cost."""

    batch_size: int
    step_ms: float
    """Milliseconds of a step; the median of several."""
    peak_bytes: int
    """The most bytes of tensors that are alive in it."""

    @property
    def samples_per_second(self) -> float:
        """How many samples are trained on in a second."""
        return 1000 * self.batch_size / self.step_ms


class BatchSizes:
    """What `find_batch_size` measured, and what it suggests.

    Args:
        rows: the sizes that fit into memory, growing.
        samples: how many there are.
        budget: bytes that they had to fit into, or None.
        too_large: the smallest size that does not fit, or None if none was met.
    """

    def __init__(self, rows: list[BatchSize], samples: int, budget: int | None = None,
                 too_large: int | None = None) -> None:
        self.rows, self.samples = rows, samples
        self.budget, self.too_large = budget, too_large

    @property
    def suggestion(self) -> int | None:
        """The smallest size with 90 % of the best speed, as small batches make more updates.

        None if not even the smallest size fits.
        """
        best = max((row.samples_per_second for row in self.rows), default=0.0)
        return next((row.batch_size for row in self.rows
                     if row.samples_per_second >= _AS_FAST * best), None)

    @property
    def largest(self) -> int | None:
        """The largest size that fits; None if none does, or all that were tried do."""
        return self.rows[-1].batch_size if self.rows and self.too_large is not None else None

    def print(self) -> None:
        """Prints the table and the suggestion."""
        print(self)

    def __str__(self) -> str:
        cells = [(str(row.batch_size), f"{row.samples_per_second:,.0f}", f"{row.step_ms:.3g}",
                  str(-(-self.samples // row.batch_size)), in_units(row.peak_bytes))
                 for row in self.rows]
        lines = ruled([[_HEAD], cells], _LONGEST, _TEXTS)
        return "\n".join([*lines, *(line for text in self._sentences()
                                    for line in wrapped(text, _LONGEST))])

    def __repr__(self) -> str:
        return f"<BatchSizes of {len(self.rows)} sizes, suggestion {self.suggestion}>"

    def _sentences(self) -> Iterator[str]:
        room = "memory" if self.budget is None else in_units(self.budget)
        if self.suggestion is None:
            yield f"Not even a batch of {self.too_large} fits into {room}."
            return
        yield (f"Suggested batch size: {self.suggestion}, the smallest with {_AS_FAST:.0%} of the "
               "best speed. Larger batches make fewer updates: look for their learning rate with "
               "lr_find.")
        if self.largest is not None:
            yield f"The largest that fits into {room}: {self.largest}."
        else:
            yield f"All sizes up to {self.rows[-1].batch_size} fit into {room}."


def find_batch_size(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    budget: Any = None,
    most: int | None = None,
) -> BatchSizes:
    """Measures training steps with batches of 1, 2, 4 … samples, and suggests a size.

    A copy of the model is trained. Sizes double until the next one is above `most`, or does not
    fit, or a step takes more than two seconds; in the second case the largest one that fits is
    looked for between the last two. A size does not fit if torch or Python have no memory left for
    it, or if it needs more than the budget: that is foreseen from the sizes before, as memory grows
    evenly with the batch, so that the budget is kept while it is looked for.

    Memory is that of tensors: weights, gradients, what the optimizer keeps, the batch, and all that
    the step makes. What kernels need for themselves while they run comes on top. With gradient
    accumulation a size is that of a micro-batch.

    The model is as before to the bit, the optimizer, random states and counters too, also if this
    is broken off. A larger batch is not a better one: with it, look for a learning rate anew.

    Raises: RuntimeError before compile; ValueError or TypeError for arguments and data that do not
        fit.

    Args:
        model: a compiled one, built or not, at any point of its training.
        x: samples, an array or several in a tuple or dict; repeated for batches of more than these.
        y: their targets.
        sample_weight: one weight a sample.
        budget: what a step may take: "8GB" (8 · 10⁹ bytes), "8 GiB" (8 · 2³⁰) or a number of
            bytes; None is what there is.
        most: the largest size to try, 1 or more; None is the number of samples, 4096 at most.

    Returns: the sizes in `rows`, the `suggestion`, and `largest`, what fits; printed, a table.

    Example:
        >>> from kerasish import Model
        >>> from kerasish.layers import Linear, Tanh
        >>> model = Model(Linear(8), Tanh(), Linear(1), device="cpu")
        >>> model.compile("sgd", loss="mse")
        >>> x = torch.linspace(-1, 1, 64).view(64, 1)
        >>> found = find_batch_size(model, x, x ** 2, budget=5000)
        >>> [row.batch_size for row in found.rows if row.batch_size < 32], found.largest
        ([1, 2, 4, 8, 16], 37)
    """
    who = "find_batch_size"
    require_model(who, model)
    room = None if budget is None else in_bytes(f"{who}(budget)", budget)
    if most is not None:
        check_count(f"{who}(most)", most, 1, "None is as many as there are samples.")
    with twin(model) as copied:
        arrays = Arrays(x, y, sample_weight, who)
        copied._make_ready(who, ArraySource(arrays, max(1, len(arrays)), who=who))
        search = _Search(copied, arrays, room)
        sizes = search.sizes(search.checked(most))
        rows = sorted(counted(sizes, "Batch sizes"))
        return BatchSizes(rows, len(arrays), room, search.too_large)


class _Search:
    """Tries sizes out on a twin."""

    def __init__(self, model: Any, arrays: Arrays, budget: int | None) -> None:
        self.model, self.arrays, self.budget = model, arrays, budget
        self.clock = clock_of(model.device)
        self.too_large: int | None = None
        """The smallest size that is known not to fit."""
        self._bytes: dict[int, int] = {}

    def checked(self, most: int | None) -> int:
        """Hands the largest size to try back, if every module takes batches of it."""
        part = self._neediest
        if most is None:
            return max(part.least_batch, min(len(self.arrays), _UP_TO))
        if most < part.least_batch:
            raise ValueError(f"find_batch_size(most) expects {part.least_batch} or more, for "
                             f"{part!r}; got {most}. None is as many as there are samples.")
        return most

    @property
    def _neediest(self) -> Module:
        parts: list[Module] = list(self.model.module.modules())
        return max(parts, key=lambda part: part.least_batch)

    def sizes(self, most: int) -> Iterator[BatchSize]:
        """Those that fit, as they are found."""
        size, fits = self._neediest.least_batch, 0
        while size <= most:
            row = self.measured(size)
            if row is None:
                self.too_large = size
                break
            yield row
            if size == most or row.step_ms > 1000 * _SLOWEST:
                break
            size, fits = min(2 * size, most), size
        if self.too_large is not None and fits:
            yield from self._between(fits)

    def _between(self, fits: int) -> Iterator[BatchSize]:
        """The largest that fits, if it is another one than that."""
        assert self.too_large is not None
        largest = None
        while self.too_large - fits > 1:
            middle = (fits + self.too_large) // 2
            row = self.measured(middle)
            if row is None:
                self.too_large = middle
            else:
                fits, largest = middle, row
        if largest is not None:
            yield largest

    def measured(self, size: int) -> BatchSize | None:
        """The size, or None if it does not fit."""
        if self.budget is not None and self._foreseen(size) > self.budget:
            return None
        try:
            with mode(self.model.module.modules(), training=True), torch.inference_mode():
                row = self._measured(self._batch(size))
        except (MemoryError, RuntimeError) as error:
            if not _is_lack_of_memory(error):
                raise
            row = None
        if row is None:
            self.model._forget()  # what the step has left half-way
        return row

    def _measured(self, batch: Batch) -> BatchSize | None:
        size = batch_size(batch[0])
        with Live(self.model.device.type, [*held_by(self.model), *leaves(batch)]) as live:
            train_step(self.model, batch)
        peak = self._bytes[size] = live.peak.size
        if self.budget is not None and peak > self.budget:
            return None
        took: list[float] = []
        while len(took) < _LEAST or (sum(took) < _SECONDS and len(took) < _MOST):
            began = self.clock()
            train_step(self.model, batch)
            took.append(self.clock() - began)
        return BatchSize(size, 1000 * float(np.median(took)), peak)

    def _batch(self, size: int) -> Batch:
        """The first so many samples, again and again where there are fewer."""
        order = torch.arange(size) % len(self.arrays)
        few = self.arrays.rows(0, size).to(self.model.device, self.model._dtype())
        return next(few.batches(size, order))

    def _foreseen(self, size: int) -> float:
        """Bytes on the line through the two largest sizes that were measured; 0 without these."""
        if len(self._bytes) < 2:
            return 0
        (low, base), (high, above) = sorted(self._bytes.items())[-2:]
        return base + (above - base) / (high - low) * (size - low)


def _is_lack_of_memory(error: Exception) -> bool:
    """Torch has no class of its own for a host without memory."""
    kinds = MemoryError | torch.OutOfMemoryError
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
