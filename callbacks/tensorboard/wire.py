"""Events as bytes: the few fields of TensorBoard's protocol buffers that curves are made of.

What is written once in a while is made by the classes of `tensorboard.compat.proto`; what is
written in each epoch, scalars and histograms, is put together here, at a tenth of the cost.
"""

import math
import struct
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
"""How a field is written: a number in few bytes, 8 bytes, so many bytes after their count, 4."""


def _varint(number: int) -> bytes:
    """A number by seven bits a byte, the lowest first; the top bit says that more follow."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _bytes(field: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


_HISTOGRAMS = _bytes(9, _bytes(1, _bytes(1, b"histograms")), _number(4, 2))
"""The metadata that says what a tensor is: a plugin's name, and that there are several values."""


@lru_cache(maxsize=4096)
def histogram_head(tag: str, rows: int, columns: int) -> bytes:
    """A histogram as one of the values of a Summary, as TensorBoard itself writes it.

    It is all of it but its content, so many rows of a left and a right limit, and how many values
    there are in between.
    """
    content = bytes(rows * columns * 4)
    shape = _bytes(2, *(_bytes(2, _number(1, size)) for size in (rows, columns)))
    tensor = _bytes(8, _number(1, 1), shape, _bytes(4, content))
    value = _bytes(1, _bytes(1, tag.encode()), _HISTOGRAMS, tensor)
    return value[: len(value) - len(content)]


@lru_cache(maxsize=4096)
def scalar_head(tag: str) -> bytes:
    """A number as one of the values of a Summary: all of it but its content."""
    return _bytes(1, _bytes(1, tag.encode()), _varint(2 << 3 | _FLOAT), bytes(4))[:-4]


def scalar(tag: str, value: float) -> bytes:
    """A number as one of the values of a Summary."""
    try:
        return scalar_head(tag) + struct.pack("<f", value)
    except OverflowError:  # beyond what a float of 4 bytes holds
        return scalar_head(tag) + struct.pack("<f", math.copysign(math.inf, value))


def contents(values: np.ndarray) -> list[list[bytes]]:
    """The contents of values of several Summaries.

    Shapes: values (Summaries, values of each, ...).
    """
    size = math.prod(values.shape[2:])
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(values, dtype="<f4").reshape(*values.shape[:2], size)
    found: list[list[bytes]] = floats.view(f"V{4 * size}")[:, :, 0].tolist()
    return found


def summary(heads: Iterable[bytes], contents: Iterable[bytes]) -> bytes:
    """The Summary of values, each with its content."""
    return b"".join([part for value in zip(heads, contents, strict=True) for part in value])


def event(wall_time: float, step: int, summary: bytes) -> bytes:
    """An Event with a Summary in it, of which these are the bytes."""
    return b"".join((b"\x09", struct.pack("<d", wall_time), b"\x10", _varint(step & 2**64 - 1),
                     b"\x2a", _varint(len(summary)), summary))


def graph_event(wall_time: float, graph: bytes) -> bytes:
    """An Event with a GraphDef in it, of which these are the bytes."""
    return b"".join((b"\x09", struct.pack("<d", wall_time), _bytes(4, graph)))


def graph_of(event: bytes) -> bytes:
    """The GraphDef of what `graph_event` has made; nothing of another event."""
    if event[9:10] != b"\x22":
        return b""
    last = next(place for place in range(10, len(event)) if event[place] < 128)  # of its length
    return event[last + 1 :]


def first_event(wall_time: float) -> bytes:
    """The Event that a file begins with: it says how the others are to be read."""
    return b"\x09" + struct.pack("<d", wall_time) + b"\x1a\x0dbrain.Event:2"
