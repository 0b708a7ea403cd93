"""Ends training at the first number that is not finite, before it reaches the weights."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor

from kerasish.hooks import Callback
from kerasish.module import Module
from kerasish.progress import notice
from kerasish.types import Logs


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose gradients or loss are NaN or infinite.

    It says which batch it was, and the first module with such a value: in the order of the model
    for weights and running statistics, and else in the order of backward for gradients. It looks at
    gradients before the update, and the weights stay as they were before that batch; slots of the
    optimizer stay finite. Running statistics that a forward has already spoilt stay so. Costs a
    sum over the gradients and two numbers read from the device in each batch. `model.diverged`
    tells such an end from others.

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
        self._epoch = epoch
        self._weights: dict[str, Tensor] | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._start(epoch)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._start(epoch)

    def on_backward_end(self, batch: int) -> None:
        optimizer, module = self.model.optimizer, self.model.module
        if all(math.isfinite(flat.grad.sum()) for flat in optimizer.flats):
            return
        found = first_not_finite(module)
        if found is None:
            return  # it is the sum alone that is too large
        if self._weights is None:
            self._end(batch, f"the gradients are not finite; {found}")
            self._weights = module.state_dict()
        optimizer.zero_grad()  # the update that follows is one of zeros, and is taken back

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._weights is not None:
            self.model.module.load_state_dict(self._weights)
            self.model.optimizer.zero_grad()  # nothing is left to be gathered into an update
            self._weights = None
            return
        loss = self.model.scores.results(("loss",))["loss"]  # a mean: one batch spoils it
        if not math.isfinite(loss):
            found = first_not_finite(self.model.module) or "weights and gradients are finite"
            self._end(batch, f"the loss is {loss}; {found}")

    def _end(self, batch: int, why: str) -> None:
        sentence = (f"Batch {batch + 1} of epoch {self._epoch + 1}: {why}. Look for such values in "
                    "the data, or lower the learning rate.")
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


def _first(tensors: Iterable[tuple[str, Any]]) -> str | None:
    return next((path for path, tensor in tensors if not tensor.isfinite().all()), None)


def _named(module: Module, path: str) -> tuple[str, str]:
    place, _, name = path.rpartition(".")
    owner = dict(module.named_modules())[place]
    return f"{owner!r} at {place!r}", name
