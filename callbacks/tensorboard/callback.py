"""Shows a run in TensorBoard, without TensorFlow."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.checks import check_flag
from kerasish.hooks import Callback
from kerasish.types import Logs

from .graph import GraphPage
from .page import Page
from .runs import Runs
from .scalars import Scalars


class TensorBoard(Callback):
    """Writes what fit logs as scalars, under Keras' tags and folders.

    `epoch_loss`, `epoch_<metric>` and `epoch_learning_rate` go to `<log_dir>/train`, the values of
    validation under the same tags to `<log_dir>/validation`; by batch, `batch_loss` and
    `batch_<metric>` (running means, as fit logs them) go to `train`. Steps go on across fits of
    the same model. See them with `tensorboard --logdir <log_dir>`.

    A run that was saved and is put back cuts off what it writes again, and goes on from there.

    Raises: ValueError for another update_freq, or a write_graph that is neither True nor False.

    Args:
        log_dir: the folder of the run; it is made, and events are added to what is in it.
        write_graph: whether the graph page shows the net: its modules with shapes and formulas,
            forward in the run `train` and backward in a run `graph_backward`.
        update_freq: "epoch", or "batch" to write each batch as well, or n for each n-th batch.

    Example:
        >>> TensorBoard("runs/disc", update_freq=100).update_freq
        100
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        write_graph: bool = True,
        update_freq: str | int = "epoch",
    ) -> None:
        by_name = update_freq in ("epoch", "batch")
        by_count = isinstance(update_freq, int) and update_freq >= 1
        if not (by_name or by_count) or isinstance(update_freq, bool):
            raise ValueError(
                "TensorBoard(update_freq) expects 'epoch', 'batch' or a number of batches of at "
                f"least 1; got {update_freq!r}. 'epoch' costs nothing during an epoch."
            )
        self.log_dir, self.update_freq = Path(log_dir), update_freq
        self.write_graph = check_flag("TensorBoard(write_graph)", write_graph)
        self.runs = Runs(self.log_dir)
        self.pages: list[Page] = [Scalars(update_freq)]
        if write_graph:
            self.pages.append(GraphPage())
        for page in self.pages:
            page.runs = self.runs

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for page in self.pages:
            page.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for page in self.pages:
            page.set_params(params)

    def listens(self, hook: str) -> bool:
        return super().listens(hook) and any(page.listens(hook) for page in self.pages)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.log_dir.exists() and not self.log_dir.is_dir():
            raise NotADirectoryError(f"TensorBoard(log_dir) expects a folder, or a name for a new "
                                     f"one; got {str(self.log_dir)!r}, a file. Choose another.")
        for page in self.pages:
            page.on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for page in self.pages:
            page.on_epoch_begin(epoch, logs)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        for page in self.pages:
            page.on_epoch_resume(epoch, batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for page in self.pages:
            if page.listens("on_train_batch_end"):
                page.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for page in self.pages:
            page.on_epoch_end(epoch, logs)
        self.runs.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        for page in self.pages:
            page.on_train_end(logs)

    def state_dict(self) -> dict[str, Any]:
        pages = [page.state_dict() for page in self.pages]
        return {"lengths": self.runs.lengths(), "pages": pages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.runs.cut_back(state["lengths"])
        for page, kept in zip(self.pages, state["pages"], strict=True):
            page.load_state_dict(kept)

    def close(self) -> None:
        for page in self.pages:
            page.close()
        self.runs.close()
