"""What callbacks share that set the learning rate: who may, and where the rate is logged."""

from typing import Any

from kerasish.hooks import Callback
from kerasish.types import Logs

LOGGED = ("learning_rate",)
"""What they add to the logs of an epoch."""


def require_free_rate(callback: Callback) -> None:
    """Refuses an optimizer whose rate follows a schedule: only one of the two can decide.

    Raises: TypeError naming both.
    """
    optimizer: Any = callback.model.optimizer
    if optimizer.schedule is not None:
        raise TypeError(f"{type(callback).__name__} expects an optimizer whose learning rate is a "
                        f"number; got one that follows {optimizer.schedule!r}. Give the optimizer "
                        "a number, or leave the callback out.")


def log_rate(callback: Callback, logs: Logs | None) -> None:
    """Adds the rate that the epoch ended with, as later callbacks and History are to see it."""
    if logs is not None:
        logs["learning_rate"] = callback.model.optimizer.learning_rate
