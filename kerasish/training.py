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
from kerasish.hooks import CallbackList
from kerasish.metrics import RunningLogs, Scores
from kerasish.module import Module
from kerasish.plan import Plan
from kerasish.random import drawing_from
from kerasish.stepping import Stepper
from kerasish.trees import mapped


class Trainer(Stepper):
    """A module with a loss and an optimizer, and the loop that trains it."""

    device: torch.device

    stop_training = False
    """Set it in a hook to end training after the batch or the epoch."""
    epochs_trained = 0
    """Epochs ended in all fits so far; a fit that starts at a later `initial_epoch` counts the
    epochs before it as done."""
    _scores: Scores | None = None

    @property
    def scores(self) -> Scores:
        """The running means of the epoch that is being trained."""
        if self._scores is None:
            raise RuntimeError("Trainer.scores expects a model that has seen targets; got one that "
                               "has not. Call fit or evaluate first.")
        return self._scores

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode, and nothing saved for backward, by torch or by modules."""
        with ExitStack() as stack:
            stack.enter_context(mode(self.module.modules(), training=False))
            stack.enter_context(self.module.inference())
            stack.enter_context(torch.inference_mode())
            yield

    def _forget(self) -> None:
        super()._forget()
        if self._scores is not None:
            self._scores.forget()

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
        self.loss.forget()
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
    if output.dtype == torch.bfloat16:
        output = output.float()  # numpy has no such type
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
