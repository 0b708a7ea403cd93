"""Shows a run in TensorBoard, without TensorFlow."""

import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.hooks import Callback, CallbackList
from kerasish.saving.errors import check_path
from kerasish.types import Logs

from .chosen import chosen
from .runs import Runs


class TensorBoard(Callback):
    """Writes what fit logs as scalars, under Keras' tags and folders, and what a net is made of.

    `epoch_loss`, `epoch_<metric>` and `epoch_learning_rate` go to `<log_dir>/train`, the values of
    validation under the same tags to `<log_dir>/validation`; there each evaluation is written as
    `evaluation_<name>_vs_iterations`, too, that of `evaluate` as well. By batch, `batch_loss` and
    `batch_<metric>` (running means, as fit logs them) go to `train`. Steps go on across fits of
    the same model. See them with `tensorboard --logdir <log_dir>`.

    With `histogram_freq` the histograms of all parameters and buffers at the end of an epoch are
    written, `0.weight/histogram` and `1.running_mean/histogram` say, and of one step of it those of
    gradients, `0.weight/gradient/histogram`, and of the modules' outputs, `1/activation/histogram`;
    and of each module with parameters `0/gradient_norm`, `0/update_ratio`, how far the step moved
    them, ‖Δw‖ / ‖w‖, and `0/learning_rate`. Gradients are those of the loss, as the update finds
    them: before penalties and clipping. Values that are not finite are left out of histograms and
    counted, in `0.weight/not_finite` for instance; of an output or a buffer of more than 2^14
    numbers about so many count.

    The graph page shows the net, forward in `train` and backward in `graph_backward`; the text page
    its summary, how it is compiled and fitted, and the versions of what runs it. What is asked for
    and has nothing to show, of validation where there is none for instance, is said once a fit and
    costs nothing.

    Each run has one event file, which later fits go on with. An epoch is in it as soon as it has
    ended, short ones a tenth of a second later and their histograms a second, and batches after
    some seconds. A file that cannot be written is said once and does not stop training. A run that
    was saved and is put back cuts off what it writes again, and goes on from there.

    Raises: ValueError or TypeError for settings that cannot be meant; in `on_train_begin`,
        NotADirectoryError for a log_dir that is a file, ValueError for names of embeddings that the
        model has not, and FileNotFoundError for a file of names that is none.

    Args:
        log_dir: the folder of the run; it is made, and events are added to what is in it.
        histogram_freq: epochs from one set of histograms to the next; 0 for none. Each set costs
            about a sixth of an epoch of 32 small steps; less the longer the epoch.
        write_graph: whether the graph page shows the net: its modules with shapes and formulas.
        write_images: whether weights are shown as pictures, `<path>/image`, as often as histograms,
            or after each epoch without these: the filters of a first Conv2d, and the rows of a
            Linear that sees the images, in a grid; other matrices of up to 2^18 numbers in grey.
        update_freq: "epoch", or "batch" to write each batch as well, or n for each n-th batch.
        write_steps_per_second: whether `epoch_steps_per_second`, validation included, is written;
            and with an update_freq by batch `batch_steps_per_second`, since the last one.
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
    _begins = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        update_freq: str | int = "epoch",
        write_steps_per_second: bool = False,
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        hparams: Any = None,
        *,
        write_mistakes: int = 0,
        pr_curves: bool = False,
    ) -> None:
        self.log_dir = Path(check_path("TensorBoard(log_dir)", log_dir, "logs"))
        self.histogram_freq, self.update_freq = histogram_freq, update_freq
        self.runs = Runs(self.log_dir)
        self.pages = list(chosen(
            histogram_freq=histogram_freq, write_graph=write_graph, write_images=write_images,
            update_freq=update_freq, write_steps_per_second=write_steps_per_second,
            profile_batch=profile_batch, embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata, hparams=hparams,
            write_mistakes=write_mistakes, pr_curves=pr_curves))
        for page in self.pages:
            page.runs = self.runs
        self._hooks = CallbackList(self.pages)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._hooks = CallbackList(self.pages, model, self.params)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._hooks = CallbackList(self.pages, self.model, params)

    def listens(self, hook: str) -> bool:
        return super().listens(hook) and any(page.listens(hook) for page in self.pages)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.log_dir.exists() and not self.log_dir.is_dir():
            raise NotADirectoryError(f"TensorBoard(log_dir) expects a folder, or a name for a new "
                                     f"one; got {str(self.log_dir)!r}, a file. Choose another.")
        self._begins = True
        self._hooks.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._hooks.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._hooks.on_epoch_begin(epoch, logs)
        if self._begins:  # the net can be looked at while the first epoch is trained
            self.runs.flush()
        self._begins = False

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._hooks.on_epoch_resume(epoch, batch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._hooks.on_epoch_end(epoch, logs)
        self.runs.end_epoch()

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
