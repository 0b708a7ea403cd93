"""One event file: records that are added at its end, each with its length and its checksums."""

import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from .crc import masked_crc32c
from .wire import first_event, graph_of

SUFFIX = ".kerasish"
"""The end of the names of event files: those of others are left alone."""


class EventFile:
    """The event file of a folder: the latest that is there, or a new one.

    A file that ends within a record, as a crash may leave it, is cut back to the last whole one
    first. What is added is written by `flush`, at the very end of the file, and by one that fails
    not at all: records are in the file whole or not.

    Raises: OSError from all that is done to the file.

    Args:
        folder: of the run; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = max(folder.glob(f"*{SUFFIX}"), default=folder / _new_name())
        self._pending: list[bytes] = []
        self._unsynced = False
        self._file = self.path.open("a+b", buffering=0)
        try:
            self._begin()
        except OSError:
            self._file.close()
            raise

    def _begin(self) -> None:
        whole = _whole_length(self._file.fileno())
        if whole < os.fstat(self._file.fileno()).st_size:
            self._file.truncate(whole)
        if not whole:
            self.add(first_event(time.time()))

    def add(self, event: bytes) -> None:
        """Takes an event, to be written later."""
        self._pending.append(event)

    def flush(self) -> None:
        """Writes what was added to the file.

        Raises: FileNotFoundError if somebody has deleted the file, which would go unnoticed else.
        """
        status = os.fstat(self._file.fileno())
        if not status.st_nlink:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        if not self._pending:
            return
        data, self._pending = memoryview(_records(self._pending)), []
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(status.st_size)
            raise
        self._unsynced = True

    def sync(self) -> None:
        """Sees to it that what is in the file outlives a crash of the machine, too."""
        if self._unsynced:
            os.fsync(self._file.fileno())
            self._unsynced = False

    def close(self) -> None:
        """Frees the file; what was not flushed is gone."""
        self._file.close()


def _new_name() -> str:
    return (f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
            f"{SUFFIX}")


def _records(events: Sequence[bytes]) -> bytes:
    """Events as they are in the file: each with its length before it and its checksum after it."""
    return b"".join([
        part for event, checksum in zip(events, masked_crc32c(events), strict=True)
        for part in (_framed(len(event)), event, struct.pack("<I", checksum))])


@lru_cache(maxsize=1024)
def _framed(length: int) -> bytes:
    """What stands before a record: its length, and the checksum of that."""
    head = struct.pack("<Q", length)
    return head + struct.pack("<I", *masked_crc32c([head]))


def last_graph(path: Path) -> bytes:
    """The GraphDef of the last event of a file that has one; nothing if none has.

    Raises: OSError for a file that cannot be read.
    """
    found = b""
    with path.open("rb") as file, _mapped(file.fileno()) as data:
        for start, end in _places(data):
            found = graph_of(data[start + 12 : end - 4]) or found
    return found


@contextmanager
def _mapped(file: int) -> Iterator[mmap.mmap | bytes]:
    """The content of a file, without reading it."""
    size = os.fstat(file).st_size
    if not size:
        yield b""
        return
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as data:
        yield data


def _places(data: mmap.mmap | bytes) -> Iterator[tuple[int, int]]:
    """Where records start and end that are whole by their lengths."""
    end = 0
    while end + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, end)
        if end + length + 16 > len(data) or data[end : end + 12] != _framed(length):
            break
        start, end = end, end + length + 16
        yield start, end


def _whole_length(file: int) -> int:
    """How far a file holds whole records: lengths are looked at, and the last record itself."""
    with _mapped(file) as data:
        start = end = 0
        for start, end in _places(data):  # noqa: B007 (read afterwards)
            pass
        record, checksum = data[start + 12 : end - 4], data[end - 4 : end]
        is_whole = end and checksum == struct.pack("<I", *masked_crc32c([record]))
        return end if is_whole else start
