"""The event files below a folder, one for each run: what is added, cut back, and closed."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kerasish.progress import notice

from . import wire
from .events import SUFFIX, EventFile, last_graph

RUNS = ("train", "validation", "graph_backward", "hparams")
"""The names of the runs that there may be."""
_SECONDS = 5.0
"""How long what was added within an epoch may wait to be written."""
_SECONDS_OF_EPOCHS = 0.1
"""The same at the end of an epoch: short ones are written together."""


class Runs:
    """The runs below a folder, each with one event file: made, or gone on with, on the first use.

    A file that cannot be written never stops training: it is said once, and what a run would have
    held from then until `close` is missing.

    Args:
        folder: of the runs; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, EventFile] = {}
        self._lost: set[str] = set()
        self._flushed = 0.0

    def add(self, run: str, summary: Any, step: int, wall_time: float | None = None) -> None:
        """Adds a Summary, of tensorboard's protocol, or its bytes, to a run.

        It is said to be of now, or of another time in seconds since 1970.
        """
        data = summary if isinstance(summary, bytes) else summary.SerializeToString()
        self._add_event(run, wire.event(wall_time or time.time(), step, data))

    def add_graph(self, run: str, graph: bytes) -> None:
        """Adds the bytes of a GraphDef to a run; of several, TensorBoard shows the last one."""
        self._add_event(run, wire.graph_event(time.time(), graph))

    def _add_event(self, run: str, event: bytes) -> None:
        if run in self._lost:
            return
        if run not in self._files:
            self._open(run)
        if run in self._files:
            self._files[run].add(event)
        if time.time() - self._flushed > _SECONDS:
            self.flush()

    def _open(self, run: str) -> None:
        with self._surviving(run):
            self._files[run] = EventFile(self.folder / run)
            self._flushed = self._flushed or time.time()

    def add_scalars(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Adds numbers by their tags to a run, in one event."""
        if values:
            self.add(run, b"".join(map(wire.scalar, values, values.values())), step)

    def add_scalar(self, run: str, tag: str, value: float, step: int) -> None:
        """Adds a number to a run."""
        self.add_scalars(run, {tag: value}, step)

    def holds(self, run: str) -> bool:
        """Whether there is an event file of a run, which somebody may have removed."""
        return any((self.folder / run).glob(f"*{SUFFIX}"))

    def graph(self, run: str) -> bytes:
        """The bytes of the GraphDef that TensorBoard shows of a run; none if there is none."""
        found = b""
        for path in self._paths():
            if path.parent.name == run:
                with self._surviving(run):
                    found = last_graph(path) or found
        return found

    def flush(self) -> None:
        """Writes all that was added to disk: a process that is killed then loses none of it."""
        self._flushed = time.time()
        self._in_each(EventFile.flush)

    def end_epoch(self) -> None:
        """Writes all that was added to disk, unless it was written a moment ago."""
        if time.time() - self._flushed > _SECONDS_OF_EPOCHS:
            self.flush()

    def close(self) -> None:
        """Writes all that was added to disk, and frees the files."""
        self._close_files()
        self._lost = set()

    def lengths(self) -> dict[str, int]:
        """How long each file is once all is written."""
        self.flush()
        self._in_each(EventFile.sync)
        found = {}
        for path in self._paths():
            with self._surviving(path.parent.name):
                found[self._name(path)] = path.stat().st_size
        return found

    def cut_back(self, lengths: dict[str, int]) -> None:
        """Takes back all that was written after the lengths were asked for."""
        self._close_files()
        for path in self._paths():
            length = lengths.get(self._name(path))
            with self._surviving(path.parent.name):
                if length is None:
                    path.unlink()  # it was begun after the state was saved
                elif length < path.stat().st_size:
                    os.truncate(path, length)

    def _paths(self) -> list[Path]:
        return sorted(path for run in RUNS for path in (self.folder / run).glob(f"*{SUFFIX}"))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _close_files(self) -> None:
        self.flush()
        self._in_each(EventFile.close)
        self._files, self._flushed = {}, 0.0

    def _in_each(self, act: Callable[[EventFile], None]) -> None:
        for run, file in list(self._files.items()):
            with self._surviving(run):
                act(file)

    @contextmanager
    def _surviving(self, run: str) -> Iterator[None]:
        """Gives a run up, until the files are closed, when something in the block goes wrong."""
        try:
            yield
        except OSError as error:
            file = self._files.pop(run, None)
            if file is not None:
                with suppress(OSError):
                    file.close()
            if not self._lost:
                path = error.filename or (file.path if file else self.folder / run)
                notice(f"TensorBoard cannot write {str(path)!r} ({error.strerror}): training "
                       "goes on, but what this fit would still add there is missing.")
            self._lost.add(run)
