"""Histograms of a tensor at many moments in one pass: each operation is for all of them."""

import numpy as np

BUCKETS = 30
"""Buckets of a histogram, as many as Keras makes."""

_BLOCK = 1 << 16
"""Numbers of a moment that are counted in one pass."""
_TOO_LARGE = 1e38
"""From here on limits are no finite numbers of 4 bytes: such values count as not finite, too."""
_TOO_NARROW = 1e-36
_SHARES = np.arange(BUCKETS + 1) / BUCKETS
_INTO = BUCKETS * (1 - 2.0**-20)
"""Buckets a span, or a trifle less: the greatest value is in the last bucket, and not beyond."""


def counted(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts the values of each line in buckets of one width from its least to its greatest.

    A bucket holds its upper limit. Where all values are equal the buckets lie around them, 1 from
    end to end; where there are none the buckets are empty.

    Shapes: moments (M, count), buckets (M, BUCKETS, 3), not finite (M,).
    Returns: for each line its buckets, (left, right, count) each; and how many of its values are in
        none, as they are not finite.
    """
    lines, count = moments.shape
    values = moments if moments.dtype == np.float32 else moments.astype(np.float64)
    if not count:
        return np.zeros((lines, BUCKETS, 3), np.float32), np.zeros(lines, np.intp)
    low, high = values.min(1), values.max(1)
    if (low > -_TOO_LARGE).all() and (high < _TOO_LARGE).all():
        return _buckets(values, low, high), np.zeros(lines, np.intp)
    finite = [line[np.abs(line) < _TOO_LARGE] for line in values]
    buckets = np.concatenate([counted(line[None])[0] for line in finite])
    return buckets, count - np.array([len(line) for line in finite])


def _buckets(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The buckets of finite values, at least one a line, from its least to its greatest."""
    lines, count = values.shape
    span = high - low
    is_narrow = span < _TOO_NARROW
    low[is_narrow] -= 0.5
    span[is_narrow] = 1
    starts, steps = low[:, None], (_INTO / span)[:, None]
    first = np.arange(0, lines * BUCKETS, BUCKETS)[:, None]
    counts: np.ndarray = np.zeros(lines * BUCKETS, dtype=np.intp)
    for start in range(0, count, _BLOCK):
        place = values[:, start : start + _BLOCK] - starts
        place *= steps
        inside = place.astype(np.intp)
        inside += first
        counts += np.bincount(inside.ravel(), minlength=len(counts))
    edges = starts + span[:, None] * _SHARES
    buckets = np.empty((lines, BUCKETS, 3), dtype=np.float32)
    buckets[:, :, 0], buckets[:, :, 1] = edges[:, :-1], edges[:, 1:]
    buckets[:, :, 2] = counts.reshape(lines, BUCKETS)
    return buckets


def square_sums(moments: np.ndarray) -> np.ndarray:
    """Σ v² of each line, whatever its values are."""
    sums: np.ndarray = np.einsum("mn,mn->m", moments, moments, dtype=np.float64)
    return sums
