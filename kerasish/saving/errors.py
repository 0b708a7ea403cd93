"""What goes wrong with files, said so that one knows which file, where in it, and what to do."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FilePath = str | os.PathLike[str]
"""A path as it is written: `"runs/net.safetensors"`, or a `pathlib.Path`."""


class ModelFileError(ValueError):
    """A file that is not what it should be: damaged, of another kind, or not of kerasish at all.

    Args:
        path: the file.
        entry: the part of it that is wrong, "tensor 'weight'" for instance.
        reason: what is expected of that part, and what was got.
        fix: what to do.

    Example:
        >>> print(ModelFileError("net.safetensors", "the header", "ends early", "Save it again."))
        'net.safetensors' cannot be loaded: the header ends early. Save it again.
    """

    def __init__(self, path: FilePath, entry: str, reason: str, fix: str) -> None:
        super().__init__(os.fspath(path), entry, reason, fix)
        self.path, self.entry, self.reason, self.fix = os.fspath(path), entry, reason, fix

    def __str__(self) -> str:
        end = "" if self.reason.endswith("\n") else ". "  # a table ends with its line
        return f"{self.path!r} cannot be loaded: {self.entry} {self.reason}{end}{self.fix}"


def check_path(who: str, path: Any, example: str = "net.safetensors") -> str:
    """Hands a path back as text if it can be one.

    Raises: TypeError for what is no path; ValueError for one with a zero character.

    Args:
        who: the argument that it is, for errors.
        path: what it was given.
        example: a name that would do there.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(name := os.fspath(path), str):
        raise TypeError(f"{who} expects a path; got {path!r}. Write {example!r}, or a Path.")
    if "\0" in name:
        raise ValueError(f"{who} expects a path without '\\0'; got {name!r}. Take it out.")
    return name


def special(mode: int) -> str | None:
    """What a path leads to if that is no regular file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")


@contextmanager
def naming(path: str, then: str) -> Iterator[None]:
    """Tells an OSError from inside which file it is about, and what that means for the user.

    A failed write or sync knows the number of the error, but no path.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}; {then}", path) from error
