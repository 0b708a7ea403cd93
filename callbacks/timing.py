"""Logs how fast training is."""

import time
from typing import ClassVar

from kerasish.hooks import Callback
from kerasish.types import Logs


class Timing(Callback):
    """Adds the time and the speed of each epoch to its logs.

    "seconds" of training, "batches_per_second" and "samples_per_second" in it, and
    "validation_seconds" besides where there is a validation. Callbacks count with what they run in.
    After a run was put back within an epoch, the rest of the epoch is meant. Nothing is done in a
    batch: it costs nothing. No two runs take the same time, so these names, in History too, are no
    part of what a seed decides.

    Example:
        >>> Timing().adds_to_logs
        ('seconds', 'batches_per_second', 'samples_per_second', 'validation_seconds')
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = (
        "seconds", "batches_per_second", "samples_per_second", "validation_seconds",
    )  # fmt: skip

    _validation: float | None
    """Seconds of this epoch's validation, once there was one."""

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
        if logs is None:
            return
        seconds = time.perf_counter() - self._started - (self._validation or 0.0)
        pace = (self.model.batches_trained - self._batches) / max(seconds, 1e-9)
        logs["seconds"], logs["batches_per_second"] = seconds, pace
        if self.params.get("samples") and self.params.get("steps"):
            logs["samples_per_second"] = pace * self.params["samples"] / self.params["steps"]
        if self._validation is not None:
            logs["validation_seconds"] = self._validation

    def _start(self) -> None:
        self._batches = self.model.batches_trained
        self._validation = None
        self._started = time.perf_counter()
