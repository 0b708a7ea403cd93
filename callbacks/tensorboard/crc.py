"""The checksum of event files, CRC-32C, of many records at once.

It is linear over GF(2): the checksum of a block is the exclusive or of what each of its bytes adds,
which depends on its value and on how many bytes come after it. So a block is a look-up in a table
and one reduction, instead of a loop over its bytes. Two neighbours of one length become one of
twice that, until one is left: the first is moved on by the length of the second.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's, its bits in reverse order."""
_BLOCK = 64
"""Bytes that are summed up at once: the table has a line of 256 values for each."""
_ONES = bytes.fromhex("54641f64")
"""The bytes that turn a register of zeros into the ones that it is to start with."""
_CHUNK = 512
"""Blocks whose look-ups are in memory together."""


def masked_crc32c(records: Sequence[bytes]) -> list[int]:
    """The CRC-32C of each of some records, rotated and shifted as event files want it.

    Example:
        >>> [hex(each) for each in masked_crc32c([b"123456789", b""])]
        ['0xc78ab0e5', '0xa282ead8']
    """
    crcs = crc32c(records)
    masked: list[int] = ((crcs >> 15 | crcs << 17) + np.uint32(0xA282EAD8)).tolist()
    return masked


def crc32c(records: Sequence[bytes]) -> np.ndarray:
    """The CRC-32C of each of some records (Castagnoli et al. (1993)).

    Example:
        >>> hex(crc32c([b"123456789"])[0])
        '0xe3069283'
    """
    sizes: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        sizes.setdefault(-(-(len(_ONES) + len(record)) // _BLOCK) * _BLOCK, []).append(place)
    crcs = np.zeros(len(records), dtype=np.uint32)
    for size, places in sizes.items():
        filled = [(_ONES + records[place]).rjust(size, b"\0") for place in places]  # zeros add none
        blocks = np.frombuffer(b"".join(filled), dtype=np.uint8).reshape(-1, _BLOCK)
        crcs[places] = ~_as_one(_of_blocks(blocks).reshape(len(places), -1))
    return crcs


def _of_blocks(blocks: np.ndarray) -> np.ndarray:
    """The register after each of the blocks, if it is 0 before."""
    return np.concatenate([_summed(blocks[start : start + _CHUNK], _table())
                           for start in range(0, len(blocks), _CHUNK)])


def _as_one(registers: np.ndarray) -> np.ndarray:
    """The register after all blocks of each line."""
    lines, blocks = registers.shape
    levels = (blocks - 1).bit_length()
    filled = np.zeros((lines, 1 << levels), dtype=np.uint32)
    filled[:, filled.shape[1] - blocks :] = registers
    for level in range(levels):
        filled = _moved(filled[:, ::2], level) ^ filled[:, 1::2]
    return filled[:, 0]


def _moved(registers: np.ndarray, level: int) -> np.ndarray:
    """Registers after 2^level blocks of zeros."""
    numbers = np.ascontiguousarray(registers, dtype="<u4").view(np.uint8)
    return _summed(numbers.reshape(*registers.shape, 4), _moving(level))


def _summed(numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    """What the bytes of each line add, by their places and values."""
    places = np.arange(0, numbers.shape[-1] * 256, 256)
    summed: np.ndarray = np.bitwise_xor.reduce(table.take(numbers + places), axis=-1)
    return summed


@cache
def _moving(level: int) -> np.ndarray:
    """What the bytes of a register add to it 2^level blocks later."""
    if not level:
        return _table()[: 4 * 256]  # it acts like the first bytes of a block
    return _moved(_moving(level - 1), level - 1)


@cache
def _table() -> np.ndarray:
    """What each byte of a block adds to the register at its end, by its place and its value."""
    line: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        line = line >> 1 ^ np.where(line & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    lines = [line]
    for _ in range(1, _BLOCK):
        lines.append(line[lines[-1] & 255] ^ lines[-1] >> 8)  # one more byte comes after it
    return np.concatenate(lines[::-1])
