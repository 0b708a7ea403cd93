"""Histograms of many tensors in one pass: what is done to a number is done to all at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .wire import BUCKETS, histograms

_GROUP = 1 << 20
"""Numbers that are counted in one pass, unless one tensor has more."""
_TOO_LARGE = 1e150
"""From here on a square may be no finite number: such values count as not finite, too."""
_TOO_NARROW = 1e-300


class Counted(NamedTuple):
    """The histograms of some tensors, in their order."""

    rows: np.ndarray
    """A HistogramProto for each."""
    not_finite: np.ndarray
    """How many values of each are in no bucket, as they are not finite."""


def counted(tensors: Sequence[np.ndarray]) -> Counted:
    """Counts the values of each tensor in buckets of one width from its least to its greatest.

    Where all are equal the buckets lie around that value, 1 from end to end; where there is none
    they are empty.
    """
    found: list[Counted] = []
    group: list[np.ndarray] = []
    size = 0
    for tensor in tensors:
        if group and size + tensor.size > _GROUP:
            found.append(_of_group(group))
            group, size = [], 0
        group.append(tensor)
        size += tensor.size
    found.append(_of_group(group))
    return Counted(*map(np.concatenate, zip(*found, strict=True))) if len(found) > 1 else found[0]


def _of_group(tensors: Sequence[np.ndarray]) -> Counted:
    sizes, values = _joined(tensors)
    fits = np.abs(values) < _TOO_LARGE
    if fits.all() and sizes.all():
        return Counted(_rows(values, sizes), np.zeros(len(sizes), dtype=np.intp))
    owners = np.repeat(np.arange(len(sizes)), sizes)
    left = np.bincount(owners[fits], minlength=len(sizes))
    rows = histograms(len(sizes))
    if left.any():
        rows[left > 0] = _rows(values[fits], left[left > 0])
    return Counted(rows, sizes - left)


def square_sums(tensors: Sequence[np.ndarray]) -> np.ndarray:
    """Σ v² of each tensor, whatever its values are."""
    sizes, values = _joined(tensors)
    sums, is_full = np.zeros(len(sizes)), sizes > 0
    if is_full.any():
        with np.errstate(over="ignore"):
            values *= values
        sums[is_full] = np.add.reduceat(values, (np.cumsum(sizes) - sizes)[is_full])
    return sums


def _joined(tensors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The sizes of tensors, and all their values one after the other."""
    sizes = np.array([tensor.size for tensor in tensors], dtype=np.intp)
    return sizes, np.concatenate([np.empty(0), *map(np.ravel, tensors)], dtype=np.float64)


def _rows(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The histograms of so many values each, at least one, that follow each other."""
    starts = np.cumsum(sizes) - sizes
    low = np.minimum.reduceat(values, starts)
    high = np.maximum.reduceat(values, starts)
    rows = histograms(len(sizes))
    rows["num"], rows["sum"] = sizes, np.add.reduceat(values, starts)
    rows["sum_squares"] = np.add.reduceat(values * values, starts)
    is_narrow = high - low < _TOO_NARROW
    if is_narrow.any():
        low = np.where(is_narrow, low - 0.5, low)
        high = np.where(is_narrow, low + 1.0, high)
    span = high - low
    values = values - np.repeat(low, sizes)
    values *= np.repeat(BUCKETS / span, sizes)
    place = values.astype(np.intp)
    np.minimum(place, BUCKETS - 1, out=place)  # the greatest value itself
    place += np.repeat(np.arange(0, len(sizes) * BUCKETS, BUCKETS), sizes)
    rows["bucket"] = np.bincount(place, minlength=len(sizes) * BUCKETS).reshape(-1, BUCKETS)
    rows["min"], rows["max"] = low, high
    rows["bucket_limit"] = low[:, None] + span[:, None] * _SHARES
    rows["bucket_limit"][:, -1] = high
    return rows


_SHARES = np.arange(1, BUCKETS + 1) / BUCKETS
