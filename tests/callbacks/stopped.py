"""Runs that die and are started again, as a killed script is."""

from collections.abc import Callable
from pathlib import Path

from kerasish.callbacks import BackupAndRestore, Callback


class Dies(Callback):
    """Ends a run after one of its hooks, as if it were killed."""

    def __init__(self, epoch: int, batch: int | None = None) -> None:
        self.place = epoch, batch

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None) -> None:
        if (self.epoch, batch) == self.place:
            raise SystemExit

    def on_epoch_end(self, epoch, logs=None) -> None:
        if (epoch, None) == self.place:
            raise SystemExit


def killed_and_started_again(
    train: Callable[[list[Callback]], object], folder: Path, dies: Dies, save_freq="epoch"
) -> None:
    """Trains twice: until it dies, and from its backup to the end."""
    try:
        train([BackupAndRestore(folder / "backup", save_freq), dies])
    except SystemExit:
        train([BackupAndRestore(folder / "backup", save_freq)])
    else:
        raise AssertionError("it lives")
