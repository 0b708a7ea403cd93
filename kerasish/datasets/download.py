"""Files from the network: whole, checked, or not there at all."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kerasish.progress import counted
from kerasish.saving import write_whole

_SECONDS = 30.0
"""How long a server may be silent."""
_PIECE = 2**16
_LIMIT = 2**26
"""Bytes that are taken of an answer, at most."""
Content = TypeVar("Content")


def download(
    name: str, mirrors: Sequence[str], folder: Path, check: Callable[[bytes], Content]
) -> Content:
    """What the check makes of a file from the first mirror whose file it accepts.

    The file is written to the folder, whole or not at all, once it is accepted.

    Raises: OSError with what each mirror answered, and where to put the file by hand.

    Args:
        name: of the file, on the mirrors and in the folder.
        mirrors: addresses of folders, ending in "/".
        folder: where it is kept; made if it is missing.
        check: turns the bytes into what is wanted; refuses them with a ValueError.
    """
    wrong = []
    for mirror in mirrors:
        try:
            data = _fetched(mirror + name, name)
            content = check(data)
        except (OSError, ValueError) as error:  # those of urllib are OSErrors
            wrong.append(f"{mirror}: {error}")
        else:
            write_whole(folder / name, [data])
            return content
    answers = "; ".join(wrong)
    raise OSError(f"download({name}) expects a mirror that has the file; got {answers}. Get it "
                  f"from elsewhere, and put it into {folder}.")


def _fetched(address: str, title: str) -> bytes:
    """The answer of a server, with a bar while it takes long."""
    from http.client import HTTPException  # on use, with what it brings
    from urllib.request import urlopen

    try:
        with urlopen(address, timeout=_SECONDS) as answer:
            length = answer.length
            pieces = None if length is None else -(-length // _PIECE)
            data = b"".join(counted(_pieces(answer), f"Downloading {title}", pieces))
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if length is not None and len(data) < length:
        raise ValueError(f"{len(data):,} bytes of {length:,}")
    return data


def _pieces(answer: Any) -> Iterator[bytes]:
    taken = 0
    while piece := answer.read(_PIECE):
        taken += len(piece)
        if taken > _LIMIT:
            raise ValueError(f"more than {_LIMIT:,} bytes")
        yield piece
