"""Shows a run in TensorBoard, without TensorFlow."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.hooks import Callback
from kerasish.types import Logs

from .chosen import chosen
from .page import Page
from .runs import Runs
from .scalars import Scalars


class TensorBoard(Callback):
    """Writes what fit logs as scalars, under Keras' tags and folders.

    `epoch_loss`, `epoch_<metric>` and `epoch_learning_rate` go to `<log_dir>/train`, the values of
    validation under the same tags to `<log_dir>/validation`; by batch, `batch_loss` and
    `batch_<metric>` (running means, as fit logs them) go to `train`. Steps go on across fits of
    the same model. See them with `tensorboard --logdir <log_dir>`.

    The Text dashboard has the model's summary, how it is compiled and fitted, and the versions of
    what runs it. Pages that are asked for and have nothing to show, of validation where there is
    none for instance, say so once a fit and cost nothing.

    A run that was saved and is put back cuts off what it writes again, and goes on from there.

    Raises: ValueError or TypeError for settings that cannot be meant; in `on_train_begin`, for
        names of embeddings that do not fit the model, and FileNotFoundError for none.

    Args:
        log_dir: the folder of the run; it is made, and events are added to what is in it.
        update_freq: "epoch", or "batch" to write each batch as well, or n for each n-th batch.
        write_images: whether weights are shown as pictures after each epoch, `<path>/image`: the
            filters of a first Conv2d, and the rows of a Linear that sees the images, in a grid;
            other matrices of up to 2^18 numbers in grey.
        profile_batch: a batch to record with torch.profiler, or the first and the last of several,
            as (a, b) or "a,b", counted from 1 in each fit; 0 for none. The trace is in
            `<log_dir>/train/plugins/profile`, for https://ui.perfetto.dev or chrome://tracing.
        embeddings_freq: epochs between two states of the vectors of each Embedding, for the
            projector; the last state stays. 0 writes none.
        embeddings_metadata: a file with a name for each vector, a line each, or a dict of such
            files by the path of their layer; they are copied.
        hparams: name → value of what was chosen for the run, for the HPARAMS dashboard, which
            compares runs below one folder by it; True for the optimizer, the learning rate, the
            batch size and the loss. Final values and how the run ended are written with it.
        write_mistakes: how many of the worst mistakes of each validation are shown, as images with
            "truth -> answer" below, the worst one first; 0 for none.
        pr_curves: whether precision against recall is drawn after each validation, for each class.

    Example:
        >>> TensorBoard("runs/disc", update_freq=100).update_freq
        100
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        update_freq: str | int = "epoch",
        *,
        write_images: bool = False,
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        hparams: Any = None,
        write_mistakes: int = 0,
        pr_curves: bool = False,
    ) -> None:
        by_name = update_freq in ("epoch", "batch")
        by_count = isinstance(update_freq, int) and update_freq >= 1
        if not (by_name or by_count) or isinstance(update_freq, bool):
            raise ValueError(
                "TensorBoard(update_freq) expects 'epoch', 'batch' or a number of batches of at "
                f"least 1; got {update_freq!r}. 'epoch' costs nothing during an epoch."
            )
        self.log_dir, self.update_freq = Path(log_dir), update_freq
        self.runs = Runs(self.log_dir)
        self.pages: list[Page] = [Scalars(update_freq), *chosen(
            histogram_freq=0, write_images=write_images, write_mistakes=write_mistakes,
            pr_curves=pr_curves, profile_batch=profile_batch, embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata, hparams=hparams)]
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

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for page in self.pages:
            if page.listens("on_train_batch_begin"):
                page.on_train_batch_begin(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        for page in self.pages:
            page.on_test_begin(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        for page in self.pages:
            page.on_test_end(logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for page in self.pages:
            if page.listens("on_test_batch_end"):
                page.on_test_batch_end(batch, logs)

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
