"""Logs how fast training is."""

import time
from typing import ClassVar

from kerasish.hooks import Callback
from kerasish.types import Logs


class Timing(Callback):
    """Adds the time and the speed of each epoch to its logs.

    "seconds" of training and "batches_per_second" in it; "samples_per_second" where the number of
    samples is known, on average where steps_per_epoch cuts batches of several sizes; and
    "validation_seconds" where there is a validation. Callbacks count with what they run in. After a
    run was put back within an epoch, the rest of the epoch is meant. Nothing is done in a batch: it
    costs nothing. No two runs take the same time, so these names, in History too, are no part of
    what a seed decides. A run that is told again, by `history.replay`, is not timed.

    Example:
        >>> Timing().adds_to_logs
        ('seconds', 'batches_per_second', 'samples_per_second', 'validation_seconds')
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = (
        "seconds", "batches_per_second", "samples_per_second", "validation_seconds",
    )  # fmt: skip

    _validation: float | None
    """Seconds of this epoch's validation, once there was one."""

    def names_in_logs(self) -> tuple[str, ...] | None:
        if self.params.get("replayed"):
            return ()
        validates = any(name.startswith("val_") for name in self.params.get("logs", ()))
        known = {"samples_per_second": self._has_samples(), "validation_seconds": validates}
        return tuple(name for name in type(self).adds_to_logs or () if known.get(name, True))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._start()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._start()

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._start()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._validated = time.perf_counter()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._validation = time.perf_counter() - self._validated

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is None or self.params.get("replayed"):
            return
        seconds = time.perf_counter() - self._started - (self._validation or 0.0)
        pace = (self.model.batches_trained - self._batches) / max(seconds, 1e-9)
        logs["seconds"], logs["batches_per_second"] = seconds, pace
        if self._has_samples():
            logs["samples_per_second"] = pace * self.params["samples"] / self.params["steps"]
        if self._validation is not None:
            logs["validation_seconds"] = self._validation

    def _has_samples(self) -> bool:
        return bool(self.params.get("samples") and self.params.get("steps"))

    def _start(self) -> None:
        self._batches = self.model.batches_trained
        self._validation = None
        self._started = time.perf_counter()
