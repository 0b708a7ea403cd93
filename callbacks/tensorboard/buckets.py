"""Histograms of many tensors in one pass: what is done to a number is done to all at once."""

from collections.abc import Sequence

import numpy as np

BUCKETS = 30
"""Buckets of a histogram, as many as Keras makes."""

_GROUP = 1 << 14
"""Numbers that are counted in one pass, unless one tensor has more: what stays in the cache."""
_TOO_LARGE = 1e38
"""From here on limits are no finite numbers of 4 bytes: such values count as not finite, too."""
_TOO_NARROW = 1e-36
_SHARES = np.arange(BUCKETS + 1) / BUCKETS
_INTO = BUCKETS * (1 - 2.0**-20)
"""Buckets a span, or a trifle less: the greatest value is in the last bucket, and not beyond."""


def counted(tensors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Counts the values of each tensor in buckets of one width from its least to its greatest.

    A bucket holds its upper limit. Where all values are equal the buckets lie around them, 1 from
    end to end; where there are none the buckets are empty.

    Returns: for each tensor its buckets, (left, right, count) each; and for each how many of its
        values are in none, as they are not finite.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    group: list[np.ndarray] = []
    size = 0
    for tensor in tensors:
        if group and size + tensor.size > _GROUP:
            found.append(_of_group(group))
            group, size = [], 0
        group.append(tensor)
        size += tensor.size
    found.append(_of_group(group))
    buckets, not_finite = zip(*found, strict=True)
    return np.concatenate(buckets), np.concatenate(not_finite)


def square_sums(tensors: Sequence[np.ndarray]) -> np.ndarray:
    """Σ v² of each tensor, whatever its values are."""
    sizes, values = _joined(tensors, np.float64)
    sums, is_full = np.zeros(len(sizes)), sizes > 0
    if is_full.any():
        with np.errstate(over="ignore"):
            values *= values
        sums[is_full] = np.add.reduceat(values, (np.cumsum(sizes) - sizes)[is_full])
    return sums


def _joined(tensors: Sequence[np.ndarray], dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """The sizes of tensors, and all their values one after the other."""
    sizes = np.array([tensor.size for tensor in tensors], dtype=np.intp)
    return sizes, np.concatenate([np.empty(0, dtype), *map(np.ravel, tensors)], dtype=dtype)


def _of_group(tensors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    is_short = all(tensor.dtype == np.float32 for tensor in tensors)
    sizes, values = _joined(tensors, np.float32 if is_short else np.float64)
    buckets = _buckets(values, sizes) if sizes.all() else None
    if buckets is not None:
        return buckets, np.zeros(len(sizes), dtype=np.intp)
    fits = np.abs(values) < _TOO_LARGE
    left = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[fits], minlength=len(sizes))
    buckets = np.zeros((len(sizes), BUCKETS, 3), dtype=np.float32)
    if left.any():
        buckets[left > 0] = _buckets(values[fits], left[left > 0])
    return buckets, sizes - left


def _buckets(values: np.ndarray, sizes: np.ndarray) -> np.ndarray | None:
    """The buckets of so many values each, at least one, that follow each other.

    None if one of them is not finite, which shows in the least or the greatest.
    """
    starts = np.cumsum(sizes) - sizes
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    if not (low > -_TOO_LARGE).all() or not (high < _TOO_LARGE).all():
        return None
    span = high - low
    is_narrow = span < _TOO_NARROW
    low[is_narrow] -= 0.5
    span[is_narrow] = 1
    values -= np.repeat(low, sizes)
    values *= np.repeat(_INTO / span, sizes)
    place = values.astype(np.intp)
    place += np.repeat(np.arange(0, len(sizes) * BUCKETS, BUCKETS), sizes)
    edges = low[:, None] + span[:, None] * _SHARES
    buckets = np.empty((len(sizes), BUCKETS, 3), dtype=np.float32)
    buckets[:, :, 0], buckets[:, :, 1] = edges[:, :-1], edges[:, 1:]
    buckets[:, :, 2] = np.bincount(place, minlength=buckets[:, :, 2].size).reshape(-1, BUCKETS)
    return buckets
