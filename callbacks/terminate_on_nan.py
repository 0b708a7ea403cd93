"""Ends training at the first number that is not finite, before it reaches the weights."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from kerasish.hooks import Callback
from kerasish.module import Module
from kerasish.progress import notice
from kerasish.trees import leaves
from kerasish.types import Logs


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose gradients or loss are NaN or infinite.

    It says which batch it was, whether its inputs or targets held such values, and the first module
    with one: in the order of the model for weights and running statistics, and else in the order of
    backward for gradients. It looks before the update, and the weights stay as they were before
    that batch; slots of the optimizer stay finite. Running statistics that a forward has already
    spoilt stay so. Costs a sum over the gradients and one number read from the device in each
    batch; one more for a `train_step` of your own, whose loss is seen after its update.
    `model.diverged` tells such an end from others.

    Raises: RuntimeError, with raise_error=True, with the sentence that is otherwise said.

    Args:
        raise_error: whether it raises an error, after which `on_train_end` is not called, instead
            of ending training as `stop_training` does.

    Example:
        >>> TerminateOnNaN(raise_error=True).raise_error
        True
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    runs_in_step: ClassVar[bool] = True

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error
        self._start(0)

    def _start(self, epoch: int) -> None:
        self._epoch, self._knows_loss = epoch, False
        self._weights: dict[str, Tensor] | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._start(epoch)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._start(epoch)

    def on_backward_end(self, batch: int) -> None:
        optimizer, loss = self.model.optimizer, self.model.batch_loss
        self._knows_loss, self.model.batch_loss = loss is not None, None
        total = sum((flat.grad.sum() for flat in optimizer.flats), 0.0 if loss is None else loss)
        if math.isfinite(total):
            return
        if all(flat.grad.isfinite().all() for flat in optimizer.flats):
            if loss is None or math.isfinite(loss):
                return  # it is the sum alone that is too large
            why = f"the loss is {float(loss)}"
        else:
            why = "the gradients are not finite"
        if self._weights is None:
            self._end(batch, why)
            self._weights = self.model.module.state_dict()
        optimizer.zero_grad()  # the update that follows is one of zeros, and is taken back

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._weights is not None:
            self.model.module.load_state_dict(self._weights)
            self.model.optimizer.zero_grad()  # nothing is left to be gathered into an update
            self._weights = None
        elif not self._knows_loss:
            loss = self.model.scores.results(("loss",))["loss"]  # a mean: one batch spoils it
            if not math.isfinite(loss):
                self._end(batch, f"the loss is {loss}")

    def _end(self, batch: int, why: str) -> None:
        found = first_not_finite(self.model.module) or "weights and gradients are finite"
        bad = not_finite_data(self.model.batch_data)
        hint = (f"The {bad} of this batch hold NaN or infinite values: look there first." if bad
                else "Its data is finite: lower the learning rate, or clip gradients.")
        sentence = f"Batch {batch + 1} of epoch {self._epoch + 1}: {why}; {found}. {hint}"
        self.model.stop_training = self.model.diverged = True
        if self.raise_error:
            raise RuntimeError(sentence)
        notice(f"TerminateOnNaN ends training. {sentence}")


def first_not_finite(module: Module) -> str | None:
    """Which module has a value that is not finite, in words; None if there is none."""
    parameters = list(module.named_parameters())
    values = [*((path, each.data) for path, each in parameters), *module.named_buffers()]
    gradients = [(path, each.grad) for path, each in reversed(parameters)]
    if path := _first(values):
        owner, name = _named(module, path)
        return f"the first module with a value that is not finite is {owner} ({name})"
    if path := _first(gradients):
        owner, name = _named(module, path)
        return ("going backward, the first module with a value that is not finite is "
                f"{owner} (gradient of {name})")
    return None


def not_finite_data(data: Any) -> str:
    """Which parts of a batch have values that are not finite, in words; "" if none has.

    Example:
        >>> import torch
        >>> not_finite_data((torch.ones(2), torch.tensor([1.0, math.nan]), None))
        'targets'
    """
    parts = zip(("inputs", "targets", "sample weights"), data or (), strict=False)
    return " and ".join(name for name, part in parts
                        if not all(tensor.isfinite().all() for tensor in leaves(part)))


def _first(tensors: Iterable[tuple[str, Any]]) -> str | None:
    return next((path for path, tensor in tensors if not tensor.isfinite().all()), None)


def _named(module: Module, path: str) -> tuple[str, str]:
    place, _, name = path.rpartition(".")
    owner = dict(module.named_modules())[place]
    return f"{owner!r} at {place!r}", name
