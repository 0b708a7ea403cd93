"""How callbacks plug into the loop: the hooks, who listens to them, and what they are told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any, ClassVar

import torch

from kerasish.differentiable import saving
from kerasish.random import drawing_from
from kerasish.types import Logs

Hook = Callable[..., None]


class Callback:
    """Base of everything that watches or steers training: override the hooks that you need.

    Batches and epochs are counted from 0. `logs` holds running means in batch hooks and final
    values in the others, under Keras' names. Setting `self.model.stop_training = True` ends
    training after the batch or epoch. Running state is made in `on_train_begin`, so that an
    instance serves several fits. Values in the logs of a batch are read from the device when they
    are looked at, and only then cost anything; `dict(logs)` keeps them.

    Example:
        >>> class Stop(Callback):
        ...     def on_train_batch_end(self, batch, logs=None):
        ...         if logs["loss"] < 0.01:
        ...             self.model.stop_training = True
    """

    model: Any = None
    """The model that is trained."""
    params: dict[str, Any] = {}  # noqa: RUF012 (replaced whole, never changed)
    """What fit knows: "epochs", "steps", "samples" an epoch, "verbose", "seed", and "logs", the
    names that it will log; "replayed" is there where a run that is over is told again."""

    adds_to_logs: ClassVar[tuple[str, ...] | None] = None
    """The names that `on_epoch_begin` or `on_epoch_end` put into the logs; None if not declared."""

    runs_in_step: ClassVar[bool] = False
    """Whether batch hooks may run in torch's inference mode as the step does, and without logs: for
    callbacks that make no tensors and seldom want a number."""

    leaves_traces: ClassVar[bool] = False
    """Whether it writes outside the program, files for instance: a trial run leaves it out, and of
    processes that train together all but the first."""

    in_all_processes: ClassVar[bool] = False
    """Whether, though it writes, each of such processes needs it; it then writes in the first."""

    def names_in_logs(self) -> tuple[str, ...] | None:
        """Those of `adds_to_logs` that there will be in this run; asked after `set_params`."""
        return self.adds_to_logs

    def set_model(self, model: Any) -> None:
        """Takes the model that the hooks are about."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes what fit, evaluate or predict knows about the run."""
        self.params = params

    def listens(self, hook: str) -> bool:
        """Whether a batch hook does anything; asked once a run, so that idle hooks cost nothing."""
        return hook in vars(self) or getattr(type(self), hook) is not getattr(Callback, hook)

    def state_dict(self) -> dict[str, Any]:
        """The running state, for checkpoints: plain values and tensors by name."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a running state."""

    def close(self) -> None:
        """Frees what the hooks opened; called in the end in every case, errors included."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of fit."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch of fit, with that epoch's logs; not after an error."""

    def on_restore(self) -> None:
        """After every `on_train_begin`: where a run that was saved is put back."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before the first batch of an epoch."""

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        """Instead of `on_epoch_begin`, where a run that was put back goes on within an epoch."""

    def on_settled(self, epoch: int, batch: int | None = None) -> None:
        """After all callbacks have had `on_train_batch_end`, or `on_epoch_end` (batch is None).

        Nothing is half done then: `model.run_state()` is all of the run.
        """

    def on_interrupt(self, epoch: int, batch: int) -> None:
        """After the last batch before Ctrl-C ends training, before anything is rounded off."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch's last batch and its validation, whose names begin with `val_`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_backward_end(self, batch: int) -> None:
        """Between the backward pass of a batch and the update: gradients are complete."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch and its update, with the running means of the epoch."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluate, and before each validation inside fit."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluate or validation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluate or validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluate or validation, with running means."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before predict."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After predict."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of predict."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of predict, with {"outputs": array}."""


