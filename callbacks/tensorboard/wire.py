"""Events as bytes: the few fields of TensorBoard's protocol buffers that curves are made of.

What is written once in a while is made by the classes of `tensorboard.compat.proto`; what is
written in each epoch, scalars and histograms, is put together here, at a tenth of the cost.
"""

import math
import struct
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

BUCKETS = 30
"""Buckets of a histogram, as many as Keras makes."""

HISTOGRAM = np.dtype([
    ("field_1", "u1"), ("min", "<f8"), ("field_2", "u1"), ("max", "<f8"),
    ("field_3", "u1"), ("num", "<f8"), ("field_4", "u1"), ("sum", "<f8"),
    ("field_5", "u1"), ("sum_squares", "<f8"),
    ("field_6", "u1"), ("bytes_6", "<u2"), ("bucket_limit", "<f8", BUCKETS),
    ("field_7", "u1"), ("bytes_7", "<u2"), ("bucket", "<f8", BUCKETS),
])  # fmt: skip
"""A HistogramProto as it lies in a file: all of them are equally long."""

_DOUBLE, _LENGTH, _FLOAT = 1, 2, 5
"""How a field is written: 8 bytes, its length and so many bytes, 4 bytes."""


def histograms(count: int) -> np.ndarray:
    """So many messages HistogramProto, with everything in them but the numbers."""
    rows = np.zeros(count, dtype=HISTOGRAM)
    for field in range(1, 6):
        rows[f"field_{field}"] = field << 3 | _DOUBLE
    for field in (6, 7):
        rows[f"field_{field}"] = field << 3 | _LENGTH
        rows[f"bytes_{field}"] = int.from_bytes(_varint(BUCKETS * 8), "little")
    return rows


def histogram(tag: str, row: np.void) -> bytes:
    """A histogram as one of the values of a Summary."""
    return _head(tag, 5, _LENGTH) + row.tobytes()


def scalar(tag: str, value: float) -> bytes:
    """A number as one of the values of a Summary."""
    try:
        return _head(tag, 2, _FLOAT) + struct.pack("<f", value)
    except OverflowError:  # beyond what a float of 4 bytes holds
        return _head(tag, 2, _FLOAT) + struct.pack("<f", math.copysign(math.inf, value))


def event(wall_time: float, step: int, summary: bytes) -> bytes:
    """An Event with a Summary in it, of which these are the bytes."""
    return b"".join((b"\x09", struct.pack("<d", wall_time), b"\x10", _varint(step & 2**64 - 1),
                     b"\x2a", _varint(len(summary)), summary))


def first_event(wall_time: float) -> bytes:
    """The Event that a file begins with: it says how the others are to be read."""
    return b"\x09" + struct.pack("<d", wall_time) + b"\x1a\x0dbrain.Event:2"


def summary(values: Iterable[bytes]) -> bytes:
    """The Summary of some values."""
    return b"".join(values)


@lru_cache(maxsize=4096)
def _head(tag: str, field: int, kind: int) -> bytes:
    """What of a value does not change: its length, its tag, and which field follows."""
    name = tag.encode()
    inside = b"\x0a" + _varint(len(name)) + name + bytes([field << 3 | kind])
    size = 4
    if kind == _LENGTH:
        inside += _varint(HISTOGRAM.itemsize)
        size = HISTOGRAM.itemsize
    return b"\x0a" + _varint(len(inside) + size) + inside


def _varint(number: int) -> bytes:
    """A number by seven bits a byte, the lowest first; the top bit says that more follow."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)
