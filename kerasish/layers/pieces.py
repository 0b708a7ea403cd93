"""A batch in pieces: what is made on the way stays small, and within the cache of a processor."""

from collections.abc import Sequence

from torch import Tensor

from kerasish.devices import kind_of_device

PIECE = 1 << 20
"""Bytes that are made for one piece. Twice or half as many are as fast."""


def pieces(batch: Tensor, bytes_a_sample: int) -> Sequence[slice]:
    """The rows of a batch in runs, each of which needs about a mebibyte for itself.

    On a device other than a CPU it is one run. Without numbers, on the meta device, one piece
    stands for all: they take the same memory, one after the other.

    Example:
        >>> import torch
        >>> pieces(torch.ones(5, 3), bytes_a_sample=400_000)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    rows = max(1, PIECE // max(1, bytes_a_sample))
    if len(batch) <= rows or kind_of_device(batch) != "cpu":
        return [slice(0, len(batch))]
    starts = range(0, len(batch), rows)
    return [slice(start, start + rows) for start in (starts[:1] if batch.is_meta else starts)]
