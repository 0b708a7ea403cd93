"""Ends training when it no longer helps."""

from typing import ClassVar

import torch

from kerasish.checks import check_count, check_flag, check_number
from kerasish.progress import notice
from kerasish.types import Logs

from ._monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Ends training once a number has not become better for some epochs.

    NaN is never an improvement, not even on nothing. Running state is made anew in each fit.

    Raises: ValueError for settings out of range, and for a monitor that nothing logs.

    Args:
        monitor: the name in the logs of an epoch.
        min_delta: the least change that counts as better, in the unit of the monitor.
        patience: epochs without a better value after which training ends; 0 counts as 1.
        verbose: 1 says when it stops and what it restores.
        mode: "min" or "max" is better, or "auto": down for losses, else as the metric says.
        baseline: a value to beat: an epoch that does not beat it counts towards patience, whether
            better than those before it or not.
        restore_best_weights: whether the weights of the best epoch are put back in the end,
            whatever ended training, but for an error.
        start_from_epoch: the first epoch, from 0, that is looked at.

    Attributes: `best`, `best_epoch`, `wait` and `stopped_epoch`, as in Keras.

    Example:
        >>> EarlyStopping(monitor="val_loss", patience=10).patience
        10
    """

    keeps: ClassVar[tuple[str, ...]] = (
        "best", "best_epoch", "wait", "stopped_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_count("EarlyStopping(patience)", patience)
        self.baseline = None if baseline is None else check_number(
            "EarlyStopping(baseline)", baseline, fix="None asks for no baseline.")
        self.start_from_epoch = check_count("EarlyStopping(start_from_epoch)", start_from_epoch)
        self.verbose = verbose
        self.restore_best_weights = check_flag("EarlyStopping(restore_best_weights)",
                                               restore_best_weights)
        self._start()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._start()

    def _start(self) -> None:
        self.best: float | None = None
        self.best_epoch = self.wait = self.stopped_epoch = 0
        self.best_weights: dict[str, torch.Tensor] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.better(value, than=self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.module.state_dict()
            if self.baseline is None or self.better(value, than=self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            self._say(f"Epoch {epoch + 1}: early stopping")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_weights is not None:
            self._say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.module.load_state_dict(self.best_weights)

    def _say(self, text: str) -> None:
        if self.verbose:
            notice(text)
