"""The loop: forward, loss, backward, update, and whom to tell. It exists once."""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kerasish.data import Batch
from kerasish.hooks import CallbackList, Hook
from kerasish.losses import Loss
from kerasish.metrics import RunningLogs, Scores
from kerasish.module import Module
from kerasish.optimizers import Optimizer
from kerasish.parameter import Parameter
from kerasish.plan import Plan
from kerasish.random import drawing_from
from kerasish.trees import batch_size, mapped


class Trainer:
    """A module with a loss and an optimizer, and the loop that trains it."""

    module: Module
    loss: Loss
    optimizer: Optimizer
    device: torch.device
    _skips_dx: bool
    _penalized: list[Parameter]
    _penalties_at = -1
    _rows = 1

    stop_training = False
    """Set it in a hook to end training after the batch or the epoch."""
    epochs_trained = 0
    batches_trained = 0
    """Epochs ended and batches trained in all fits so far: logs that go on across fits count with
    them. A fit that starts at a later `initial_epoch` counts the epochs before it as done."""
    batch = 0
    """The batch of the epoch that is being trained."""
    unwound = False
    """Whether the first step of this fit has left nothing saved; looked at once a fit."""
    _scores: Scores | None = None
    _after_backward: tuple[Hook, ...] = ()

    @property
    def scores(self) -> Scores:
        """The running means of the epoch that is being trained."""
        if self._scores is None:
            raise RuntimeError("Trainer.scores expects a model that has seen targets; got one that "
                               "has not. Call fit or evaluate first.")
        return self._scores

    def train_step(
        self, x: Any, y: Any, sample_weight: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """One batch: forward, loss, backward, update. Override it for another kind of training.

        Returns: the loss before the update, a 0-dim tensor, and the predictions.
        """
        y_pred = self.module.forward(x)
        loss = self.objective(y_pred, y, sample_weight)
        self.backward(self.loss.backward())
        self.step()
        return loss, y_pred

    def objective(self, y_pred: Any, y: Any, sample_weight: Tensor | None = None) -> Tensor:
        """The loss, and the penalties of regularizers, whose gradients the optimizer adds."""
        if self._penalties_at != Parameter.revisions:
            self._penalized = [p for p in self.module.parameters() if p.regularizer and p.trainable]
            self._penalties_at = Parameter.revisions
        loss = self.loss.forward(y_pred, y, sample_weight)
        for parameter in self._penalized:
            loss = loss + parameter.regularizer.penalty(parameter.data)
        return loss

    def backward(self, dy: Any) -> None:
        """Adds the gradients of one batch into the parameters, going no further than needed."""
        if self.optimizer.accumulates:
            self._rows = rows = batch_size(dy)
            dy = mapped(lambda part: part * rows, dy)
        if self._skips_dx:
            self.module.backward(dy, need_dx=False)  # type: ignore[call-arg]
        else:
            self.module.backward(dy)

    def step(self) -> None:
        """Updates the parameters from their gradients, and clears these."""
        for hook in self._after_backward:
            hook(self.batch)
        if self.optimizer.step(self._rows):
            self.optimizer.zero_grad()
        self.batches_trained += 1

    def require_unwound(self) -> None:
        """Refuses a module whose backward did not take back all that its forward saved.

        Raises: RuntimeError naming it.
        """
        self.unwound = True
        for path, part in self.module.named_modules():
            if part._saved:
                raise RuntimeError(
                    f"{part!r} at {path!r} expects one backward for each forward; got "
                    f"{len(part._saved)} forward calls that no backward went back through. Take "
                    "saved_tensors() once in backward, and go back through each use of a module."
                )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode, and nothing saved for backward, by torch or by modules."""
        with ExitStack() as stack:
            stack.enter_context(mode(self.module.modules(), training=False))
            stack.enter_context(self.module.inference())
            stack.enter_context(torch.inference_mode())
            yield

    @contextmanager
    def cleared_after(self, gathers: bool = False) -> Iterator[None]:
        """Leaves no gradient, saved tensor or hook behind, also when a step fails half-way.

        With gathers=True, micro-batches may wait for an update in a later call.
        """
        waits = gathers and self.optimizer.accumulates
        if not waits:
            self._forget()
        try:
            yield
        except BaseException:
            waits = False
            raise
        finally:
            self._after_backward = ()
            if not waits:
                self._forget()

    def _forget(self) -> None:
        self.module.zero_grad()
        self.optimizer.zero_grad()
        self.loss.forget()

    def train_epochs(self, plan: Plan, hooks: CallbackList) -> None:
        """Trains epoch after epoch: the loop that `fit` is about."""
        logs: dict[str, Any] = {}
        self.unwound, parts = False, list(self.module.modules())
        self._after_backward = tuple(hooks.listeners("on_backward_end"))
        for epoch in plan.epochs:
            hooks.on_epoch_begin(epoch, {})
            batches = plan.data.batches(plan.batch_size, plan.order(epoch))
            noise = drawing_from(partial(plan.noise, epoch, self.device))
            with mode(parts, training=True), noise:
                self.train_epoch(batches, hooks)
                if self.optimizer.flush():  # micro-batches that are left over
                    self.optimizer.zero_grad()
            logs = self.scores.final_results()
            if plan.validation is not None:
                validation = self.test_epoch(plan.validation.batches(plan.batch_size), hooks)
                logs |= {f"val_{name}": value for name, value in validation.items()}
            self.epochs_trained = max(self.epochs_trained, epoch) + 1
            hooks.on_epoch_end(epoch, dict(logs))  # what callbacks add stays with this epoch
            if self.stop_training:
                break
        self.optimizer.finalize()
        hooks.on_train_end(logs)

    def train_epoch(self, batches: Iterable[Batch], hooks: CallbackList) -> None:
        """One pass over the batches; nothing in it waits for the device."""
        begin = hooks.listeners("on_train_batch_begin")
        ticks, end = (hooks.listeners("on_train_batch_end", ticking) for ticking in (True, False))
        scores = self.scores
        scores.reset()
        with torch.inference_mode():
            for self.batch, (x, y, sample_weight) in enumerate(batches):
                for hook in begin:
                    hook(self.batch, {})
                loss, y_pred = self.train_step(x, y, sample_weight)
                scores.update(loss, y_pred, y, sample_weight, self.loss.values)
                if not self.unwound:
                    self.require_unwound()
                if end:
                    logs = RunningLogs(scores)
                    for hook in end:
                        hook(self.batch, logs)
                for hook in ticks:
                    hook(self.batch)
                if self.stop_training:
                    break

    def test_epoch(self, batches: Iterable[Batch], hooks: CallbackList) -> dict[str, float]:
        """One pass that changes nothing; returns the final means."""
        begin, end = (hooks.listeners(f"on_test_batch_{when}") for when in ("begin", "end"))
        scores = self.scores.fresh()
        hooks.on_test_begin({})
        with self.evaluating():
            for batch, (x, y, sample_weight) in enumerate(batches):
                for hook in begin:
                    hook(batch, {})
                y_pred = self.module.forward(x)
                loss = self.objective(y_pred, y, sample_weight)
                scores.update(loss, y_pred, y, sample_weight, self.loss.values)
                if end:
                    logs = RunningLogs(scores)
                    for hook in end:
                        hook(batch, logs)
        results = scores.final_results()
        hooks.on_test_end(dict(results))
        return results

    def predict_epoch(self, batches: Iterable[Batch], hooks: CallbackList) -> list[Any]:
        """One pass for the outputs alone, each moved to the host as numpy arrays."""
        begin, end = (hooks.listeners(f"on_predict_batch_{when}") for when in ("begin", "end"))
        outputs = []
        hooks.on_predict_begin({})
        with self.evaluating():
            for batch, (x, _, _) in enumerate(batches):
                for hook in begin:
                    hook(batch, {})
                outputs.append(mapped(_on_host, self.module.forward(x)))
                for hook in end:
                    hook(batch, {"outputs": outputs[-1]})
        hooks.on_predict_end({})
        return outputs


def _on_host(output: Tensor) -> Any:
    return output.cpu().numpy()


@contextmanager
def mode(parts: Iterable[Module], training: bool) -> Iterator[None]:
    """Puts modules into training or evaluation mode inside the block."""
    changed = [part for part in parts if part.training != training]
    for part in changed:
        part.training = training
    try:
        yield
    finally:
        for part in changed:
            part.training = not training


@contextmanager
def stopping_on_interrupt(trainer: Trainer) -> Iterator[None]:
    """Lets the first Ctrl-C end training cleanly after the batch; a second one raises."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        trainer.stop_training = True
        with suppress(OSError, RuntimeError, ValueError):  # standard error may be closed or busy
            print("Interrupted: training ends after this batch. Ctrl-C again breaks off.",
                  file=sys.stderr)

    before = signal.signal(signal.SIGINT, stop) or signal.SIG_DFL
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
