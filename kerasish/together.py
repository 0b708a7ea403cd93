"""Training by several processes: how they come together, and what each of them leaves to the first.

Each process goes forward and back through rows of its own of every batch; outputs are brought
together before the loss, and gradients added up before the update. So each sees the loss of the
whole batch, whatever it is made of, and makes the same update and the same logs.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kerasish.configured import is_plain
from kerasish.distributed import Exchange, joined
from kerasish.hooks import Callback, CallbackList, flattened
from kerasish.plan import Plan
from kerasish.progress import ProgressLine, check_verbose
from kerasish.training import Trainer


class Together(Trainer):
    """A trainer that may be one of several processes, started by torchrun."""

    precision: torch.dtype | None
    compiled: bool
    distribute: str | None = "auto"
    """How it is to train with others: see `Model`."""

    def join(self) -> None:
        """Finds the others, if there are any; to be called before anything is computed."""
        self.group = joined(self.distribute)
        if not self.compiled:
            return
        exchange: Any = self.optimizer.exchange
        if exchange is not None and exchange.group == self.group:
            exchange.reset()
        elif self.group is not None or exchange is not None:
            self.optimizer.share_with(self.group and Exchange(
                self.group, self.optimizer, divided=self.distribute == "zero"))

    def begin_together(self, plan: Plan) -> Plan:
        """Compares what is to be trained, and takes the weights and the seed of the first process.

        Raises: ValueError, in all processes, if they are not about to train the same.

        Returns: the plan, with that seed.
        """
        if self.group is None:
            return plan
        self.group.require_same(self._facts_of(plan))
        plan.require_batches_for(self.module, self.group.size)
        with torch.inference_mode(False):
            self.group.take_from_first(flat.data for flat in self.optimizer.flats)
            self.group.take_from_first(self.module.buffers())
        return plan.shared(self.group, self.reads_whole)

    def agreed_seed(self, plan: Plan) -> Plan:
        """The plan with the seed of the first process, if they draw one each."""
        if self.group is None or plan.seed_is_given:
            return plan
        return plan.reseeded(self.group.agreed(plan.seed))

    def _hooks(
        self, who: str, callbacks: Any, verbose: str | int, steps: int | None, *own: Callback,
        trial: bool = False, **more: Any,
    ) -> CallbackList:
        """The callbacks of one run, told what is known of it; the progress line comes last."""
        given, shown = self.wanted_here(callbacks, trial), check_verbose(who, verbose)
        params = {"verbose": shown if self.is_first else 0, "steps": steps}
        more |= {"trial": True} if trial else {}
        return CallbackList([*given, *own, ProgressLine()], self, {**params, **more})

    def wanted_here(self, callbacks: Any, trial: bool) -> list[Callback]:
        """The callbacks that this process is to have."""
        found: Iterable[Callback] = flattened(callbacks)
        if trial:
            return [each for each in found if not each.leaves_traces]
        return [each for each in found
                if self.is_first or each.in_all_processes or not each.leaves_traces]

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """What the first process cannot write, in the block, is an error in all of them.

        Raises: its OSError.
        """
        failure: OSError | None = None
        try:
            yield
        except OSError as error:
            failure = error
        if self.group is not None:
            failure = self.group.agreed(failure)
        if failure is not None:
            raise failure

    def _facts_of(self, plan: Plan) -> dict[str, Any]:
        """What must be the same everywhere, from the plain to the particular."""
        shapes = {path: (tuple(p.shape), p.data.dtype, p.trainable)
                  for path, p in self.module.named_parameters()}
        settings = {path: plain for path, part in self.module.named_modules() if (plain := {
            name: value for name, value in part.get_config().items() if is_plain(value)})}
        return {
            "version of torch": torch.__version__,
            "layers": [type(each).__name__ for each in self.module.modules()],
            "settings of layers": settings,
            "parameters": shapes,
            "optimizer": (self.optimizer, vars(self.optimizer).get("_rate")),
            "loss": self.loss,
            "precision": self.precision,
            "metrics": self.scores.names,
            "seed": plan.seed,
            "epochs": plan.epochs,
            "number of samples": plan.source.samples,
            "number of batches an epoch": plan.batches_an_epoch,
            "batch_size": plan.source.batch_size,
            "shuffle": plan.source.shuffle,
        }
