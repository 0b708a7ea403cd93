"""The event files below a folder, one for each run: what is added, cut back, and closed."""

import os
import time
from pathlib import Path
from typing import Any

RUNS = ("train", "validation", "graph_backward")
"""The names of the runs that there may be."""
_SUFFIX = ".kerasish"
"""The end of the names of event files: those of others are left alone."""


class Runs:
    """The runs below a folder, each with an event file that is made when it is first added to.

    Args:
        folder: of the runs; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def add(self, run: str, summary: Any, step: int) -> None:
        """Adds a Summary, of tensorboard's protocol, to a run."""
        self._add_event(run, summary=summary, step=step)

    def add_scalar(self, run: str, tag: str, value: float, step: int) -> None:
        """Adds a number to a run."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self.add(run, Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step)

    def add_graph(self, run: str, graph: bytes) -> None:
        """Adds the bytes of a GraphDef to a run; of several, TensorBoard shows the last one."""
        self._add_event(run, graph_def=graph)

    def _add_event(self, run: str, **what: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # on use: it takes a while
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if run not in self._writers:
            self._writers[run] = EventFileWriter(str(self.folder / run), filename_suffix=_SUFFIX)
        self._writers[run].add_event(Event(wall_time=time.time(), **what))

    def flush(self) -> None:
        """Writes all that was added to disk."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Writes all that was added to disk, and frees the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def lengths(self) -> dict[str, int]:
        """How long each file is once all is written."""
        self.flush()
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size
                for path in self._files()}

    def cut_back(self, lengths: dict[str, int]) -> None:
        """Takes back all that was written after the lengths were asked for."""
        self.close()
        for path in self._files():
            length = lengths.get(path.relative_to(self.folder).as_posix())
            if length is None:
                path.unlink()  # it was begun after the state was saved
            elif length < path.stat().st_size:
                os.truncate(path, length)

    def _files(self) -> list[Path]:
        return sorted(path for run in RUNS for path in (self.folder / run).glob(f"*{_SUFFIX}"))
