"""Ends training at the first number that is not finite, before it reaches the weights."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from kerasish.checks import check_flag
from kerasish.hooks import Callback
from kerasish.module import Module
from kerasish.progress import notice
from kerasish.types import Logs

from ._rerun import forward_again, is_finite


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose gradients or loss are NaN or infinite.

    It says which batch it was, whether its inputs or targets held such values, and the first module
    with one. Where weights are finite, the batch is run forward again, on a copy of the net and
    with other noise, to see which output is the first that is not; where all are, it is the loss,
    or the first gradient on the way back. It looks before the update, and weights, slots and
    counters of the optimizer stay as they were before that batch. Running statistics that a forward
    has already spoilt stay so. Costs a sum over the gradients and one number read from the device
    in each batch; one more for a `train_step` of your own, whose loss is seen after its update.
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
        self.raise_error = check_flag(f"{type(self).__name__}(raise_error)", raise_error)
        self._start(0)

    def _start(self, epoch: int) -> None:
        self._epoch, self._knows_loss = epoch, False
        self._before: tuple[Any, Any] | None = None  # weights, and the optimizer's state

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
        is_first = self._before is None
        if is_first:
            self._end(batch, why, loss)
        optimizer.zero_grad()  # the update that follows is one of zeros, and is taken back
        if is_first:
            self._before = self.model.module.state_dict(), optimizer.state_dict()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._before is not None:
            weights, state = self._before
            self.model.module.load_state_dict(weights)
            self.model.optimizer.load_state_dict(state)  # nothing is left to be gathered, too
            self._before = None
        elif not self._knows_loss and not self.model.diverged:
            loss = self.model.scores.results(("loss",))["loss"]  # a mean: one batch spoils it
            if not math.isfinite(loss):
                self._end(batch, f"the loss is {loss}")

    def _end(self, batch: int, why: str, loss: Any = None) -> None:
        sentence = self._sentence(batch, why, loss)
        self.model.stop_training = self.model.diverged = True
        if self.raise_error:
            raise RuntimeError(sentence)
        notice(f"{type(self).__name__} ends training. {sentence}")

    def _sentence(self, batch: int, why: str, loss: Any) -> str:
        found = first_not_finite(self.model, loss)
        bad = not_finite_data(self.model.batch_data)
        hint = (f"The {bad} of this batch hold NaN or infinite values: look there first." if bad
                else "Its data is finite: lower the learning rate, or clip gradients.")
        return f"Batch {batch + 1} of epoch {self._epoch + 1}: {why}; {found}. {hint}"


def first_not_finite(model: Any, loss: Any = None) -> str:
    """Which part of a model is the first with a value that is not finite, in words.

    Args:
        model: with its batch in `batch_data`.
        loss: that of the batch; None if it is not known.
    """
    module = model.module
    parameters = list(module.named_parameters())
    if path := _first((path, each.data) for path, each in parameters):
        return f"the first module with a value that is not finite is {_named(module, path)}"
    x, *_ = model.batch_data or (None,)
    forward = forward_again(module, x, model.device)
    if forward.place is not None:
        found = f"{_at(module, forward.place)} is the first whose output is not finite"
    elif forward.is_finite and loss is not None and not math.isfinite(loss):
        found = f"the predictions are finite, but {model.loss!r} of them is not"
    elif path := _first((path, each.grad) for path, each in reversed(parameters)):
        found = ("going backward, the first module with a value that is not finite is "
                 f"{_named(module, path, 'gradient of ')}")
    else:
        found = "weights and gradients are finite"
    if path := _first(module.named_buffers()):
        found += f"; not finite any more is {_named(module, path)}"
    return found


def not_finite_data(data: Any) -> str:
    """Which parts of a batch have values that are not finite, in words; "" if none has.

    Example:
        >>> import torch
        >>> not_finite_data((torch.ones(2), torch.tensor([1.0, math.nan]), None))
        'targets'
    """
    parts = zip(("inputs", "targets", "sample weights"), data or (), strict=False)
    return " and ".join(name for name, part in parts
                        if not is_finite(part))


def _first(tensors: Iterable[tuple[str, Any]]) -> str | None:
    return next((path for path, tensor in tensors if not tensor.isfinite().all()), None)


def _named(module: Module, path: str, prefix: str = "") -> str:
    place, _, name = path.rpartition(".")
    return f"{_at(module, place)} ({prefix}{name})"


def _at(module: Module, place: str) -> str:
    return f"{dict(module.named_modules())[place]!r} at {place!r}"
