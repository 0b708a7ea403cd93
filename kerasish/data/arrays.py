"""Samples in memory, or in mapped files, as batches: views of a few big gathers."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
        self._in_file = is_mapped((x, y, sample_weight))
        self._place: Callable[[Batch], Batch] | None = None
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
        if self._in_file:
            twin = self._each(lambda part: part)
            twin._place = partial(placed, device, dtype)
            return twin
        return Arrays(*placed(device, dtype, (self.x, self.y, self.sample_weight)))

    def batches(self, batch_size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """These samples in this order, or all as they lie; the last batch may be short."""
        for block in self._blocks(batch_size, order):
            yield from zip(*(_views(part, batch_size) for part in block), strict=False)

    def _blocks(self, batch_size: int, order: Tensor | None) -> Iterator[tuple[Any, ...]]:
        """The samples in order, in a few large pieces; without an order nothing is copied."""
        parts = (self.x, self.y, self.sample_weight)
        row_bytes = sum(part[:1].nbytes for part in leaves(parts))
        batches = min(_BLOCK_BATCHES, max(1, _BLOCK_BYTES // max(row_bytes * batch_size, 1)))
        rows_in_all = len(self) if order is None else len(order)
        for start in range(0, rows_in_all, batches * batch_size):
            rows: Any = slice(start, start + batches * batch_size)
            if order is not None:
                rows = order[rows].to(next(leaves(self.x)).device)
            block = mapped(lambda part: part[rows], parts)  # noqa: B023 (called at once)
            yield block if self._place is None else self._place(block)

    def rows(self, start: int, stop: int | None = None) -> "Arrays":
        """Some of the samples, as views."""
        return self._each(lambda part: part[start:stop])

    def with_weights(self, sample_weight: Any) -> "Arrays":
        """The same samples with other weights."""
        twin = self._each(lambda part: part)
        twin.sample_weight = sample_weight
        return twin

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Arrays":
        twin = Arrays(*mapped(change, (self.x, self.y, self.sample_weight)))
        twin._in_file, twin._place = self._in_file, self._place
        return twin


def placed(device: Device, dtype: torch.dtype, batch: Batch) -> Batch:
    """A batch on that device; floats and truth values in that type, as `Arrays.to` has them."""
    on_cuda = torch.device(device).type == "cuda"

    def moved(part: Tensor) -> Tensor:
        wanted = dtype if part.is_floating_point() else _WIDER.get(part.dtype, part.dtype)
        return part.to(device, wanted, non_blocking=on_cuda and part.is_pinned())

    def counted(part: Tensor) -> Tensor:
        return moved(part.to(dtype) if part.dtype == torch.bool else part)

    x, *others = batch
    x = counted(x) if isinstance(x, Tensor) else mapped(moved, x)
    y, sample_weight = mapped(counted, tuple(others))
    return x, y, sample_weight


def _views(part: Any, batch_size: int) -> Iterable[Any]:
    """Views of so many samples each of a tensor, or of all tensors of a tree."""
    if part is None:
        return repeat(None)
    if isinstance(part, Tensor):
        return torch.split(part, batch_size)
    views = zip(*(torch.split(tensor, batch_size) for tensor in leaves(part)), strict=True)
    return (filled(part, each) for each in views)
