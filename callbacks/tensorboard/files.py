"""Files beside the event files: written whole or not at all, and never the end of training."""

from collections.abc import Iterable
from pathlib import Path

from kerasish.progress import notice
from kerasish.saving import write_whole


def wrote(who: str, path: Path, chunks: Iterable[bytes]) -> bool:
    """Writes a file whole; says so if that cannot be done, on a full disk for instance.

    Args:
        who: the argument of TensorBoard that asks for the file.
        path: the file; its folders are made.
        chunks: its content, piece by piece.

    Returns: whether it is written.
    """
    try:
        write_whole(path, chunks)
    except OSError as error:
        notice(f"TensorBoard({who}) could not write: {error}. Training goes on, without more of "
               "these files.")
        return False
    return True
