"""What fit logs, as scalars under Keras' tags."""

from typing import Any

from kerasish.types import Logs

from .page import Page


class Scalars(Page):
    """`epoch_<name>` of training and of validation, the learning rate, and `batch_<name>`.

    Args:
        update_freq: "epoch", "batch", or n for each n-th batch.
    """

    def __init__(self, update_freq: str | int) -> None:
        self.update_freq = update_freq
        self._every = update_freq if isinstance(update_freq, int) else 1

    def listens(self, hook: str) -> bool:
        return self.update_freq != "epoch" and super().listens(hook)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.batches % self._every == 0:
            for name, value in (logs or {}).items():
                self._number("train", f"batch_{name}", value, self.batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            run = "validation" if name.startswith("val_") else "train"
            self._number(run, f"epoch_{name.removeprefix('val_')}", value, self.epochs)
        rate = self.model.optimizer.learning_rate
        self._number("train", "epoch_learning_rate", rate, self.epochs)

    def _number(self, run: str, tag: str, value: Any, step: int) -> None:
        try:
            value = float(value)
        except (TypeError, ValueError):
            return  # a callback's own note in the logs
        self.runs.add_scalar(run, tag, value, step)
