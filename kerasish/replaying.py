"""A run that is over, told again: the model is gone, and what is left of it stands in for it."""

import math
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn

from kerasish.hooks import CallbackList


class FinishedOptimizer:
    """What is left of an optimizer: its learning rate at the end of the epoch."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    @property
    def learning_rate(self) -> float:
        """That of the epoch; nan if it was not kept."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: object) -> None:
        raise AttributeError(
            "History.replay(callbacks) expects callbacks that only watch; got one that sets "
            "model.optimizer.learning_rate. Give it to fit."
        )

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(f"optimizer.{name}")


class Finished:
    """What is left of a model when its run is over, for callbacks that look at it.

    Attributes: `epochs_trained`, `batches_trained` and `optimizer.learning_rate`, as they were when
    the epoch ended; `metrics`, whose entries know `higher_is_better`; `metrics_names`; and
    `stop_training`. Anything else is an AttributeError that says what the callback asked for.

    Args:
        directions: name → whether higher is better, for losses and metrics.
    """

    PROGRESS: ClassVar[tuple[str, ...]] = ("learning_rate", "epochs_trained", "batches_trained")

    def __init__(self, directions: dict[str, bool | None]) -> None:
        self.metrics_names = list(directions)
        self.metrics = {name: SimpleNamespace(higher_is_better=direction)
                        for name, direction in directions.items()}
        self.stop_training = self.interrupted = self.diverged = False
        self.stand_at(0, {})

    def stand_at(self, epochs: int, progress: dict[str, Any]) -> None:
        """Takes over what the model was after so many epochs."""
        rate = progress.get("learning_rate")
        self.optimizer = FinishedOptimizer(math.nan if rate is None else rate)
        known = progress.get("epochs_trained")
        self.epochs_trained = epochs if known is None else known
        self.batches_trained = progress.get("batches_trained") or 0

    @staticmethod
    def progress_of(model: Any) -> dict[str, Any]:
        """What there is to be kept of a model at the end of an epoch."""
        rate = getattr(getattr(model, "optimizer", None), "learning_rate", None)
        return {
            "learning_rate": None if rate is None else float(rate),
            "epochs_trained": getattr(model, "epochs_trained", None),
            "batches_trained": getattr(model, "batches_trained", None),
        }

    @staticmethod
    def directions_of(model: Any) -> dict[str, bool | None]:
        """Whether higher is better, by the names that a model logs: of losses it never is."""
        metrics = getattr(model, "metrics", {})
        return {name: metrics[name].higher_is_better if name in metrics else False
                for name in getattr(model, "metrics_names", ())}

    def __getattr__(self, name: str) -> NoReturn:
        _refuse(name)


def replayed(callbacks: Any, run: dict[str, Any], logs: list[dict[str, Any]]) -> None:
    """Tells callbacks of a run, epoch by epoch.

    Args:
        callbacks: one Callback, or a list.
        run: what History keeps of it: "epoch", "history", "progress", "directions", "seed".
        logs: what each epoch logged.
    """
    model, epochs = Finished(run["directions"]), run["epoch"]
    params = {"verbose": 0, "steps": None, "epochs": max(epochs, default=-1) + 1,
              "seed": run["seed"], "logs": tuple(run["history"]), "open": False, "replayed": True}
    hooks = CallbackList(callbacks, model, params)
    with hooks.closing():
        hooks.on_train_begin({})
        latest: dict[str, Any] = {}
        for index, (epoch, latest) in enumerate(zip(epochs, logs, strict=True)):
            hooks.on_epoch_begin(epoch, {})
            progress = {name: values[index] for name, values in run["progress"].items()}
            model.stand_at(epoch + 1, progress)
            hooks.on_epoch_end(epoch, dict(latest))
            if model.stop_training:
                break
        hooks.on_train_end(latest)


def _refuse(asked: str) -> NoReturn:
    raise AttributeError(
        f"History.replay(callbacks) expects callbacks that need no more of a model than what was "
        f"logged; got one that asks for model.{asked}. Give it to fit."
    )
