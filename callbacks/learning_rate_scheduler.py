"""Sets the learning rate of each epoch by a function."""

import inspect
import math
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.schedules import Schedule
from kerasish.types import Logs

from ._rate import LOGGED, log_rate, require_free_rate


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch by a function of the epoch and of the rate before.

        α ← schedule(epoch, α)        or        α ← schedule(epoch)

    Which of the two is seen from the function's arguments, so that its own errors come through as
    they are. The rate is added to the logs of the epoch as "learning_rate". For a rate that changes
    with every update, give the optimizer one of `kerasish.schedules` instead.

    Raises: TypeError for what is no such function, and, before training, for an optimizer whose
        rate follows a schedule; ValueError, in its epoch, for a value that is no rate.

    Args:
        schedule: a function of the epoch, counted from 0, and of the rate so far where it takes two
            arguments. It gives a finite number of 0 or more.
        verbose: 1 says each epoch's rate.

    Example:
        >>> LearningRateScheduler(lambda epoch, lr: lr if epoch < 10 else lr * 0.9).verbose
        0
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = LOGGED

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        self._takes_rate = _takes_rate(schedule)
        self.schedule, self.verbose = schedule, verbose

    def on_train_begin(self, logs: Logs | None = None) -> None:
        require_free_rate(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        more = (optimizer.learning_rate,) if self._takes_rate else ()
        optimizer.learning_rate = _rate(self.schedule(epoch, *more), epoch)
        if self.verbose:
            notice(f"Epoch {epoch + 1}: the learning rate is {optimizer.learning_rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        log_rate(self, logs)


def _takes_rate(schedule: Any) -> bool:
    """Whether a function takes the rate besides the epoch."""
    who = "LearningRateScheduler(schedule)"
    if isinstance(schedule, Schedule):
        raise TypeError(f"{who} expects a function of the epoch; got {schedule!r}, which counts "
                        f"updates. Give it to the optimizer: learning_rate={schedule!r}.")
    if callable(schedule) and not isinstance(schedule, type):
        for arguments in ((0, 0.1), (0,)):
            try:
                inspect.signature(schedule).bind(*arguments)
            except (TypeError, ValueError):  # it takes others, or does not tell which
                continue
            return len(arguments) == 2
    raise TypeError(f"{who} expects a function of (epoch, lr) or of (epoch); got {schedule!r}. "
                    "Write lambda epoch: ..., with what it is to give.")


def _rate(value: Any, epoch: int) -> float:
    """What a schedule gave, as a number; a tensor or an array may hold it."""
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    if not is_number or not 0 <= float(number) < math.inf:
        raise ValueError(f"LearningRateScheduler(schedule) expects a function that gives a finite "
                         f"number of 0 or more; got {value!r} for epoch {epoch}. Mend it.")
    return float(number)
