"""Turns what users have, arrays, tensors or nested lists, into batches: views of a few big gathers."""

import math
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.types import ArrayLike, Device

Batch = tuple[Tensor, Any, Any]
"""(x, y, sample_weight); y and sample_weight may be None."""

_BLOCK_BYTES = 64 * 2**20
_BLOCK_BATCHES = 4096
"""An epoch is gathered in blocks of at most so much, so that it costs few operations and no second
copy of large data."""


def as_tensor(name: str, value: ArrayLike) -> Tensor:
    """A tensor of the values: floats and truth values in torch's default type, integers as they are.

    Raises: TypeError or ValueError naming the argument, for what is no regular array of numbers.

    Example:
        >>> as_tensor("x", [[0.0, 1.0]])
        tensor([[0., 1.]])
    """
    tensor = value.detach() if isinstance(value, Tensor) else _from_numpy(name, value)
    if tensor.dim() == 0:
        raise ValueError(f"fit({name}) expects an array with the samples as axis 0; got the single "
                         f"number {tensor.item()!r}. Put it in a list.")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        return tensor.to(torch.get_default_dtype())
    return tensor


def _from_numpy(name: str, value: ArrayLike) -> Tensor:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"fit({name}) expects rows of equal length; got {error}. "
                         "Pad them, or leave the odd ones out.") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"fit({name}) expects numbers; got {type(value).__name__} of "
                        f"{array.dtype}. Encode them as numbers first.")
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch shares memory with the others
    return torch.from_numpy(array)


class Arrays:
    """Samples in memory: x, and y and sample weights where there are any.

    Raises: ValueError for no samples, or other numbers of them in y or sample_weight.

    Args:
        x, y, sample_weight: arrays with the samples as axis 0.

    Example:
        >>> arrays = Arrays([[0.0], [1.0], [2.0]], [0, 1, 2])
        >>> [len(x) for x, y, w in arrays.batches(2)]
        [2, 1]
    """

    def __init__(
        self, x: ArrayLike, y: ArrayLike = None, sample_weight: ArrayLike = None
    ) -> None:
        self.x = as_tensor("x", x)
        self.y = None if y is None else as_tensor("y", y)
        self.sample_weight = None if sample_weight is None else as_tensor(
            "sample_weight", sample_weight)
        for name, other in (("y", self.y), ("sample_weight", self.sample_weight)):
            if other is not None and len(other) != len(self.x):
                raise ValueError(
                    f"fit(x, {name}) expects as many samples in both; got {len(self.x)} in x and "
                    f"{len(other)} in {name}. Axis 0 counts the samples."
                )

    def __len__(self) -> int:
        return self.x.shape[0]

    def require_samples(self, who: str) -> "Arrays":
        """Refuses an empty set."""
        if not len(self):
            raise ValueError(f"{who} expects at least one sample; got x of shape "
                             f"{tuple(self.x.shape)}. Check how x was selected.")
        return self

    def split(self, share: float) -> tuple["Arrays", "Arrays"]:
        """The front for training, and the last share of the samples for validation, as Keras cuts.

        Raises: ValueError if a side would be empty.
        """
        count = math.floor(len(self) * (1 - share)) if 0 <= share < 1 else 0
        if not 0 < count < len(self):
            raise ValueError(
                f"fit(validation_split) expects a share between 0 and 1 that leaves samples on both "
                f"sides; got {share!r} of {len(self)} samples. 0.1 holds back every tenth."
            )
        return self._rows(slice(count)), self._rows(slice(count, None))

    def _rows(self, rows: slice) -> "Arrays":
        return Arrays(*(None if part is None else part[rows]
                        for part in (self.x, self.y, self.sample_weight)))

    def to(self, device: Device) -> "Arrays":
        """The samples on that device."""
        return Arrays(*(None if part is None else part.to(device)
                        for part in (self.x, self.y, self.sample_weight)))

    def batches(self, batch_size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """One pass in this order of sample indices, or as they lie; the last batch may be short."""
        for block in self._blocks(batch_size, order):
            views = (repeat(None) if part is None else part.split(batch_size) for part in block)
            yield from zip(*views, strict=False)

    def _blocks(self, batch_size: int, order: Tensor | None) -> Iterator[tuple[Tensor | None, ...]]:
        """The samples in order, a few large pieces; only their indices are copied otherwise."""
        parts = (self.x, self.y, self.sample_weight)
        row_bytes = sum(part[:1].nbytes for part in parts if part is not None)
        batches = min(_BLOCK_BATCHES, max(1, _BLOCK_BYTES // max(row_bytes * batch_size, 1)))
        for start in range(0, len(self), batches * batch_size):
            rows: Any = slice(start, start + batches * batch_size)
            if order is not None:
                rows = order[rows].to(self.x.device)
            yield tuple(None if part is None else part[rows] for part in parts)
