"""Files that are there whole or not at all, whatever happens while they are written."""

import errno
import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from kerasish.saving.errors import FilePath, check_path, naming, special

Bytes = bytes | bytearray | memoryview

NAME_LIMIT = 180  # of 255 bytes
LEFT_AFTER = 24 * 3600.0  # seconds

_being_written: set[str] = set()  # the temporary files of this process that are in use


def write_whole(
    path: FilePath, chunks: Iterable[Bytes], previous: FilePath | None = None
) -> None:
    """Writes a file so that its path always holds all of the old content or all of the new.

    The chunks go into a temporary file beside it, which takes its place when it is safely on the
    disk. Missing folders are made. Permissions stay as they were; a link stays, and the file that
    it points at is written. Temporary files that killed processes left behind are removed.

    Raises: OSError with its number and the path when the system cannot do it, and for a folder, a
        pipe, a socket or a device; TypeError for chunks that are not bytes.

    Args:
        path: the file.
        chunks: its content, piece by piece; a generator keeps little of it in memory.
        previous: where the old file goes, in the same folder, once the new one is safely on the
            disk; None leaves it nowhere. For a moment then it is there alone.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "new", "note.txt")
        ...     write_whole(path, [b"one ", b"line"])
        ...     path.read_text()
        'one line'
    """
    name = check_path("write_whole(path)", path)
    with naming(name, "what was there before is unchanged. Make room, or choose another place"):
        target, mode = _find(name)
        folder, base = os.path.split(target)
        _make(folder)
        _remove_stale(folder, base)
        _write_beside(target, mode, chunks, previous)
    with naming(name, "it is written, but may not outlast a power cut. Write it again"):
        _settle(folder)


def _find(name: str) -> tuple[str, int]:
    """The file behind all links, and its permissions; 0 for a new one."""
    target = os.path.realpath(name)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    wrong = special(mode) if os.path.basename(name) else "a folder"
    if wrong:
        number = errno.EISDIR if wrong == "a folder" else errno.EINVAL
        raise OSError(number, f"write_whole(path) expects the path of a file; got {wrong}")
    return target, stat.S_IMODE(mode) & 0o777


def _make(folder: str) -> None:
    """Makes a folder and those above it, each safely on the disk."""
    if not os.path.isdir(folder):
        _make(os.path.dirname(folder))
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(folder)
        _settle(os.path.dirname(folder))


def _write_beside(
    target: str, mode: int, chunks: Iterable[Bytes], previous: FilePath | None
) -> None:
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{_short(base)}.tmp-{_place()}-{os.getpid()}-"
                                     f"{secrets.token_hex(8)}")
    _being_written.add(temporary)
    try:
        _write(temporary, mode, chunks)
        if previous is not None and os.path.exists(target):
            os.replace(target, previous)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _being_written.discard(temporary)


def _short(base: str) -> str:
    """The name, or what stands for one that leaves no room for more: most systems take 255."""
    name = os.fsencode(base)
    return base if len(name) <= NAME_LIMIT else hashlib.sha256(name).hexdigest()


@cache
def _place() -> str:
    """What tells machines and containers apart: numbers of processes mean something in one only."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:12]


def _write(temporary: str, mode: int, chunks: Iterable[Bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.open(temporary, flags, 0o666)  # the system takes the umask off
    try:
        if mode:
            os.chmod(temporary, mode)
        for chunk in chunks:
            rest = _as_bytes(chunk)
            while rest:  # the system may take less than it is given
                rest = rest[os.write(file, rest):]
        os.fsync(file)
    finally:
        os.close(file)


def _as_bytes(chunk: Bytes) -> memoryview:
    try:
        return memoryview(chunk).cast("B")
    except TypeError:
        raise TypeError(
            f"write_whole(chunks) expects pieces of bytes; got {chunk!r}. Write [data] for one "
            "piece, and text.encode() for text."
        ) from None


def _remove_stale(folder: str, base: str) -> None:
    """Removes the temporary files of this target that nobody writes any more.

    Whether a process of another machine, in a shared folder, still writes one cannot be asked: that
    goes by its age.
    """
    left_behind = re.compile(
        rf"\.{re.escape(_short(base))}\.tmp-([0-9a-f]{{12}})-([0-9]+)-[0-9a-f]+")
    with suppress(OSError):  # a folder that cannot be tidied up may still be written to
        for name in os.listdir(folder):
            match = left_behind.fullmatch(name)
            path = os.path.join(folder, name)
            if match and path not in _being_written:
                with suppress(OSError):
                    if _is_left(path, match[1], int(match[2])):
                        os.unlink(path)


def _is_left(path: str, place: str, process: int) -> bool:
    if place == _place():
        return not _is_other_process(process)
    return time.time() - os.lstat(path).st_mtime > LEFT_AFTER


def _is_other_process(number: int) -> bool:
    """Whether another process with that number lives.

    This one knows its own files: in a container a restarted program often gets its old number.
    """
    if number == os.getpid():
        return False
    if os.name == "nt":
        return True  # to ask there would be to kill
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _settle(folder: str) -> None:
    """Has the disk keep which names a folder holds."""
    if os.name == "nt":
        return  # folders cannot be opened there
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such call for folders
            raise
    finally:
        os.close(file)
