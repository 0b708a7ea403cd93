"""The loop over compiled steps: several batches at once, and callbacks told of them together."""

from collections.abc import Iterable

import torch

from kerasish.data.executions import Stack
from kerasish.jit import Jit
from kerasish.metrics import Scores
from kerasish.running import Run
from kerasish.stepping import Stepper


class Executing(Stepper):
    """A stepper that trains on stacks of batches, through `torch.compile` where that can be."""

    batches_trained: int
    stop_training: bool
    interrupted: bool
    steps_per_execution: int
    jit: Jit | None = None
    """The compiled steps, if they were asked for."""

    def train_executions(
        self, stacks: Iterable[Stack], run: Run, scores: Scores, most: int
    ) -> None:
        """One pass over the batches that are left; as `train_epoch`, execution by execution.

        Args:
            stacks: batches of one size, as many as callbacks are told of at once or fewer.
            run: whom to tell.
            scores: the running means.
            most: how many a full stack has.
        """
        begin, every = run.hooks.listeners("on_train_batch_begin"), self.steps_per_execution
        tell, first = run.teller(scores), run.batch
        if not first:
            scores.reset()
        self.batch = first - 1
        with torch.inference_mode():
            for stack in stacks:
                if begin and (self.batch + 1) % every == 0:
                    self.batch, self._batch_data = self.batch + 1, stack.batch(0)
                    for hook in begin:
                        hook(self.batch, {})
                    self.batch -= 1
                self._train_stack(stack, scores, most)
                if tell and (self.batch + 1) % every == 0:
                    tell(self.batch)
                if self.stop_training or self.interrupted:
                    break
            if tell and self.batch >= first and (self.batch + 1) % every:
                tell(self.batch)

    def _train_stack(self, stack: Stack, scores: Scores, most: int) -> None:
        """Compiled steps as far as they go, and the others one by one."""
        assert self.jit is not None
        outcomes = self.jit.run(self, stack.batches, stack.steps, most)
        done = 0
        if outcomes is not None:
            done, (_, y, sample_weight) = outcomes.steps, stack.first(outcomes.steps)
            scores.update_all(outcomes.losses, outcomes.y_pred, y, sample_weight,
                              outcomes.values, stack.size)
            self.batch += done
            self.batches_trained += done
            self.batch_loss, self._batch_data = outcomes.losses[-1], stack.batch(done - 1)
        for place in range(done, stack.steps):
            self.batch += 1
            self._batch_data = x, y, sample_weight = stack.batch(place)
            outcome = self.train_step(x, y, sample_weight)
            self.batches_trained += 1
            self.record(scores, outcome, x, y, sample_weight)
            if not self.unwound:
                self.require_unwound()
