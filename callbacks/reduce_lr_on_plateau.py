"""Lowers the learning rate when it no longer helps to go on with it."""

from typing import ClassVar

from kerasish.checks import check_count, check_number, check_positive
from kerasish.progress import notice
from kerasish.types import Logs

from ._monitor import MonitorCallback
from ._rate import LOGGED, log_rate, require_free_rate


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate once a number has not become better for some epochs.

        α ← max(factor α, min_lr)

    NaN is never an improvement. The rate that an epoch was trained with is added to its logs as
    "learning_rate". Running state is made anew in each fit.

    Raises: ValueError for settings out of range, and for a monitor that nothing logs; TypeError,
        before training, for an optimizer whose rate follows a schedule.

    Args:
        monitor: the name in the logs of an epoch.
        factor: what the rate is multiplied with, above 0 and below 1.
        patience: epochs without a better value after which the rate is lowered; 0 counts as 1.
        verbose: 1 says when it lowers the rate.
        mode: "min" or "max" is better, or "auto": down for losses, else as the metric says.
        min_delta: the least change that counts as better, in the unit of the monitor.
        cooldown: epochs after a change of rate before waiting begins anew; the last of them counts
            towards patience again, as in Keras.
        min_lr: the rate below which it does not go, 0 or more.

    Attributes: `best`, `wait` and `cooldown_counter`, as in Keras.

    Example:
        >>> ReduceLROnPlateau(factor=0.5, patience=3).factor
        0.5
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = LOGGED
    keeps: ClassVar[tuple[str, ...]] = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_positive("ReduceLROnPlateau(factor)", factor, "0.1 is usual.")
        if self.factor >= 1:
            raise ValueError("ReduceLROnPlateau(factor) expects a number below 1, which lowers the "
                             f"rate; got {factor!r}. 0.1 is usual.")
        self.patience = check_count("ReduceLROnPlateau(patience)", patience)
        self.cooldown = check_count("ReduceLROnPlateau(cooldown)", cooldown)
        self.min_lr = check_number("ReduceLROnPlateau(min_lr)", min_lr, 0, fix="0 is no limit.")
        self.verbose = verbose
        self._start()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        require_free_rate(self)
        self._start()

    def _start(self) -> None:
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        log_rate(self, logs)
        value = self.value(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
        if self.better(value, than=self.best):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = optimizer.learning_rate
        if before <= self.min_lr:
            return
        optimizer.learning_rate = max(before * self.factor, self.min_lr)
        self.wait, self.cooldown_counter = 0, self.cooldown
        if self.verbose:
            notice(f"Epoch {epoch + 1}: {self.monitor} has stalled; the learning rate goes from "
                   f"{before:g} to {optimizer.learning_rate:g}")
