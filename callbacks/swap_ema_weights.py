"""Evaluates a model with the running averages of its weights while it trains on."""

from typing import Any, ClassVar

from kerasish.checks import check_flag
from kerasish.hooks import Callback
from kerasish.types import Logs


class SwapEMAWeights(Callback):
    """Puts the running averages of the weights in for validation, evaluate and predict.

    The optimizer keeps them with `use_ema=True`. Afterwards the weights are back, also when
    something raises. An `evaluate` by another callback, while the averages are in, leaves them in.
    Statistics that modules keep themselves, a batch norm's, are not averaged.

    Raises: ValueError when training, evaluate or predict begins, for an optimizer without
        averages.

    Args:
        swap_on_epoch: whether the averages are also in the model at the end of an epoch, for the
            callbacks that come after this one: a ModelCheckpoint then saves them as the weights. In
            a file of the whole model the optimizer holds the weights of training in their stead:
            call `model.optimizer.swap_ema()` once on the loaded model to train on from these, as if
            it had never stopped; leave it out to start from the averages.

    Example:
        >>> SwapEMAWeights(swap_on_epoch=True).swap_on_epoch
        True
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = check_flag("SwapEMAWeights(swap_on_epoch)", swap_on_epoch,
                                        "True is for callbacks that come after it.")
        self._swapped = False
        self._runs: list[tuple[dict[str, Any], bool]] = []  # params and swapped before each run

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes what is known about a run, which may lie within another one."""
        self._runs.append((self.params, self._swapped))
        super().set_params(params)

    def listens(self, hook: str) -> bool:
        return hook != "on_settled" and super().listens(hook)  # it swaps at ends of epochs alone

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._require_averages()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._require_averages()
        self._put_averages_in()

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not (self._runs and self._runs[-1][1]):
            self._put_weights_back()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self.on_test_begin(logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self.on_test_end(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._put_averages_in()

    def on_settled(self, epoch: int, batch: int | None = None) -> None:
        self._put_weights_back()

    def on_restore(self) -> None:
        self._put_weights_back()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._put_weights_back()

    def close(self) -> None:
        params, was_swapped = self._runs.pop() if self._runs else (self.params, False)
        if self._runs:  # a run goes on, within which another one has ended
            self.params = params
        if not was_swapped:
            self._put_weights_back()

    def state_dict(self) -> dict[str, Any]:
        return {"swapped": self._swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over which of the two are in the model, whose own state says the same."""
        self._swapped = state["swapped"]

    def _put_averages_in(self) -> None:
        if not self._swapped:
            self.model.optimizer.swap_ema()
            self._swapped = True

    def _put_weights_back(self) -> None:
        if self._swapped:
            self._swapped = False
            self.model.optimizer.swap_ema()

    def _require_averages(self) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None or not optimizer.use_ema:
            raise ValueError("SwapEMAWeights expects an optimizer that keeps running averages; "
                             f"got {optimizer!r}. Write use_ema=True among its arguments.")
