"""The callback that `fit` returns: what was logged, epoch by epoch."""

from typing import Any, ClassVar

from kerasish.hooks import Callback
from kerasish.types import Logs


class History(Callback):
    """Keeps what each epoch logged.

    Attributes: `history`, name → one value an epoch that logged it; `epoch`, the numbers of the
    epochs; `seed`, which repeats the run when it is given to `fit(seed=...)`.
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self.seed: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch, self.history, self.seed = [], {}, self.params.get("seed")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def state_dict(self) -> dict[str, Any]:
        history = {name: list(values) for name, values in self.history.items()}
        return {"epoch": list(self.epoch), "history": history, "seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.seed = list(state["epoch"]), state["seed"]
        self.history = {name: list(values) for name, values in state["history"].items()}

    def __repr__(self) -> str:
        return f"History({len(self.epoch)} epochs: {', '.join(self.history)})"
