"""Saves a model while it trains: every epoch, every so many batches, or whenever it is best."""

import math
from pathlib import Path
from typing import Any, ClassVar

from kerasish.checks import check_choice, check_count, check_flag
from kerasish.progress import notice
from kerasish.saving.errors import FilePath, check_path
from kerasish.types import Logs

from ._monitor import MonitorCallback
from ._template import Template

_DEFAULT = "val_loss"
"""The monitor that nobody need have asked for."""


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, at the end of epochs or after a number of batches.

    A file is whole or not there, and an older one of its name stays until the new one is. With
    save_best_only a model is saved if the monitor is better than at any save before; NaN never is,
    and an epoch that does not log the monitor saves nothing. Nor does one that Ctrl-C cuts short: a
    run that goes on with it saves it when it is whole.

    Raises: ValueError for settings out of range; in `on_train_begin`, for a filepath with unknown
        names or formats that do not fit, for a monitor that nothing logs (the default one may be
        absent, without save_best_only), and TypeError for a model that `model.save` refuses;
        OSError naming the file when it cannot be saved.

    Args:
        filepath: the name of the files, with `{epoch}`, `{batch}`, both counted from 1, and logged
            names in braces, as in "runs/{epoch:03d}-{val_loss:.2f}.safetensors"; nan where an epoch
            does not log one. Folders are made. Without names each save takes the last one's place.
        monitor: the name in the logs that says which model is best.
        verbose: 1 says what is saved, and what is not.
        save_best_only: whether only a model that is better than those before is saved.
        save_weights_only: whether `model.save_weights` is used, not `model.save`.
        mode: "min" or "max" is better, or "auto": down for losses, else as the metric says.
        save_freq: "epoch", or n for every n batches, counted across epochs; the running means of
            the epoch are then the logs. With save_best_only and a monitor that only the end of an
            epoch logs, `val_loss` for instance, the model is looked at there, in epochs in which n
            batches were reached: no other weights have that value.
        initial_value_threshold: what the first model has to beat to be saved as best.
        keep_last: the number of files that stay: older ones of this fit are deleted once a newer
            one is safe, but never the best one, if the monitor says which that is. None for all.
        every_n_epochs: with save_freq="epoch", the epochs between two saves: n, 2n, ...
        on_error: "raise", or "warn" to train on when a file cannot be written, a full disk for
            instance, and say so each time. Other errors end training in any case.

    Attributes: `best`, the monitor's best value at a save; `best_path`, the file of that; `kept`,
        the files of this fit that are there, oldest first; `failures`, how often saving failed.

    Example:
        >>> ModelCheckpoint("runs/{epoch}.safetensors", keep_last=2).keep_last
        2
    """

    leaves_traces: ClassVar[bool] = True
    in_all_processes: ClassVar[bool] = True  # each may hold a share of what is saved
    keeps: ClassVar[tuple[str, ...]] = (
        "best", "kept", "best_path", "failures", "_saved_at", "_due")

    def __init__(
        self,
        filepath: FilePath,
        monitor: str = _DEFAULT,
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        *,
        keep_last: int | None = None,
        every_n_epochs: int = 1,
        on_error: str = "raise",
    ) -> None:
        super().__init__(monitor, mode, min_delta=0.0)
        who = "ModelCheckpoint"
        self.filepath = check_path(f"{who}(filepath)", filepath)
        self._names = Template(f"{who}(filepath)", self.filepath)
        self.verbose = verbose
        self.save_best_only = check_flag(f"{who}(save_best_only)", save_best_only)
        self.save_weights_only = check_flag(f"{who}(save_weights_only)", save_weights_only)
        self.save_freq = save_freq if save_freq == "epoch" else check_count(
            f"{who}(save_freq)", save_freq, 1, "Or write 'epoch'.")
        threshold = initial_value_threshold
        if threshold is not None and (not isinstance(threshold, int | float)
                                      or math.isnan(threshold)):
            raise ValueError(f"{who}(initial_value_threshold) expects a number or None; got "
                             f"{threshold!r}. None saves the first model in any case.")
        self.initial_value_threshold = threshold
        self.keep_last = None if keep_last is None else check_count(
            f"{who}(keep_last)", keep_last, 1, "None keeps all.")
        self.every_n_epochs = check_count(f"{who}(every_n_epochs)", every_n_epochs, 1)
        if every_n_epochs != 1 and save_freq != "epoch":
            raise ValueError(f"{who}(every_n_epochs) expects save_freq='epoch'; got "
                             f"save_freq={save_freq!r}. Leave one of them out.")
        self.on_error = check_choice(f"{who}(on_error)", on_error, ("raise", "warn"))
        self._start()

    def listens(self, hook: str) -> bool:
        return self.save_freq != "epoch" and super().listens(hook)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._names.check(self.params.get("logs", ()), self.params.get("open", False))
        if Path(self.filepath).is_dir():
            raise IsADirectoryError("ModelCheckpoint(filepath) expects a name for files; got "
                                    f"{self.filepath!r}, a folder. Add a name to it.")
        self._start()
        self._has_best = (self.save_best_only or self.monitor != _DEFAULT
                          or self.monitor in self.params.get("logs", ()))
        if self._has_best:
            super().on_train_begin(logs)
        self.model.check_savable(self.save_weights_only)
        self._saved_at = self.model.batches_trained

    def _start(self) -> None:
        self.best = self.initial_value_threshold
        self.kept: list[str] = []
        self.best_path: str | None = None
        self.failures = self._saved_at = self._epoch = 0
        self._due = self._has_best = self._is_cut_short = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.model.batches_trained - self._saved_at < int(self.save_freq):
            return
        self._saved_at = self.model.batches_trained
        is_logged = self.monitor in (logs or {})
        if self.save_best_only and not is_logged:
            self._due = True
        else:
            self._consider(batch, logs, self.value(logs) if self._has_best and is_logged else None)

    def on_interrupt(self, epoch: int, batch: int) -> None:
        self._is_cut_short = batch + 1 != self.params.get("steps")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        due = (epoch + 1) % self.every_n_epochs == 0 if self.save_freq == "epoch" else self._due
        if due and not self._is_cut_short:
            self._epoch, self._due = epoch, False
            self._consider(self.model.batch, logs, self.value(logs) if self._has_best else None)

    def _consider(self, batch: int, logs: Logs | None, value: float | None) -> None:
        """Saves the model, unless it is to be the best and is not."""
        is_best = value is not None and self.better(value, than=self.best)
        when = f"Epoch {self._epoch + 1}: "
        if self.save_best_only and value is not None:
            change = "improved" if is_best else "did not improve"
            when += f"{self.monitor} {change} from {self.best} " + f"to {value}, " * is_best
        if is_best or not self.save_best_only:
            path = self._names.filled(self._epoch, batch, logs)
            self._say(f"{when}saving the model to {path!r}")
            if self._attempt(path, self._save):
                self._keep(path)
                if is_best:
                    self.best, self.best_path = value, path
                self._delete_older()
        elif value is not None:
            self._say(when.rstrip())

    def _save(self, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path)

    def _keep(self, path: str) -> None:
        self.kept = [*(old for old in self.kept if old != path), path]
        if path == self.best_path:
            self.best_path = None  # another model has its place

    def _delete_older(self) -> None:
        if self.keep_last is None:
            return
        for old in self.kept[: -self.keep_last]:
            if old != self.best_path and self._attempt(old, self._delete):
                self.kept.remove(old)

    def _attempt(self, path: str, act: Any) -> bool:
        """Whether it could be done; where it could not, an error or a word of it."""
        try:
            with self.model.failing_together():
                act(path)
        except OSError as error:
            self.failures += 1
            said = f"ModelCheckpoint could not {act.__name__.strip('_')}: {error.strerror or error}"
            if self.on_error == "raise":
                raise OSError(error.errno, said, path) from error
            notice(f"{said}: {path!r}. Training goes on; failures so far: {self.failures}.")
            return False
        return True

    def _delete(self, path: str) -> None:
        if self.model.is_first:
            Path(path).unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        if self.verbose:
            notice(text)
