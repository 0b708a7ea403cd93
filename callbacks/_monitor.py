"""What callbacks share that watch one number: its name, its direction, what is better."""

import math
from collections.abc import Collection
from copy import copy
from typing import Any, ClassVar

from kerasish.checks import check_number
from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.registry import nearest
from kerasish.types import Logs


class MonitorCallback(Callback):
    """Watches one logged number.

    Says before training if the monitor is of a validation that no epoch of it asks for.

    Raises: TypeError for a monitor that is no name, ValueError for another mode; in
        `on_train_begin`, for a monitor that neither fit nor a callback before this one logs, and
        for one whose direction is unknown with mode "auto".

    Args:
        monitor: the name in the logs of an epoch.
        mode: "min" or "max" is better, or "auto": down for losses, else as the metric says.
        min_delta: the least change that counts as better, in the unit of the monitor.
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    keeps: ClassVar[tuple[str, ...]] = ()
    """The attributes of a subclass that are its running state."""

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        who = type(self).__name__
        if not isinstance(monitor, str):
            raise TypeError(f"{who}(monitor) expects a name in the logs; got {monitor!r}. Write "
                            "'val_loss', for instance.")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{who}(mode) expects 'auto', 'min' or 'max'; got {mode!r}. "
                             "A loss is better when it is lower: 'min'.")
        self.monitor, self.mode = monitor, mode
        self.min_delta = check_number(f"{who}(min_delta)", min_delta, 0,
                                      fix="0 counts every change.")
        self._known = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        known = self.params.get("logs", ())
        if self.monitor not in known and not self.params.get("open"):
            raise ValueError(self._unknown(known))
        self._known = self.monitor in known
        self._sign = self._direction()
        self._tell_if_never_due()

    def state_dict(self) -> dict[str, Any]:
        return {"known": self._known} | {name: copy(getattr(self, name)) for name in self.keeps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._known = state["known"]
        for name in self.keeps:
            setattr(self, name, copy(state[name]))

    def value(self, logs: Logs | None) -> float | None:
        """The monitored number of this epoch; None in an epoch that does not log it.

        Raises: ValueError if it is no name that fit logs, and no callback has logged it so far.
        """
        value = (logs or {}).get(self.monitor)
        if value is None and not self._known:
            raise ValueError(self._unknown(tuple(logs or {})))
        self._known = True
        return None if value is None else self._number(value)

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value is an improvement by more than min_delta; NaN never is."""
        if math.isnan(value):
            return False
        return than is None or self._sign * (value - than) > self.min_delta

    def _direction(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        if self.mode != "auto":
            return 1 if self.mode == "max" else -1
        name = self.monitor.removeprefix("val_")
        metric = self.model.metrics.get(name)
        if name == "loss" or (metric is None and name in self.model.metrics_names):
            return -1  # what fit logs beside metrics are losses, of single outputs too
        if metric is None or metric.higher_is_better is None:
            raise ValueError(
                f"{type(self).__name__}(mode='auto') expects a monitor whose direction is known; "
                f"got {self.monitor!r}. Write mode='max' or mode='min'."
            )
        return 1 if metric.higher_is_better else -1

    def _tell_if_never_due(self) -> None:
        run = getattr(self.model, "run", None)
        if run is None or run.plan.validation is None or not self.monitor.startswith("val_"):
            return
        if not any(map(run.plan.validates, run.plan.epochs)):
            notice(f"{type(self).__name__}: {self.monitor!r} will not be logged, as "
                   "validation_freq asks for no validation in any epoch of this fit. Choose a "
                   "smaller one.")

    def _number(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{type(self).__name__}(monitor) expects a name whose value is one "
                             f"number; got {self.monitor!r}, which is {value!r}. Watch another, or "
                             "log a mean of it.") from None

    def _unknown(self, known: Any) -> str:
        return (f"{type(self).__name__}(monitor) expects a name that is logged; got "
                f"{self.monitor!r}. {instead(self.monitor, known)}")


def instead(name: str, known: Collection[str]) -> str:
    """What to do about a name that is not logged: the end of an error."""
    hint = "Give fit validation_data or validation_split. " if (
        name.removeprefix("val_") in known) else ""
    return hint + nearest(name, known)
