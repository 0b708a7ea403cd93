"""Shows a run in TensorBoard, without TensorFlow."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.hooks import Callback
from kerasish.types import Logs

_SUFFIX = ".kerasish"
"""The end of the names of event files: those of others are left alone."""


class TensorBoard(Callback):
    """Writes what fit logs as scalars, under Keras' tags and folders.

    `epoch_loss`, `epoch_<metric>` and `epoch_learning_rate` go to `<log_dir>/train`, the values of
    validation under the same tags to `<log_dir>/validation`; by batch, `batch_loss` and
    `batch_<metric>` (running means, as fit logs them) go to `train`. Steps go on across fits of
    the same model. See them with `tensorboard --logdir <log_dir>`.

    A run that was saved and is put back cuts off what it writes again, and goes on from there.

    Raises: ValueError for another update_freq.

    Args:
        log_dir: the folder of the run; it is made, and events are added to what is in it.
        update_freq: "epoch", or "batch" to write each batch as well, or n for each n-th batch.

    Example:
        >>> TensorBoard("runs/disc", update_freq=100).update_freq
        100
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True

    def __init__(
        self, log_dir: str | os.PathLike[str] = "logs", update_freq: str | int = "epoch"
    ) -> None:
        by_name = update_freq in ("epoch", "batch")
        by_count = isinstance(update_freq, int) and update_freq >= 1
        if not (by_name or by_count) or isinstance(update_freq, bool):
            raise ValueError(
                "TensorBoard(update_freq) expects 'epoch', 'batch' or a number of batches of at "
                f"least 1; got {update_freq!r}. 'epoch' costs nothing during an epoch."
            )
        self.log_dir, self.update_freq = Path(log_dir), update_freq
        self._writers: dict[str, Any] = {}

    def listens(self, hook: str) -> bool:
        return self.update_freq != "epoch" and super().listens(hook)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.log_dir.exists() and not self.log_dir.is_dir():
            raise NotADirectoryError(f"TensorBoard(log_dir) expects a folder, or a name for a new "
                                     f"one; got {str(self.log_dir)!r}, a file. Choose another.")
        self._every = self.update_freq if isinstance(self.update_freq, int) else 1

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        step = self.model.batches_trained
        if step % self._every == 0:
            for name, value in (logs or {}).items():
                self._write("train", f"batch_{name}", value, step)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        step = self.model.epochs_trained - 1
        for name, value in (logs or {}).items():
            run = "validation" if name.startswith("val_") else "train"
            self._write(run, f"epoch_{name.removeprefix('val_')}", value, step)
        rate = self.model.optimizer.learning_rate
        self._write("train", "epoch_learning_rate", rate, step)
        self._flush()

    def state_dict(self) -> dict[str, Any]:
        self._flush()
        lengths = {path.relative_to(self.log_dir).as_posix(): path.stat().st_size
                   for path in self._event_files()}
        return {"lengths": lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.close()
        for path in self._event_files():
            length = state["lengths"].get(path.relative_to(self.log_dir).as_posix())
            if length is None:
                path.unlink()  # it was begun after the state was saved
            elif length < path.stat().st_size:
                os.truncate(path, length)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def _event_files(self) -> list[Path]:
        runs = (self.log_dir / "train", self.log_dir / "validation")
        return sorted(path for run in runs for path in run.glob(f"*{_SUFFIX}"))

    def _write(self, run: str, tag: str, value: Any, step: int) -> None:
        try:
            value = float(value)
        except (TypeError, ValueError):
            return  # a callback's own note in the logs
        if run not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # on use: it takes a second

            self._writers[run] = SummaryWriter(
                str(self.log_dir / run), filename_suffix=_SUFFIX)
        self._writers[run].add_scalar(tag, value, step)