class CallbackList(Callback):
    """Callbacks in order, to be told of a run together; usable in loops of your own, too.

    Raises: TypeError for what is no callback, a class for instance.

    Args:
        callbacks: one callback, or any nesting of lists of them.
        model: what they are to see as `self.model`.
        params: what they are to see as `self.params`; each also finds there under "logs" the names
            that fit and the callbacks before it put into the logs of an epoch, and under "open"
            whether a callback before it may add others.
    """

    def __init__(
        self, callbacks: Any = None, model: Any = None, params: dict[str, Any] | None = None
    ) -> None:
        self.callbacks = list(flattened(callbacks))
        self._listeners: dict[str, list[tuple[bool, Hook]]] = {}
        known = list((params or {}).get("logs", ()))
        is_open = bool((params or {}).get("open"))
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params({**(params or {}), "logs": tuple(known), "open": is_open})
            added = callback.names_in_logs()
            known += added or ()
            is_open |= added is None

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def listeners(self, hook: str, ticking: bool | None = None) -> list[Hook]:
        """What tells of a batch those callbacks that do something in this hook, in their order.

        With ticking=True only those that run in the step, and with False only the others.
        """
        if hook not in self._listeners:
            alias = hook.replace("_train", "")
            listening = [callback for callback in self.callbacks
                         if callback.listens(hook) or callback.listens(alias)]
            self._listeners[hook] = [
                (ticks, call)
                for ticks, group in groupby(listening, lambda callback: callback.runs_in_step)
                for call in _calls([getattr(callback, hook) for callback in group], ticks)
            ]
        return [call for ticks, call in self._listeners[hook] if ticking in (None, ticks)]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_restore(self) -> None:
        for callback in self.callbacks:
            callback.on_restore()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        for callback in self.callbacks:
            callback.on_epoch_resume(epoch, batch)

    def on_settled(self, epoch: int, batch: int | None = None) -> None:
        for callback in self.callbacks:
            callback.on_settled(epoch, batch)

    def on_interrupt(self, epoch: int, batch: int) -> None:
        for callback in self.callbacks:
            callback.on_interrupt(epoch, batch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_train_batch_begin"):
            hook(batch, logs)

    def on_backward_end(self, batch: int) -> None:
        for hook in self.listeners("on_backward_end"):
            hook(batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_train_batch_end"):
            hook(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_test_batch_begin"):
            hook(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_test_batch_end"):
            hook(batch, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_begin(logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_predict_end(logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_predict_batch_begin"):
            hook(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for hook in self.listeners("on_predict_batch_end"):
            hook(batch, logs)

    def close(self) -> None:
        """Closes all of them, and raises the first error of one afterwards."""
        for error in self._close():
            raise error

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Closes all callbacks in the end; an error of theirs never hides one of the block."""
        try:
            yield
        except BaseException as error:
            for failed in self._close():
                error.add_note(f"and closing the callbacks raised {failed!r}")
            raise
        self.close()

    def _close(self) -> list[Exception]:
        errors = []
        for callback in self.callbacks:
            try:
                callback.close()
            except Exception as error:
                errors.append(error)
        return errors


def flattened(callbacks: Any) -> Iterator[Callback]:
    """The callbacks among one, or any nesting of lists of them.

    Raises: TypeError for what is no callback, a class for instance.
    """
    if callbacks is None:
        return
    if isinstance(callbacks, list | tuple | CallbackList):
        for each in callbacks:
            if each is None:
                raise TypeError("callbacks expects instances of Callback; got None in the list. "
                                "Leave it out.")
            yield from flattened(each)
    elif isinstance(callbacks, Callback):
        yield callbacks
    else:
        is_class = isinstance(callbacks, type) and issubclass(callbacks, Callback)
        got = f"the class {callbacks.__name__}" if is_class else repr(callbacks)
        fix = f"Write {callbacks.__name__}(...)." if is_class else "Derive it from Callback."
        raise TypeError(f"callbacks expects instances of Callback; got {got}. {fix}")


def _calls(hooks: list[Hook], ticks: bool) -> list[Hook]:
    """The hooks as they are if they run in the step, else one call that leaves its modes once."""
    if ticks:
        return hooks

    def outside(*args: Any) -> None:
        with torch.inference_mode(False), saving(True), drawing_from(None):
            for hook in hooks:
                hook(*args)

    return [outside]
