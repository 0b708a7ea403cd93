"""Samples in memory, or in mapped files, as batches: views of a few big gathers."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from kerasish.data.convert import argument, as_tensors, is_mapped
from kerasish.trees import batch_size, filled, leaves, mapped
from kerasish.types import Device

Batch = tuple[Any, Any, Any]
"""(x, y, sample_weight): x and y a tensor, or a tuple or dict of them; all but x may be None."""

Blocks = Callable[[Iterator[Batch]], Iterator[Batch]]

_WIDER = dict.fromkeys((torch.uint16, torch.uint32, torch.uint64), torch.int64)
"""Types that torch stores and does not compute with."""

_BLOCK_BYTES = 64 * 2**20
_BLOCK_BATCHES = 4096
"""An epoch is gathered in blocks of at most so much, so that it costs few operations and no second
copy of large data."""


class Arrays:
    """Samples in memory: x, and y and sample weights where there are any.

    Raises: ValueError for other numbers of samples in y or sample_weight than in x.

    Args:
        x, y, sample_weight: arrays with the samples as axis 0; weights have no other axis. Several
            inputs or targets come in a tuple or a dict.
        who: the method that they were given to, for errors.

    Example:
        >>> arrays = Arrays([[0.0], [1.0], [2.0]], [0, 1, 2])
        >>> [len(x) for x, y, w in arrays.batches(2)]
        [2, 1]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        who: str = "fit",
    ) -> None:
        self.x = as_tensors(argument(who, "x"), x)
        self.y = as_tensors(argument(who, "y"), y)
        self.sample_weight = as_tensors(argument(who, "sample_weight"), sample_weight)
        self.in_file = is_mapped((x, y, sample_weight))
        self._place: tuple[Device, torch.dtype] | None = None
        if next(leaves(self.x), None) is None:
            raise ValueError(f"{argument(who, 'x')} expects samples; got {x!r}. Give it at least "
                             "one array.")
        parts = {"another part of it": self.x, "y": self.y, "sample_weight": self.sample_weight}
        for name, other in parts.items():
            for part in leaves(other):
                if len(part) != len(self):
                    raise ValueError(
                        f"{argument(who, 'x, y')} expects as many samples in all arrays; got "
                        f"{len(self)} in x and {len(part)} in {name}. Axis 0 counts the samples; "
                        "several inputs or targets come in a tuple or a dict."
                    )
        for weights in leaves(self.sample_weight):
            if weights.dim() != 1:
                raise ValueError(
                    f"{argument(who, 'sample_weight')} expects one weight a sample, shape "
                    f"({len(self)},); got {tuple(weights.shape)}. Weigh samples, not elements."
                )

    def __len__(self) -> int:
        return batch_size(self.x)

    def split(self, share: float) -> tuple["Arrays", "Arrays"]:
        """The front for training, and the last share of the samples for validation, as Keras cuts.

        Raises: ValueError if a side would be empty.
        """
        is_share = isinstance(share, Real) and 0 <= share < 1
        count = math.floor(len(self) * (1 - float(share))) if is_share else 0
        if not 0 < count < len(self):
            raise ValueError(
                "fit(validation_split) expects a share between 0 and 1 that leaves samples on both "
                f"sides; got {share!r} of {len(self)} samples. 0.1 holds back every tenth."
            )
        return self.rows(0, count), self.rows(count)

    def to(self, device: Device, dtype: torch.dtype) -> "Arrays":
        """The samples on that device; floats and truth values in that type, integers as is.

        Truth values among several inputs are masks, and stay what they are. Arrays that lie in
        files are read and placed block by block, when their batches come.
        """
        if self.in_file:
            twin = self._each(lambda part: part)
            twin._place = device, dtype
            return twin
        return Arrays(*placed(device, dtype, self._parts))

    def batches(
        self, batch_size: int, order: Tensor | None = None, through: Blocks = iter
    ) -> Iterator[Batch]:
        """These samples in this order, or all as they lie; the last batch may be short.

        Args:
            batch_size: samples a batch.
            order: which samples, by number; None is all of them.
            through: goes through the blocks that batches are views of, in a thread for instance.
        """
        for block in through(self._blocks(batch_size, order)):
            block = self.placed(block)
            sizes = _sizes(len(next(leaves(block))), batch_size)
            yield from zip(*(views(part, sizes) for part in block), strict=False)

    def placed(self, block: Batch) -> Batch:
        """A block on the device, if it is not there already."""
        return block if self._place is None else placed(*self._place, block, pinning=True)

    def block_rows(self, batch_size: int) -> int:
        """How many samples are gathered at once: those of whole batches."""
        row_bytes = sum(part.nbytes for part in leaves(self._parts)) // max(len(self), 1)
        batches = min(_BLOCK_BATCHES, max(1, _BLOCK_BYTES // max(row_bytes * batch_size, 1)))
        return int(batches * batch_size)

    def _blocks(self, batch_size: int, order: Tensor | None) -> Iterator[Batch]:
        """The samples in order, in a few large pieces; without an order nothing is copied."""
        at_once = self.block_rows(batch_size)
        rows_in_all = len(self) if order is None else len(order)
        for start in range(0, rows_in_all, at_once):
            rows = slice(start, start + at_once)
            if order is None:
                yield self._in_type(self._each_part(rows))
            else:
                lot = order[rows]
                yield self.gathered(lot, lot)

    def gathered(self, rows: Tensor, of_x: Tensor) -> Batch:
        """Copies of these samples, in this order; of x those of others.

        Those in files are cast to their type here, on the host, and not moved yet.
        """
        if of_x is rows:
            return self._in_type(self._gathered(rows, self._parts))
        y, sample_weight = self._gathered(rows, (self.y, self.sample_weight))
        return self._in_type((self._gathered(of_x, self.x), y, sample_weight))

    def _in_type(self, block: Batch) -> Batch:
        return block if self._place is None else placed("cpu", self._place[1], block)

    @property
    def _parts(self) -> Batch:
        return self.x, self.y, self.sample_weight

    def _each_part(self, rows: slice) -> Any:
        return mapped(lambda part: part[rows], self._parts)

    def _gathered(self, rows: Tensor, parts: Any) -> Any:
        """Copies of these rows of a tree, in this order.

        A file is gone through once from front to back, and the block put in order in memory: if the
        system cannot keep the file in its cache, reading it in order is many times faster.
        """
        if not self.in_file:
            rows = sent(next(leaves(self.x)).device, rows)
            return mapped(lambda part: _rows_of(part, rows), parts)
        rising, places = rows.sort()
        back = torch.empty_like(places)
        back[places] = torch.arange(len(places))
        return mapped(lambda part: _rows_of(_rows_of(part, rising), back), parts)

    def rows(self, start: int, stop: int | None = None) -> "Arrays":
        """Some of the samples, as views."""
        return self._each(lambda part: part[start:stop])

    def with_weights(self, sample_weight: Any) -> "Arrays":
        """The same samples with other weights."""
        twin = self._each(lambda part: part)
        twin.sample_weight = sample_weight
        return twin

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Arrays":
        twin = Arrays(*mapped(change, self._parts))
        twin.in_file, twin._place = self.in_file, self._place
        return twin


def placed(
    device: Device, dtype: torch.dtype, batch: Batch, pinning: bool = False
) -> Batch:
    """A batch on that device; floats and truth values in that type, as `Arrays.to` has them.

    With pinning=True it goes to a CUDA device through pinned memory: nobody waits for the copy.
    """
    def moved(part: Tensor) -> Tensor:
        wanted = dtype if part.is_floating_point() else _WIDER.get(part.dtype, part.dtype)
        return sent(device, part.to(wanted)) if pinning else part.to(device, wanted)

    def counted(part: Tensor) -> Tensor:
        return moved(part.to(dtype) if part.dtype == torch.bool else part)

    x, *others = batch
    x = counted(x) if isinstance(x, Tensor) else mapped(moved, x)
    y, sample_weight = mapped(counted, tuple(others))
    return x, y, sample_weight


def sent(device: Device, part: Tensor) -> Tensor:
    """A tensor on that device: from the host to CUDA by a copy that nobody waits for."""
    if part.device.type != "cpu" or torch.device(device).type != "cuda":
        return part.to(device)
    pinned = part if part.is_pinned() else part.pin_memory()
    return pinned.to(device, non_blocking=True)


def _rows_of(part: Tensor, rows: Tensor) -> Tensor:
    """Copies of these rows: whole ones where they lie whole, which is several times faster."""
    return part.index_select(0, rows) if part.is_contiguous() else part[rows]


def views(part: Any, sizes: list[int]) -> Iterable[Any]:
    """Views of so many samples each of a tensor, or of all tensors of a tree."""
    if part is None:
        return repeat(None)
    if isinstance(part, Tensor):  # as `torch.split` does it, without its way through Python
        return part.split_with_sizes(sizes)
    each = zip(*(tensor.split_with_sizes(sizes) for tensor in leaves(part)), strict=True)
    return (filled(part, tensors) for tensors in each)


def _sizes(rows: int, batch_size: int) -> list[int]:
    """Those of batches, of which the last one may be smaller."""
    whole, rest = divmod(rows, batch_size)
    return [batch_size] * whole + [rest] * bool(rest)
