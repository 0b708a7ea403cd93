"""What fit and evaluate log, as scalars under Keras' tags."""

import time

from kerasish.types import Logs

from .page import Page, numbers


class Scalars(Page):
    """`epoch_<name>`, the learning rate, `batch_<name>`, `evaluation_<name>_vs_iterations`, speeds.

    Args:
        update_freq: "epoch", "batch", or n for each n-th batch.
        write_steps_per_second: whether `epoch_steps_per_second`, and `batch_steps_per_second` since
            the batch that was written last, are among them.
    """

    def __init__(self, update_freq: str | int, write_steps_per_second: bool = False) -> None:
        self.update_freq, self.write_steps_per_second = update_freq, write_steps_per_second
        self._every = update_freq if isinstance(update_freq, int) else 1

    def listens(self, hook: str) -> bool:
        return self.update_freq != "epoch" and super().listens(hook)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_began = self._written = (time.perf_counter(), self.batches)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self.on_epoch_begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.batches % self._every == 0:
            values = _tagged("batch_", logs)
            if self.write_steps_per_second:
                values["batch_steps_per_second"] = self._speed_since(self._written)
                self._written = (time.perf_counter(), self.batches)
            self.write_scalars("train", values, self.batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        train = dict(logs or {})
        validation = {name: train.pop(name) for name in list(train) if name.startswith("val_")}
        train = _tagged("epoch_", train)
        train["epoch_learning_rate"] = self.model.optimizer.learning_rate
        if self.write_steps_per_second:
            train["epoch_steps_per_second"] = self._speed_since(self._epoch_began)
        self.write_scalars("train", train, self.epochs)
        self.write_scalars("validation", _tagged("epoch_", validation, "val_"), self.epochs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        values = _tagged("evaluation_", logs, end="_vs_iterations")
        self.write_scalars("validation", values, self.model.optimizer.iterations)

    def _speed_since(self, moment: tuple[float, int]) -> float:
        """Batches a second since then."""
        then, batches = moment
        return (self.batches - batches) / max(time.perf_counter() - then, 1e-9)


def _tagged(start: str, logs: Logs | None, cut: str = "", end: str = "") -> dict[str, float]:
    """The numbers among the logs, by their tags."""
    return {f"{start}{name.removeprefix(cut)}{end}": value for name, value in numbers(logs).items()}
