"""Turns arrays, tensors and nested lists into batches: views of a few big gathers."""

import math
from collections.abc import Callable, Iterator
from itertools import repeat
from numbers import Real
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
        raise ValueError(f"{who} expects rows of equal length; got {error}. "
                         "Pad them, or leave the odd ones out.") from None
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


class Arrays:
    """Samples in memory: x, and y and sample weights where there are any.

    Raises: ValueError for other numbers of samples in y or sample_weight than in x.

    Args:
        x, y, sample_weight: arrays with the samples as axis 0; weights have no other axis.
        who: the method that they were given to, for errors.

    Example:
        >>> arrays = Arrays([[0.0], [1.0], [2.0]], [0, 1, 2])
        >>> [len(x) for x, y, w in arrays.batches(2)]
        [2, 1]
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike = None,
        sample_weight: ArrayLike = None,
        who: str = "fit",
    ) -> None:
        self.x = as_tensor(f"{who}(x)", x)
        self.y = None if y is None else as_tensor(f"{who}(y)", y)
        self.sample_weight = None
        if sample_weight is not None:
            self.sample_weight = as_tensor(f"{who}(sample_weight)", sample_weight)
        for name, other in (("y", self.y), ("sample_weight", self.sample_weight)):
            if other is not None and len(other) != len(self):
                raise ValueError(
                    f"{who}(x, {name}) expects as many samples in both; got {len(self)} in x and "
                    f"{len(other)} in {name}. Axis 0 counts the samples."
                )
        if self.sample_weight is not None and self.sample_weight.dim() != 1:
            raise ValueError(
                f"{who}(sample_weight) expects one weight a sample, shape ({len(self)},); got "
                f"{tuple(self.sample_weight.shape)}. Weigh samples, not elements."
            )

    def __len__(self) -> int:
        return int(self.x.shape[0])

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
        """The samples on that device; floats and truth values in that type, integers as is."""
        return self._each(lambda part: part.to(device, dtype if _is_real(part) else part.dtype))

    def batches(self, batch_size: int, order: Tensor | None = None) -> Iterator[Batch]:
        """One pass in this order of sample indices, or as they lie; the last may be short."""
        for block in self._blocks(batch_size, order):
            views = [repeat(None) if part is None else torch.split(part, batch_size)
                     for part in block]
            yield from zip(*views, strict=False)

    def _blocks(
        self, batch_size: int, order: Tensor | None
    ) -> Iterator[tuple[Tensor | None, ...]]:
        """The samples in order, in a few large pieces; without an order nothing is copied."""
        parts = (self.x, self.y, self.sample_weight)
        row_bytes = sum(part[:1].nbytes for part in parts if part is not None)
        batches = min(_BLOCK_BATCHES, max(1, _BLOCK_BYTES // max(row_bytes * batch_size, 1)))
        for start in range(0, len(self), batches * batch_size):
            rows: Any = slice(start, start + batches * batch_size)
            if order is not None:
                rows = order[rows].to(self.x.device)
            yield tuple(None if part is None else part[rows] for part in parts)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Arrays":
        x, y, sample_weight = (
            None if part is None else change(part) for part in (self.x, self.y, self.sample_weight)
        )
        return Arrays(x, y, sample_weight)


def _is_real(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.dtype == torch.bool
