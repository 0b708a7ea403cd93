"""The head of a file: its metadata and the table of its tensors, in bytes and back.

A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON, filled up
with blanks), and the data. The header is read here piece by piece in the one form in which it is
written: what is not of that form is refused where it begins, and takes no memory.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from kerasish.saving.errors import ModelFileError
from kerasish.saving.strict import TEXT_LIMIT

if TYPE_CHECKING:
    from hashlib import _Hash

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
    "BOOL": torch.bool, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}

VERSION = 1
TENSORS_LIMIT = 20_000  # a net of 1,000 layers with batch norms and four slots has 18,000
TABLE_LIMIT = 4_000_000
METADATA_LIMIT = TEXT_LIMIT + 1_000  # quotes in the settings take two bytes each
HEADER_LIMIT = METADATA_LIMIT + TABLE_LIMIT
NAME_LIMIT = 2_000
RANK_LIMIT = 16
RESERVED = "__metadata__"  # no tensor can have this name

SAVE_AGAIN = "The file is damaged, or not written by kerasish: take a copy, or save it again."

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+"'
_PRINTABLE = rb'"(?:[ !#-\[\]-~]++|\\["\\])*+"'
_SIZE = rb"(?:0|[1-9][0-9]{0,18})"
_PAIR = re.compile(rb"(%b):(%b)([,}])" % (_PRINTABLE, _PRINTABLE))
_ROW = re.compile(rb',(%b):\{"dtype":"([A-Z0-9_]{1,16})","shape":\[((?:%b(?:,%b){0,%d})?)\],'
                  rb'"data_offsets":\[(%b),(%b)\]\}'
                  % (_TEXT, _SIZE, _SIZE, RANK_LIMIT - 1, _SIZE, _SIZE))


class Row(NamedTuple):
    """One tensor in the table: its data are the bytes from begin to end, counted from the table."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself: the settings are still text, the data not yet read."""

    kind: str
    configuration: str
    rows: tuple[Row, ...]
    sha256: str = ""

    @property
    def data_size(self) -> int:
        """The bytes of all tensors."""
        return self.rows[-1].end if self.rows else 0

    def digest(self) -> "_Hash":
        """The SHA-256 of everything but the data; these are fed to it in order."""
        digest = hashlib.sha256(_json([self.kind, VERSION, self.configuration]))
        for row in self.rows:
            digest.update(_json([row.name, row.dtype, row.shape]))
        return digest

    def to_bytes(self) -> bytes:
        """The head of the file, up to where the data begin."""
        metadata = {"configuration": self.configuration, "format": "kerasish", "kind": self.kind,
                    "sha256": self.sha256, "version": str(VERSION)}
        table = {RESERVED: metadata} | {row.name: _columns(row) for row in self.rows}
        text = _json(table)
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


def lay_out(sizes: Iterable[tuple[str, torch.dtype, tuple[int, ...]]]) -> tuple[Row, ...]:
    """Gives tensors their places, the widest elements first: so each is aligned; then by name."""
    rows, begin = [], 0
    for name, dtype, shape in sorted(sizes, key=lambda size: (-size[1].itemsize, size[0])):
        end = begin + dtype.itemsize * math.prod(shape)
        rows.append(Row(name, NAMES[dtype], shape, begin, end))
        begin = end
    return tuple(rows)


def parse(path: str, raw: bytes) -> Header:
    """The header that these bytes are, without the 8 before them.

    Raises: ModelFileError for all that `Header.to_bytes` would not have written.
    """
    if b'"format":"kerasish"' not in raw:
        raise ModelFileError(
            path, "its header", "expects the metadata of kerasish; got none",
            "If it is a plain safetensors file, write "
            f"module.load_state_dict(safetensors.torch.load_file({path!r})).")
    metadata, position = _metadata(path, raw)
    if len(raw) - position > TABLE_LIMIT:
        raise _wrong(path, "the table of tensors", f"at most {TABLE_LIMIT:,} bytes",
                     f"{len(raw) - position:,}")
    rows = _rows(path, raw, position)
    return Header(metadata["kind"], metadata["configuration"], rows, metadata["sha256"])


