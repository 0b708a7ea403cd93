"""Turns arrays, tensors and nested lists into batches: views of a few big gathers."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.trees import batch_size, filled, leaves, mapped
from kerasish.types import ArrayLike, Device

Batch = tuple[Any, Any, Any]
"""(x, y, sample_weight): x and y a tensor, or a tuple or dict of them; all but x may be None."""

_BLOCK_BYTES = 64 * 2**20
_BLOCK_BATCHES = 4096
"""An epoch is gathered in blocks of at most so much, so that it costs few operations and no second
copy of large data."""


def as_tensor(who: str, value: ArrayLike) -> Tensor:
    """A tensor of the same numbers, sharing memory where torch can.

    Raises: TypeError or ValueError in the name of who asks, for no regular array of numbers.

    Example:
        >>> as_tensor("fit(x)", [[0.0, 1.0]])
        tensor([[0., 1.]], dtype=torch.float64)
    """
    tensor = value.detach() if isinstance(value, Tensor) else _from_numpy(who, value)
    if tensor.dim() == 0:
        raise ValueError(f"{who} expects an array with the samples as axis 0; got the single "
                         f"number {tensor.item()!r}. Put it in a list.")
    if tensor.is_complex():
        raise TypeError(f"{who} expects real numbers; got {tensor.dtype}. "
                        "Split them into real and imaginary parts.")
    return tensor


def _from_numpy(who: str, value: ArrayLike) -> Tensor:
    if isinstance(value, list | tuple) and any(isinstance(row, Tensor) for row in value):
        value = [row.detach().cpu() if isinstance(row, Tensor) else row for row in value]
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{who} expects rows of equal length; got {error}. Pad them, or leave the "
                         "odd ones out; several inputs or targets come in a tuple.") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{who} expects numbers; got {type(value).__name__} of {array.dtype}. "
                        "Encode them as numbers first.")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch shares memory with the others
    return torch.from_numpy(array)


def as_tensors(who: str, value: Any) -> Any:
    """A tensor, or tensors in the structure of a tuple or dict of arrays; None stays None.

    A tuple of plain numbers and lists is one array, as a list is.

    Example:
        >>> as_tensors("fit(x)", {"a": [1], "b": [[0.5]]})
        {'a': tensor([1]), 'b': tensor([[0.5000]], dtype=torch.float64)}
    """
    if isinstance(value, dict):
        return {name: as_tensors(f"{who}[{name!r}]", part) for name, part in value.items()}
    if isinstance(value, tuple) and any(_is_array(part) for part in value):
        return tuple(as_tensors(f"{who}[{i}]", part) for i, part in enumerate(value))
    return None if value is None else as_tensor(who, value)


def _is_array(value: Any) -> bool:
    """Whether it is an array or a structure of them, and not a number or a list of numbers."""
    if isinstance(value, tuple):
        return any(_is_array(part) for part in value)
    return isinstance(value, dict) or getattr(value, "ndim", 0) > 0


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
        sample_weight: ArrayLike = None,
        who: str = "fit",
    ) -> None:
        self.x, self.y = as_tensors(f"{who}(x)", x), as_tensors(f"{who}(y)", y)
        if next(leaves(self.x), None) is None:
            raise ValueError(f"{who}(x) expects samples; got {x!r}. Give it at least one array.")
        self.sample_weight = None
        if sample_weight is not None:
            self.sample_weight = as_tensor(f"{who}(sample_weight)", sample_weight)
        parts = {"another part of it": self.x, "y": self.y, "sample_weight": self.sample_weight}
        for name, other in parts.items():
            for part in leaves(other):
                if len(part) != len(self):
                    raise ValueError(
                        f"{who}(x, y) expects as many samples in all arrays; got {len(self)} in x "
                        f"and {len(part)} in {name}. Axis 0 counts the samples; several inputs or "
                        "targets come in a tuple or a dict."
                    )
        if self.sample_weight is not None and self.sample_weight.dim() != 1:
            raise ValueError(
                f"{who}(sample_weight) expects one weight a sample, shape ({len(self)},); got "
                f"{tuple(self.sample_weight.shape)}. Weigh samples, not elements."
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
        return self._each(lambda part: part[:count]), self._each(lambda part: part[count:])

    def to(self, device: Device, dtype: torch.dtype) -> "Arrays":
        """The samples on that device; floats and truth values in that type, integers as is.

        Truth values among several inputs are masks, and stay what they are.
        """
        def placed(part: Tensor) -> Tensor:
            return part.to(device, dtype if part.is_floating_point() else part.dtype)

        def counted(part: Tensor) -> Tensor:
            return placed(part.to(dtype) if part.dtype == torch.bool else part)

        x = counted(self.x) if isinstance(self.x, Tensor) else mapped(placed, self.x)
        return Arrays(x, *mapped(counted, (self.y, self.sample_weight)))

    def batches(self, batch_size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """One pass in this order of sample indices, or as they lie; the last may be short."""
        for block in self._blocks(batch_size, order):
            yield from zip(*(_views(part, batch_size) for part in block), strict=False)

    def _blocks(self, batch_size: int, order: Tensor | None) -> Iterator[tuple[Any, ...]]:
        """The samples in order, in a few large pieces; without an order nothing is copied."""
        parts = (self.x, self.y, self.sample_weight)
        row_bytes = sum(part[:1].nbytes for part in leaves(parts))
        batches = min(_BLOCK_BATCHES, max(1, _BLOCK_BYTES // max(row_bytes * batch_size, 1)))
        for start in range(0, len(self), batches * batch_size):
            rows: Any = slice(start, start + batches * batch_size)
            if order is not None:
                rows = order[rows].to(next(leaves(self.x)).device)
            yield mapped(lambda part: part[rows], parts)  # noqa: B023 (called at once)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Arrays":
        return Arrays(*mapped(change, (self.x, self.y, self.sample_weight)))


def _views(part: Any, batch_size: int) -> Iterable[Any]:
    """Views of so many samples each of a tensor, or of all tensors of a tree."""
    if part is None:
        return repeat(None)
    if isinstance(part, Tensor):
        return torch.split(part, batch_size)
    views = zip(*(torch.split(tensor, batch_size) for tensor in leaves(part)), strict=True)
    return (filled(part, each) for each in views)
