"""The checksum of event files, CRC-32C, many bytes at a time.

It is linear over GF(2): the checksum of a block is the exclusive or of what each of its bytes adds,
which depends on its value and on how many bytes come after it. So a block is a look-up in a table
and one reduction, instead of a loop over its bytes.
"""

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits in reverse order."""
_BLOCK = 512
"""Bytes that are summed up at once: the table has a line of 256 values for each."""
_CHUNK = 64 * _BLOCK
"""Bytes whose look-ups are in memory together."""
_FEW = 256
"""Up to here a loop over the bytes is as fast, as it needs no table that has left the cache."""
_ONES = 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes, rotated and shifted as event files want it.

    Example:
        >>> hex(masked_crc32c(b"123456789"))
        '0xc78ab0e5'
    """
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _ONES


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes (Castagnoli et al. (1993)).

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    if len(data) <= _FEW:
        return _byte_by_byte(data)
    padded = np.zeros(-(-len(data) // _BLOCK) * _BLOCK, dtype=np.uint8)  # zeros in front add none
    start = len(padded) - len(data)
    padded[start:] = np.frombuffer(data, dtype=np.uint8)
    padded[start : start + 4] ^= 255  # the register starts as ones
    crc = 0
    for first in range(0, len(padded), _CHUNK):
        for block in _of_blocks(padded[first : first + _CHUNK].reshape(-1, _BLOCK)).tolist():
            crc = _moved_on(crc) ^ block
    return crc ^ _ONES


def _of_blocks(blocks: np.ndarray) -> np.ndarray:
    """What each of the blocks adds to the register at its end."""
    table, places = _table()
    added: np.ndarray = np.bitwise_xor.reduce(table.take(blocks + places), axis=1)
    return added


def _moved_on(crc: int) -> int:
    """The register after a block of zeros: its bytes act like the first ones of that block."""
    a, b, c, d = _first_lines()
    return a[crc & 255] ^ b[crc >> 8 & 255] ^ c[crc >> 16 & 255] ^ d[crc >> 24]


def _byte_by_byte(data: bytes) -> int:
    crc, last = _ONES, _one_byte()
    for byte in data:
        crc = last[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ _ONES


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """What a byte adds by its place in a block and its value; and where each place begins."""
    line = _last_line()
    lines = [line]
    for _ in range(1, _BLOCK):
        lines.append(lines[0][lines[-1] & 255] ^ lines[-1] >> 8)  # one more byte comes after it
    return np.concatenate(lines[::-1]), np.arange(_BLOCK) * 256


@cache
def _first_lines() -> list[list[int]]:
    table, _ = _table()
    lines: list[list[int]] = table[: 4 * 256].reshape(4, 256).tolist()
    return lines


@cache
def _one_byte() -> list[int]:
    line: list[int] = _last_line().tolist()
    return line


@cache
def _last_line() -> np.ndarray:
    """What the last byte of a block adds, for each value: eight steps of the division."""
    line: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        line = line >> 1 ^ np.where(line & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    return line