def _metadata(path: str, raw: bytes) -> tuple[Mapping[str, str], int]:
    expected = {"configuration", "format", "kind", "sha256", "version"}
    opening = b'{"%b":{' % RESERVED.encode()
    found: dict[str, str] = {}
    position, separator = len(opening), b"," if raw.startswith(opening) else b""
    while separator == b",":
        match = _PAIR.match(raw, position)
        if match and match.end() > METADATA_LIMIT:
            raise _wrong(path, "the metadata", f"at most {METADATA_LIMIT:,} bytes, with two for "
                         "each quote in the settings", f"{match.end():,}")
        name = _text(path, match[1]) if match else ""
        if match is None or name in found or name not in expected:
            break
        found[name] = _text(path, match[2])
        position, separator = match.end(), match[3]
    if separator != b"}" or found.keys() != expected:
        raise _wrong(path, "the metadata", f"the keys {', '.join(sorted(expected))} with texts",
                     _shown(raw, position))
    _check_version(path, found["version"])
    return found, position


def _check_version(path: str, version: str) -> None:
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise _wrong(path, "the version", "a whole number", repr(version[:40]))
    if int(version) > VERSION:
        raise ModelFileError(path, "the version", f"expects {VERSION} at most; got {version}",
                             "A newer kerasish wrote it: update kerasish.")


def _rows(path: str, raw: bytes, position: int) -> tuple[Row, ...]:
    if raw.count(b'"data_offsets":[', position) > TENSORS_LIMIT:
        raise _wrong(path, "the table", f"at most {TENSORS_LIMIT:,} tensors", "more")
    rows: dict[str, Row] = {}
    end = 0
    while match := _ROW.match(raw, position):
        row = _row(path, match, end)
        if row.name in rows or row.name == RESERVED:
            raise _wrong(path, f"tensor {row.name!r}", "one place", "a second one")
        rows[row.name], position, end = row, match.end(), row.end
    if raw[position:].rstrip(b" ") != b"}":
        raise _wrong(path, "the table of tensors",
                     f"rows of name, dtype, at most {RANK_LIMIT} sizes, and offsets",
                     _shown(raw, position))
    return tuple(rows.values())


def _row(path: str, match: re.Match[bytes], before: int) -> Row:
    """A row of the table whose data must begin where the ones before ended."""
    if len(match[1]) > NAME_LIMIT:
        raise _wrong(path, "the name of a tensor", f"at most {NAME_LIMIT:,} bytes",
                     _shown(match[1], 0))
    name, dtype = _text(path, match[1]), match[2].decode()
    entry = f"tensor {name!r}"
    if dtype not in DTYPES:
        raise _wrong(path, entry, f"one of the dtypes {', '.join(DTYPES)}", dtype)
    shape = tuple(map(int, match[3].split(b","))) if match[3] else ()
    begin, end = int(match[4]), int(match[5])
    width = DTYPES[dtype].itemsize
    if width * math.prod(filter(None, shape)) >= 2**63:  # with a size of 0 too: strides overflow
        raise _wrong(path, entry, "a shape of less than 2**63 bytes", f"{shape}")
    size = width * math.prod(shape)
    if begin != before or end - begin != size:
        raise _wrong(path, entry, f"the bytes {before} to {before + size} for {dtype} of shape "
                     f"{shape}", f"{begin} to {end}")
    return Row(name, dtype, shape, begin, end)


def _text(path: str, raw: bytes) -> str:
    """The text that a JSON string means, if UTF-8 can hold it."""
    try:
        text = str(json.loads(raw.decode())) if b"\\" in raw else raw[1:-1].decode()
        text.encode()
    except ValueError as error:
        raise _wrong(path, "the header", "texts in UTF-8", f"{_shown(raw, 0)} ({error})") from None
    return text


def _json(value: object) -> bytes:
    return _encode(value).encode()


def _columns(row: Row) -> dict[str, object]:
    return {"dtype": row.dtype, "shape": row.shape, "data_offsets": (row.begin, row.end)}


def _shown(raw: bytes, position: int) -> str:
    return f"{raw[position:position + 60]!r} at byte {position}"[1:]


def _wrong(path: str, entry: str, expected: str, got: str) -> ModelFileError:
    return ModelFileError(path, entry, f"expects {expected}; got {got}", SAVE_AGAIN)
