"""The fit that is running: where it is, what it is told, and how it is interrupted."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kerasish.hooks import CallbackList
from kerasish.metrics import RunningLogs, Scores
from kerasish.plan import Plan
from kerasish.random import draw_from
from kerasish.types import Device


class Run:
    """Where a fit is in its plan, and who is told of it.

    Args:
        plan: what it is to do, its data on the device.
        hooks: whom it tells.
        device: where noise is drawn.
    """

    def __init__(self, plan: Plan, hooks: CallbackList, device: Device) -> None:
        self.plan, self.hooks, self.device = plan, hooks, device
        self.epoch = plan.epochs.start
        """The epoch that is being trained, or is trained next."""
        self.batch = 0
        """Batches of it that are done, where the run is looked at or went on within an epoch."""
        self.noise = plan.noise(self.epoch, device)
        self.logs: dict[str, Any] = {}
        """What the latest epoch logged."""
        self.ended = False
        """Whether training came to its end and every callback knows."""

    def begin_epoch(self, epoch: int, at_once: int | None = None) -> Iterator[Any]:
        """Tells the callbacks; returns the batches that are left of the epoch.

        Args:
            epoch: its number.
            at_once: how many are to lie in a stack; None hands them out one by one.
        """
        self.epoch = epoch
        if self.batch:
            self.hooks.on_epoch_resume(epoch, self.batch)
        else:
            self.noise = self.plan.noise(epoch, self.device)
            self.hooks.on_epoch_begin(epoch, {})
        if at_once is not None:
            return self.plan.source.stacks(epoch, self.plan.steps, self.batch, at_once)
        return self.plan.source.epoch(epoch, self.plan.steps, self.batch)

    def begin_batch(self, batch: int) -> None:
        """Begins the noise of a batch, in processes where it does not go on from the one before.

        So the first process alone has a place in its noise that is put away.
        """
        if self.plan.rank:
            self.noise = self.plan.noise(self.epoch, self.device, batch)
            draw_from(self.noise)

    def full_stack(self, steps: int) -> int:
        """How many batches of full size are trained at once, where `steps` are asked for."""
        source, known = self.plan.source, self.plan.batches_an_epoch
        if known is not None and self.plan.steps is None and source.samples and source.batch_size:
            known = max(1, source.samples // source.batch_size)
        return min(steps, known or steps)

    def teller(self, scores: Scores) -> Callable[[int], None] | None:
        """What tells the callbacks that a batch is done; None if none of them listens."""
        ticks, end = (self.hooks.listeners("on_train_batch_end", each) for each in (True, False))
        settled = self.hooks.listeners("on_settled")
        if not (ticks or end or settled):
            return None

        def tell(batch: int) -> None:
            if end:
                logs = RunningLogs(scores)
                for hook in end:
                    hook(batch, logs)
            for hook in ticks:
                hook(batch)
            if settled:
                self.batch = batch + 1
                for hook in settled:
                    hook(self.epoch, batch)

        return tell

    def interrupt(self, batch: int) -> None:
        """Tells the callbacks that nothing comes after this batch but an early end."""
        self.batch = batch + 1
        self.hooks.on_interrupt(self.epoch, batch)

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Tells the callbacks what the epoch logged."""
        epoch, self.epoch, self.batch, self.logs = self.epoch, self.epoch + 1, 0, logs
        self.hooks.on_epoch_end(epoch, dict(logs))  # what callbacks add stays with this epoch
        self.hooks.on_settled(epoch)

    def end(self) -> None:
        """Tells the callbacks that training came to its end."""
        self.hooks.on_train_end(self.logs)
        self.ended = True


@contextmanager
def stopping_on_interrupt(trainer: Any) -> Iterator[None]:
    """Lets the first Ctrl-C end training cleanly after the batch; a second one raises."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        trainer.interrupted = True
        with suppress(OSError, RuntimeError, ValueError):  # standard error may be closed or busy
            print("Interrupted: training ends after this batch. Ctrl-C again breaks off.",
                  file=sys.stderr)

    before = signal.signal(signal.SIGINT, stop) or signal.SIG_DFL
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
