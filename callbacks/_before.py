"""What a step began with, as far as it is gone by the time that its gradients are known."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.insight.replaying.step import FORMAT, Step
from kerasish.random import global_states

_SLOW = ("python", "numpy")


class Before:
    """Keeps, step by step, what cannot be read off the model between backward and update.

    Weights and slots are still those from before then. Gone are the running statistics and the
    states of generators. Modules of kerasish draw from the noise alone, so the global generators
    are asked only where a class is the user's own: torch's in each step, Python's and numpy's where
    the first batch of the epoch drew from them. A `train_step` of one's own may do anything, so all
    is kept then.

    Args:
        model: that is trained, and built.
    """

    def __init__(self, model: Any) -> None:
        parts = list(model.module.modules())
        self.model, self.whole = model, model.trains_by_itself
        self.has_own = any(not type(each).__module__.startswith("kerasish.")
                           for each in (model, model.loss, *parts))
        self._buffers = [(part, name) for part in parts for name in part._buffer_names]
        self._kept = [buffer.clone() for buffer in self._live()]
        self._noise: Tensor | None = None
        self._random: dict[str, Any] | None = None
        self._state: tuple[Any, Any] | None = None
        self.number = 0
        """The batches trained in all fits, with this one."""
        self.begin_epoch()

    def _live(self) -> list[Tensor]:
        return [getattr(part, name) for part, name in self._buffers]

    def begin_epoch(self) -> None:
        """Asks all generators again, for one step."""
        self._drawn: tuple[str, ...] = (*_SLOW, "torch") if self.has_own else ()
        self._is_first = True

    def note(self, ahead: int = 0) -> None:
        """Keeps what there is before a step, or before the one so many steps ahead."""
        self.number = self.model.batches_trained + 1 + ahead
        self._noise = self.model.run.noise.state()
        if self._kept:
            torch._foreach_copy_(self._kept, self._live())
        if self._drawn:
            self._random = global_states(self._drawn)
        if self.whole:
            self._state = self.model._trainers_state(), self.model.own_state()

    def settle(self) -> None:
        """After the first backward of an epoch: asks no more whom nobody draws from."""
        if self._is_first and self._random is not None:
            now, then = global_states(_SLOW), self._random
            moved = (name for name in _SLOW if not all(map(np.array_equal, now[name], then[name])))
            self._drawn, self._is_first = ("torch", *moved), False

    def exchange_buffers(self) -> None:
        """Puts the running statistics from before in, or takes them out again."""
        live = self._live()
        now = [buffer.clone() for buffer in live]
        for buffer, kept in zip(live, self._kept, strict=True):
            buffer.copy_(kept)
        self._kept = now

    def step(self) -> Step:
        """The step for a file, with the model's buffers as they are now."""
        model, run = self.model, self.model.run
        trainers, own = self._state or (_without_waiting(model._trainers_state()),
                                        model.own_state())
        noise = self._noise
        if noise is None:  # nothing was drawn in this epoch before
            noise = run.plan.noise(run.epoch, run.device)().get_state()
        return {"format": FORMAT, "class": type(model).__name__, "epoch": run.epoch,
                "batch": model.batch, "step": self.number, "trainers": trainers, "own": own,
                "data": tuple(model.batch_data), "device": model.device.type, "noise": noise,
                "random": self._random, "first": None}


def _without_waiting(trainers: dict[str, Any]) -> dict[str, Any]:
    """The states without gradients, to which those of this batch have been added already."""
    for trainer in trainers.values():
        for optimizer in trainer["optimizers"].values():
            optimizer |= {"gathered_batches": 0, "gathered_rows": 0, "gradients": []}
    return trainers
