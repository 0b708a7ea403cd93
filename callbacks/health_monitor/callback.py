"""Tells while a net trains what in it is dead, saturated, vanishing or exploding."""

import sys
from typing import Any, ClassVar

from kerasish.checks import check_count, check_number, check_positive
from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.trees import batch_size
from kerasish.types import Logs

from .alarm import Alarm, Finding
from .judging import Judge, Limits
from .numbers import Numbers
from .report import report
from .window import Window


class HealthMonitor(Callback):
    """Says in a sentence which module of a net is ill, and what to do; keeps it in `alarms`.

    It looks at one step of every so many, and judges windows of steps by it:

        silent          units of a ReLU or of its kin whose output is 0 for every sample
        saturated       units of a tanh or of its kin that are within 1 % of an end for every sample
        vanishing       ‖dL/dw‖ < vanishing · that of a layer after it, in every step
        exploding       ‖dL/dw‖ ≥ exploding · what it was in the first window, and > ‖w‖; or
                        ‖dL/dw‖ ≥ exploding · that of each layer after it
        not finite      ‖dL/dw‖ is not a number, or infinite
        small updates   ‖Δw‖ / ‖w‖ has never been as large as the lower limit
        large updates   ‖Δw‖ / ‖w‖ > the upper limit

    Each is said once for a module, and again only if it went away and came back. Training is the
    same to the bit, and costs at most 2 % more on a net of the size of MNIST's; the device is read
    once a window. A step that is looked at costs up to one more, and a copy of the trainable
    weights: for nets with a few hundred weights a larger `every` keeps the share small.

    A unit is a feature of (N, F) and of (N, L, F), or a channel of (N, C, L), (N, C, H, W) and
    (N, C, D, H, W). What range an activation has is known from its class, one of your own included
    if it declares `y_range` beside its forward. At the end of a net, where to be near the ends is
    the aim, a unit is saturated if it is at the same end for every sample, exactly. Gradients and
    updates are judged of layers with a matrix of weights; the others are in the report. While all
    units of a module are silent or saturated, nothing is said of gradients: it is why they are 0.
    What has been large enough once may get small, as rates decay and training converges. Watched is
    `model.module`; a `train_step` of your own is looked at up to its first `step()`.

    Source: Lu et al. (2020), "Dying ReLU and Initialization: Theory and Numerical Examples"; Glorot
        & Bengio (2010), "Understanding the Difficulty of Training Deep Feedforward Neural
        Networks", for saturation and vanishing; Pascanu et al. (2013), "On the Difficulty of
        Training Recurrent Neural Networks", for exploding; updates of about 0.1 % of the weights
        are a rule of thumb in the course notes of Stanford's CS231n.
    Raises: ValueError for arguments out of range.

    Args:
        every: steps from one that is looked at to the next, 1 or more.
        window: steps that are judged together, `every` or more; the last window may be shorter.
        samples: how many there must be in the steps looked at, for units to be judged: a window is
            longer if they are fewer.
        silent: the share of the units of a module that may not be silent, above 0 to 1.
        saturated: the share of those that may not be saturated, above 0 to 1.
        vanishing: see above; above 0.
        exploding: see above; above 0.
        updates: the lower and the upper limit; 0 or more.

    Example:
        >>> monitor = HealthMonitor(every=20, silent=0.9)
        >>> monitor.alarms
        []
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    runs_in_step: ClassVar[bool] = True

    def __init__(
        self, every: int = 100, window: int = 500, samples: int = 100, silent: float = 0.5,
        saturated: float = 0.5, vanishing: float = 1e-6, exploding: float = 1e3,
        updates: tuple[float, float] = (1e-6, 0.1),
    ) -> None:
        self.every = check_count("HealthMonitor(every)", every, 1, "1 looks at each step.")
        self.window = check_count("HealthMonitor(window)", window, self.every,
                                  "It cannot be shorter than `every`.")
        self.samples = check_count("HealthMonitor(samples)", samples, 1)
        self.limits = Limits(
            _check_share("silent", silent), _check_share("saturated", saturated),
            check_positive("HealthMonitor(vanishing)", vanishing),
            check_positive("HealthMonitor(exploding)", exploding), _check_pair(updates))
        self._begin_run()

    def _begin_run(self) -> None:
        self.alarms: list[Alarm] = []
        """All that was said in the latest fit."""
        self.numbers: list[Numbers] = []
        """What was measured in the latest window."""
        self._judge = Judge(self.limits)
        self._holding: set[tuple[str, str]] = set()
        self._seen: Window | None = None
        self._epoch = self._start = self._units_start = self._next = 0  # the others count steps
        self._due = sys.maxsize  # the batch of the epoch to look at next

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begin_run()
        self._start = self._units_start = self.model.batches_trained
        self._next = self._start + self.every - 1

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.on_epoch_resume(epoch, 0)

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self._epoch = epoch
        self._due = batch + max(0, self._next - self.model.batches_trained)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        if batch >= self._due and self._will_update():  # most batches cost a comparison alone
            self._due = sys.maxsize
            self._updates_before = self.model.optimizer.iterations
            self._opened().begin()

    def on_backward_end(self, batch: int) -> None:
        if self._seen is not None and self._seen.looks:
            optimizer, rows = self.model.optimizer, 1
            if optimizer.accumulates:
                rows = optimizer.gathered_rows + batch_size(self.model._batch_data[0])
            self._seen.backward_ends(rows)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self._seen is not None and self._seen.looks:
            now, updates = self.model.batches_trained, self.model.optimizer.iterations
            self._seen.end(batch_size(self.model._batch_data[0]),
                           max(1, updates - self._updates_before))
            self._next, self._due = now + self.every - 1, batch + self.every
            if now - self._start >= self.window:
                self._judge_window(now)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._seen is not None and self._seen.rows:
            self._judge_window(self.model.batches_trained)
        steps = self.model.batches_trained - self._start
        if self._seen is None and 0 < steps < self.every and "trial" not in self.params:
            notice(f"HealthMonitor has looked at no step of this fit: it had {steps:,}, and one of "
                   f"every {self.every:,} is looked at. Choose a smaller `every`.")

    def report(self) -> None:
        """Prints what was measured of each module in the latest window."""
        print(report(self.numbers))

    def state_dict(self) -> dict[str, Any]:
        seen = self._seen.state_dict() if self._seen is not None else None
        return {"alarms": [list(alarm) for alarm in self.alarms],
                "numbers": [list(each) for each in self.numbers],
                "holding": [list(each) for each in sorted(self._holding)],
                "first": dict(self._judge.first), "largest": dict(self._judge.largest),
                "start": self._start, "units_start": self._units_start, "next": self._next,
                "seen": seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.alarms = [Alarm(*each) for each in state["alarms"]]
        self.numbers = [Numbers(*each) for each in state["numbers"]]
        self._holding = {(path, kind) for path, kind in state["holding"]}
        self._judge.first = dict(state["first"])
        self._judge.largest = dict(state["largest"])
        self._start, self._units_start = state["start"], state["units_start"]
        self._next = state["next"]
        if state["seen"] is not None:
            self._opened().load_state_dict(state["seen"], self.model.device)

    def close(self) -> None:
        if self._seen is not None:
            self._seen.stop()

    def _opened(self) -> Window:
        if self._seen is None:
            self._seen = Window(self.model.module)
        return self._seen

    def _will_update(self) -> bool:
        """Whether it is no micro-batch that waits for others."""
        optimizer = self.model.optimizer
        gathered = optimizer.gathered_batches + self.model.steps_per_execution
        return bool(gathered >= (optimizer.gradient_accumulation_steps or 1))

    def _judge_window(self, now: int) -> None:
        seen = self._opened()
        enough = seen.samples >= self.samples
        self.numbers = seen.read(enough)
        lengths = now - self._start, (now - self._units_start if enough else None)
        for finding in self._judge.findings(self.numbers, *lengths):
            self._take(finding, now)
        self._start = now
        if enough:
            self._units_start = now

    def _take(self, finding: Finding, now: int) -> None:
        key = finding.numbers.path, finding.kind
        if not finding.holds:
            self._holding.discard(key)
        elif key not in self._holding:
            self._holding.add(key)
            alarm = Alarm(now, self._epoch, *key, finding.value, finding.sentence)
            self.alarms.append(alarm)
            notice(f"Epoch {self._epoch + 1}, step {now:,}: {alarm}")


def _check_share(name: str, value: Any) -> float:
    who, fix = f"HealthMonitor({name})", "0.5 is half of the units."
    return check_number(who, check_positive(who, value, fix), high=1, fix=fix)


def _check_pair(value: Any) -> tuple[float, float]:
    who = "HealthMonitor(updates)"
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{who} expects two limits; got {value!r}. (1e-6, 0.1), for instance, are "
                         "some.")
    low = check_number(who, value[0], 0)
    return low, check_number(who, value[1], low, fix="The upper limit comes last.")
