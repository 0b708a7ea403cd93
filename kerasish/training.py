"""The loop: forward, loss, backward, update, and whom to tell. It exists once."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from kerasish.data import Batch, whole
from kerasish.executions import Executing
from kerasish.hooks import CallbackList
from kerasish.metrics import RunningLogs, Scores
from kerasish.module import Module
from kerasish.random import drawing_from
from kerasish.running import Run
from kerasish.trees import mapped


class Trainer(Executing):
    """A module with a loss and an optimizer, and the loop that trains it."""

    device: torch.device

    batches_trained = 0
    """Batches trained in all fits so far: logs that go on across fits count with them."""
    stop_training = False
    """Set it in a hook to end training after the batch or the epoch."""
    interrupted = False
    """Whether Ctrl-C has ended, or is about to end, training."""
    diverged = False
    """Whether training ended because of a value that is not finite."""
    steps_per_execution = 1
    """Batches that callbacks are told of at once."""
    epochs_trained = 0
    """Epochs ended in all fits so far; a fit that starts at a later `initial_epoch` counts the
    epochs before it as done."""
    _tested: tuple[Batch, Any] | None = None
    _scores: Scores | None = None
    _answered_names: list[str] | None = None

    @property
    def scores(self) -> Scores:
        """The running means of the epoch that is being trained."""
        if self._scores is None:
            raise RuntimeError("Trainer.scores expects a model that has seen targets; got one that "
                               "has not. Call fit or evaluate first.")
        return self._scores

    @property
    def tested(self) -> tuple[Batch, Any] | None:
        """Within `on_test_batch_end`: the batch, and what `test_step` answered for it."""
        return self._tested and (whole(self._tested[0]), self._tested[1])

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode, and nothing saved for backward, by torch or by modules."""
        if self._compute is not None:
            self._compute.expire()
        with ExitStack() as stack:
            stack.enter_context(mode(self.module.modules(), training=False))
            stack.enter_context(self.module.inference())
            stack.enter_context(torch.inference_mode())
            yield

    def _forget(self) -> None:
        super()._forget()
        if self._scores is not None:
            self._scores.forget()

    def train_epochs(self, run: Run) -> None:
        """Trains epoch after epoch: the loop that `fit` is about."""
        plan, hooks, parts = run.plan, run.hooks, list(self.module.modules())
        self.unwound, self._after_backward = False, tuple(hooks.listeners("on_backward_end"))
        if self.group is not None and self.optimizer.exchange is not None:
            (looked_at,) = self.group.any([bool(self._after_backward)])
            self.optimizer.exchange.everywhere = looked_at
        compiled = self.jit is not None and self.jit.ready(self, hooks)
        at_once = self.steps_per_execution if compiled else None
        for epoch in range(run.epoch, plan.epochs.stop):
            self.agree_to_stop()
            if self.stop_training or self.interrupted:
                break
            batches = run.begin_epoch(epoch, at_once)
            with mode(parts, training=True), drawing_from(run.noise):
                if at_once is None:
                    self.train_epoch(batches, run)
                else:
                    self.train_executions(batches, run, self.scores, run.full_stack(at_once))
            if self.group is not None:  # statistics are of each process' own rows
                self.group.take_from_first(self.module.buffers())
            if self.interrupted:
                run.interrupt(self.batch)
            if self.optimizer.flush():  # micro-batches that are left over
                self.optimizer.zero_grad()
            logs = self.scores.final_results()
            if plan.validates(epoch):
                validation = self.test_epoch(plan.validation_batches(), hooks)
                logs |= {f"val_{name}": value for name, value in validation.items()}
            self.epochs_trained = max(self.epochs_trained, epoch) + 1
            run.end_epoch(logs)
        self.optimizer.finalize()
        run.end()

    def train_epoch(self, batches: Iterable[Batch], run: Run) -> None:
        """One pass over the batches that are left; nothing in it waits for the device."""
        begin, every = run.hooks.listeners("on_train_batch_begin"), self.steps_per_execution
        together = self.group is not None
        scores, tell, first = self.scores, run.teller(self.scores), run.batch
        if not first:
            scores.reset()
        self.batch = first - 1
        with torch.inference_mode():
            for self.batch, self._batch_data in enumerate(batches, first):
                x, y, sample_weight = self._batch_data
                if together:
                    run.begin_batch(self.batch)
                if begin and self.batch % every == 0:
                    for hook in begin:
                        hook(self.batch, {})
                outcome = self.train_step(x, y, sample_weight)
                self.batches_trained += 1
                self.record(scores, outcome, x, y, sample_weight)
                if not self.unwound:
                    self.require_unwound()
                if tell and (self.batch + 1) % every == 0:
                    tell(self.batch)
                if together:
                    self.agree_to_stop()
                if self.stop_training or self.interrupted:
                    break
            if tell and self.batch >= first and (self.batch + 1) % every:
                tell(self.batch)

    def agree_to_stop(self) -> None:
        """Ends training in all processes after the same batch, whichever wants to end it."""
        if self.group is not None:
            self.stop_training, self.interrupted = self.group.any(
                (self.stop_training, self.interrupted))

    def test_epoch(self, batches: Iterable[Batch], hooks: CallbackList) -> dict[str, float]:
        """One pass that changes nothing; returns the final means."""
        begin, end = (hooks.listeners(f"on_test_batch_{when}") for when in ("begin", "end"))
        scores = self.scores.fresh()
        hooks.on_test_begin({})
        with self.evaluating():
            for batch, (x, y, sample_weight) in enumerate(batches):
                for hook in begin:
                    hook(batch, {})
                outcome = self.test_step(x, y, sample_weight)
                self.record(scores, outcome, x, y, sample_weight)
                if end:
                    logs = RunningLogs(scores)
                    with self._showing((x, y, sample_weight), outcome):
                        for hook in end:
                            hook(batch, logs)
        results = scores.final_results()
        self._answered_names = list(results)
        self.loss.forget()
        hooks.on_test_end(dict(results))
        return results

    @contextmanager
    def _showing(self, batch: Batch, outcome: Any) -> Iterator[None]:
        """Lets hooks see a batch of validation; nothing of it is held afterwards."""
        self._tested = batch, outcome
        try:
            yield
        finally:
            self._tested = None

    def predict_epoch(self, batches: Iterable[Batch], hooks: CallbackList) -> list[Any]:
        """One pass for the outputs alone, each moved to the host as numpy arrays."""
        begin, end = (hooks.listeners(f"on_predict_batch_{when}") for when in ("begin", "end"))
        outputs = []
        hooks.on_predict_begin({})
        with self.evaluating():
            for batch, (x, _, _) in enumerate(batches):
                for hook in begin:
                    hook(batch, {})
                outputs.append(mapped(on_host, self.predict_step(x)))
                for hook in end:
                    hook(batch, {"outputs": outputs[-1]})
        hooks.on_predict_end({})
        return outputs


def on_host(output: Tensor) -> Any:
    """The tensor as a numpy array."""
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
