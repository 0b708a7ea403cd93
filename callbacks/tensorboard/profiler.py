"""What a few batches spend their time on, for the viewers of traces."""

import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from kerasish.checks import check_count
from kerasish.progress import notice
from kerasish.types import Logs
from kerasish.watching import Place, Watch

from .files import wrote
from .page import Page

_WHO = "TensorBoard(profile_batch)"
_PIECE = 2**20  # bytes


class Profiler(Page):
    """Records chosen batches with torch.profiler, each module's forward and backward by name.

    The trace is `<log_dir>/train/plugins/profile/batches_<a>-<b>/<host>.pt.trace.json`: open it at
    https://ui.perfetto.dev or chrome://tracing, or with TensorBoard's plugin for torch. Its names
    count the batches of all fits of the model. While it records, every module is called by itself,
    so nothing is fused, and training is slower; the numbers are the same to the bit. Batches that
    an error or Ctrl-C ends early are in the trace as far as they went.

    Args:
        first, last: the batches of a fit, counted from 1 across its epochs. With
            steps_per_execution those that callbacks are told of together are recorded together.
    """

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self._is_over, self._before = True, 0
        self._trace: Trace | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._is_over = self.is_told_again
        self._before = int(self.batches)

    def listens(self, hook: str) -> bool:
        return not self._is_over and super().listens(hook)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        done = self.batches - self._before
        next_ones = done + 1, done + int(self.model.steps_per_execution)
        is_due = self.first <= next_ones[1] and next_ones[0] <= self.last
        if is_due and not self._is_over and self._trace is None:
            self._from, self._trace = self.batches + 1, Trace(self.model)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._trace is not None and self.batches - self._before >= self.last:
            self._write()

    def on_train_end(self, logs: Logs | None = None) -> None:
        done = self.batches - self._before
        if not self._is_over and self._trace is None and done < self.first:
            notice(f"{_WHO} has nothing to record: batch {self.first:,} was asked for, and this "
                   f"fit had {done:,}. Choose an earlier one.")

    def close(self) -> None:
        if self._trace is not None:
            self._write()

    def _write(self) -> None:
        trace, self._trace, self._is_over = self._trace, None, True
        assert trace is not None
        trace.stop()
        name = f"batches_{self._from}-{self.batches}/{platform.node()}.pt.trace.json"
        wrote("profile_batch", self.runs.folder / "train/plugins/profile" / name, trace.chunks())


class Trace:
    """A recording of what a model does, from now on until `stop`.

    Args:
        model: the one to record; each call of its modules gets a name.
    """

    def __init__(self, model: Any) -> None:
        from torch.profiler import ProfilerActivity, profile

        kinds = [ProfilerActivity.CPU]
        if model.device.type == "cuda":
            kinds.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=kinds)
        self._names = _Names(model.module)
        self._profile.start()
        self._names.start()

    def stop(self) -> None:
        """Ends the recording; all is called as before."""
        self._names.stop()
        self._profile.stop()

    def chunks(self) -> Iterator[bytes]:
        """The recording in the form of Chrome's viewer, piece by piece."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "trace.json")
            self._profile.export_chrome_trace(str(path))
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece


class _Names(Watch):
    """Names each call of a module in the trace."""

    def forward(self, place: Place, x: Any, call: Callable[[Any], Any]) -> Any:
        with torch.profiler.record_function(_name(place, "forward")):
            return call(x)

    def backward(self, place: Place, dy: Any, call: Callable[[Any], Any]) -> Any:
        with torch.profiler.record_function(_name(place, "backward")):
            return call(dy)


def _name(place: Place, what: str) -> str:
    """As in `2 ReLU: backward`."""
    return f"{place.path} {type(place.module).__name__}: {what}".strip()


def check_batches(profile_batch: Any) -> tuple[int, int] | None:
    """The first and the last batch of `profile_batch`, counted from 1; None where there are none.

    Raises: ValueError naming what may be written.

    Example:
        >>> check_batches(3), check_batches((3, 5)), check_batches("3, 5"), check_batches(0)
        ((3, 3), (3, 5), (3, 5), None)
    """
    if not isinstance(profile_batch, str | list | tuple):
        number = check_count(_WHO, profile_batch, 0, "Or write (10, 12), the first and the last; "
                                                     "0 records none.")
        return (number, number) if number else None
    parts = profile_batch.split(",") if isinstance(profile_batch, str) else profile_batch
    try:
        first, last = (check_count(_WHO, int(each) if isinstance(each, str) else each, 1)
                       for each in parts)
        if first <= last:
            return first, last
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{_WHO} expects the first and the last batch, counted from 1; got "
                     f"{profile_batch!r}. Write (10, 12), for instance.")
