"""IDX, the format that MNIST comes in: a few numbers that say type and shape, then the elements."""

import gzip
import hashlib
import io
import math
import zlib

import numpy as np

from kerasish.types import Shape

_ZIPPED = b"\x1f\x8b"
_UNSIGNED_BYTES = b"\x00\x00\x08"
"""How files begin whose elements are numbers from 0 to 255; the number of axes comes next."""


def header(shape: Shape) -> bytes:
    """What stands before the elements: 00 00 08, the number of axes, and each size in four bytes.

    Example:
        >>> header((3,)).hex(" ", 4)
        '00000801 00000003'
    """
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return _UNSIGNED_BYTES + bytes([len(shape)]) + sizes


def unzipped(data: bytes, size: int) -> bytes:
    """The content of a file, gzipped or not, of which so many bytes are expected.

    Raises: ValueError if it has more or fewer bytes, or is damaged. No more than one byte too many
        is ever made of it, whatever it would unfold to.
    """
    if data.startswith(_ZIPPED):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(size + 1)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"damaged or cut off ({error})") from error
    if len(data) != size:
        many = "more" if len(data) > size else f"{len(data):,}"
        raise ValueError(f"{many} bytes instead of {size:,}")
    return data


def read_idx(data: bytes, shape: Shape, sha256: str) -> np.ndarray:
    """The elements of a file, gzipped or not, once it is sure that they are those.

    Raises: ValueError for other content.

    Args:
        data: the bytes of the file.
        shape: what it should hold.
        sha256: the sum of its content before it was gzipped, in hexadecimal digits.
    """
    front = header(shape)
    content = unzipped(data, len(front) + math.prod(shape))
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise ValueError(f"other content: its SHA-256 is {got} instead of {sha256}")
    return np.frombuffer(content, np.uint8, offset=len(front)).reshape(shape)
