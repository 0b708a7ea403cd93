"""Shows a run in TensorBoard, without TensorFlow."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.checks import check_count, check_flag
from kerasish.hooks import Callback, CallbackList
from kerasish.registry import nearest
from kerasish.saving.errors import check_path
from kerasish.types import Logs

from .histograms import Histograms
from .page import Page
from .runs import Runs
from .scalars import Scalars


class TensorBoard(Callback):
    """Writes what fit logs as scalars, under Keras' tags and folders, and what a net is made of.

    `epoch_loss`, `epoch_<metric>` and `epoch_learning_rate` go to `<log_dir>/train`, the values of
    validation under the same tags to `<log_dir>/validation`; there each evaluation is written as
    `evaluation_<name>_vs_iterations`, too, that of `evaluate` as well. By batch, `batch_loss` and
    `batch_<metric>` (running means, as fit logs them) go to `train`. Steps go on across fits of
    the same model. See them with `tensorboard --logdir <log_dir>`.

    With `histogram_freq` the histograms of all parameters at the end of an epoch are written,
    `0.weight/histogram`, and of one step of it those of gradients, `0.weight/gradient/histogram`,
    and of the modules' outputs, `1/activation/histogram`; and of each module with parameters
    `0/gradient_norm`, `0/update_ratio`, how far the step moved them, ‖Δw‖ / ‖w‖, and
    `0/learning_rate`. Gradients are those of the loss, as the update finds them: before penalties
    and clipping. Values that are not finite are left out of histograms and counted, in
    `0.weight/not_finite` for instance.

    Each run has one event file, which later fits go on with. An epoch is in it as soon as it has
    ended, batches after some seconds. A file that cannot be written is said once and does not stop
    training. A run that was saved and is put back cuts off what it writes again, and goes on from
    there.

    Raises: ValueError for settings out of range; NotADirectoryError in `on_train_begin` for a
        log_dir that is a file.

    Args:
        log_dir: the folder of the run; it is made, and events are added to what is in it.
        histogram_freq: epochs from one set of histograms to the next; 0 for none.
        update_freq: "epoch", or "batch" to write each batch as well, or n for each n-th batch.
        write_steps_per_second: whether `epoch_steps_per_second`, validation included, is written;
            and with an update_freq by batch `batch_steps_per_second`, since the last one.

    Example:
        >>> TensorBoard("runs/disc", update_freq=100).update_freq
        100
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        update_freq: str | int = "epoch",
        write_steps_per_second: bool = False,
    ) -> None:
        self.log_dir = Path(check_path("TensorBoard(log_dir)", log_dir, "logs"))
        self.histogram_freq = check_count("TensorBoard(histogram_freq)", histogram_freq, 0,
                                          "1 is after each epoch, 0 never.")
        self.update_freq = _checked_frequency(update_freq)
        self.write_steps_per_second = check_flag("TensorBoard(write_steps_per_second)",
                                                 write_steps_per_second)
        self.runs = Runs(self.log_dir)
        self.pages: list[Page] = [Scalars(self.update_freq, self.write_steps_per_second)]
        if self.histogram_freq:
            self.pages.append(Histograms(self.histogram_freq))
        for page in self.pages:
            page.runs = self.runs
        self._hooks = CallbackList(self.pages)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._hooks = CallbackList(self.pages, self.model, params)

    def listens(self, hook: str) -> bool:
        return super().listens(hook) and any(page.listens(hook) for page in self.pages)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.log_dir.exists() and not self.log_dir.is_dir():
            raise NotADirectoryError(f"TensorBoard(log_dir) expects a folder, or a name for a new "
                                     f"one; got {str(self.log_dir)!r}, a file. Choose another.")
        self._hooks.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._hooks.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._hooks.on_epoch_begin(epoch, logs)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._hooks.on_epoch_resume(epoch, batch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._hooks.on_epoch_end(epoch, logs)
        self.runs.flush()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._hooks.on_train_batch_begin(batch, logs)

    def on_backward_end(self, batch: int) -> None:
        self._hooks.on_backward_end(batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._hooks.on_train_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._hooks.on_test_begin(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._hooks.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._hooks.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._hooks.on_test_batch_end(batch, logs)

    def state_dict(self) -> dict[str, Any]:
        pages = {type(page).__name__: page.state_dict() for page in self.pages}
        return {"lengths": self.runs.lengths(), "pages": pages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.runs.cut_back(state["lengths"])
        for page in self.pages:
            page.load_state_dict(state["pages"].get(type(page).__name__, {}))

    def close(self) -> None:
        try:
            self._hooks.close()
        finally:
            self.runs.close()


_NAMES = ("epoch", "batch")


def _checked_frequency(update_freq: str | int) -> str | int:
    by_name = update_freq in _NAMES
    by_count = isinstance(update_freq, int) and update_freq >= 1
    if not (by_name or by_count) or isinstance(update_freq, bool):
        is_name = isinstance(update_freq, str)
        fix = nearest(str(update_freq), _NAMES) if is_name else "'epoch' is the cheapest."
        raise ValueError("TensorBoard(update_freq) expects 'epoch', 'batch' or a number of batches "
                         f"of at least 1; got {update_freq!r}. {fix}")
    return update_freq
