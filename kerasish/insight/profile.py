"""What is slow and what is large: the time and memory of one training step, module by module."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from kerasish.checks import check_count
from kerasish.insight.batch import ready_batch, train_step
from kerasish.insight.live import Live, held_by
from kerasish.insight.moments import BACKWARD, Moments
from kerasish.insight.profile_report import Profile, ProfileRow
from kerasish.insight.stopwatch import (
    FORWARD,
    LOSS,
    LOSS_BACK,
    REST,
    UPDATE,
    WITH_DX,
    WITHOUT_DX,
    Key,
    Stopwatch,
    around_phases,
    clock_of,
)
from kerasish.insight.twin import twin
from kerasish.insight.wording import title_of
from kerasish.parameter import Parameter
from kerasish.paths import values
from kerasish.training import mode
from kerasish.trees import leaves, mapped
from kerasish.watching import Place

_SECONDS, _LEAST, _MOST = 2.0, 3, 50
"""About how long it takes where nobody says how many rounds, and how many these are."""
_ROW_SECONDS, _LONGEST_ROW = 0.003, 20
"""Short steps are timed several in a row: the first ones after a change find the caches cold."""


def profile(
    model: Any, x: Any, y: Any = None, sample_weight: Any = None, repeats: int | None = None
) -> Profile:
    """What `Model.profile` returns, which describes the arguments."""
    if repeats is not None:
        check_count("profile(repeats)", repeats, 1, "None is as many as two seconds allow.")
    with twin(model) as copied:
        batch = ready_batch(copied, "profile", x, y, sample_weight)
        with mode(copied.module.modules(), training=True), torch.inference_mode():
            bench = _Bench(copied, batch)
            bench.measure(repeats)
            return _report(bench)


class _Rounds:
    """Milliseconds of a step by what took them, again and again."""

    def __init__(self) -> None:
        self.ms: list[dict[Key, float]] = []
        self.calls: Mapping[Key, int] = {}
        """In a step; always the same."""

    def add(self, seconds: Mapping[Key, float], calls: Mapping[Key, int], steps: int) -> None:
        """Takes so many steps at once."""
        self.ms.append({key: 1000 * each / steps for key, each in seconds.items()})
        self.calls = {key: each // steps for key, each in calls.items()}

    def median(self, path: str, what: str) -> float:
        """Over the times; 0 for what was not done."""
        return float(np.median([each.get((path, what), 0.0) for each in self.ms]))


class _Bench:
    """A twin and a batch, to be trained on again and again.

    Where micro-batches are accumulated, all that make one update are measured, and divided by their
    number.
    """

    def __init__(self, model: Any, batch: Any) -> None:
        self.model, self.batch = model, mapped(torch.clone, batch)  # not part of something larger
        self.steps = model.optimizer.gradient_accumulation_steps or 1
        self.in_a_row = 1
        self.clock = clock_of(model.device)
        self.watch = Stopwatch(model.module, self.clock)
        self.trained = [each for each in model.module.parameters() if each.trainable]
        self._forget()

    def _forget(self) -> None:
        self.apart, self.frozen = _Rounds(), _Rounds()
        self.whole: list[float] = []

    def measure(self, repeats: int | None) -> None:
        """Measures in rounds, so that what else the machine does reaches all alike."""
        self._round()  # allocators, kernels and caches warm up
        in_a_row = int(1000 * _ROW_SECONDS / max(self.whole[0] * self.steps, 1e-3))
        in_a_row = min(max(in_a_row, 1), _LONGEST_ROW)
        if self.clock is perf_counter:
            self.in_a_row = in_a_row
        else:
            self.steps *= in_a_row  # fit does not wait for the device after each step
        self._forget()
        began = self.clock()
        self._round()
        fitting = int(_SECONDS / max(self.clock() - began, 1e-6))
        self.repeats = repeats or min(max(fitting, _LEAST), _MOST)
        for _ in range(self.repeats - 1):
            self._round()

    def _round(self) -> None:
        self._time_apart(self.apart)
        with self._all_frozen():
            self._time_apart(self.frozen)
        self._time_whole()

    def step(self) -> None:
        """What the loop does with each batch."""
        train_step(self.model, self.batch)

    def _time_apart(self, rounds: _Rounds) -> None:
        watch = self.watch
        with watch, around_phases(self.model, watch.around):
            self._get_going()
            watch.take()
            for _ in range(self.in_a_row):
                for _ in range(self.steps):
                    watch.around(REST, self.step)
                rounds.add(*watch.take(), self.steps)

    def _time_whole(self) -> None:
        self._get_going()
        for _ in range(self.in_a_row):
            began = self.clock()
            for _ in range(self.steps):
                self.step()
            self.whole.append(1000 * (self.clock() - began) / self.steps)

    def _get_going(self) -> None:
        """The first step binds calls anew."""
        for _ in range(1 + self.in_a_row // 4):
            self.step()

    @contextmanager
    def _all_frozen(self) -> Iterator[None]:
        """Nothing is trained, yet every dx is computed, as if something lay below the net."""
        skips, self.model._skips_dx = self.model._skips_dx, False
        self._train(False)
        try:
            yield
        finally:
            self._train(True)
            self.model._skips_dx = skips

    def _train(self, trainable: bool) -> None:
        for parameter in self.trained:
            parameter.trainable = trainable

    def live(self) -> Live:
        """What counts bytes, of those that outlive the step to begin with."""
        return Live(self.model.device.type, [*held_by(self.model), *leaves(self.batch)])


def _report(bench: _Bench) -> Profile:
    live = bench.live()
    moments = Moments(bench.model.module, live)
    with moments, around_phases(bench.model, moments.around), live:
        bench.step()
    with bench.live() as whole:
        bench.step()
    rows = [*(_of_module(bench, place, moments) for place in moments.places), *_besides(bench)]
    total = sum(row.ms for row in rows)
    rows = [replace(row, share=row.ms / total) for row in rows]
    return Profile(rows, float(np.median(bench.whole)), bench.repeats, whole.peak.size,
                   *live.peak)


def _of_module(bench: _Bench, place: Place, moments: Moments) -> ProfileRow:
    """A module; dW is what its backward takes longer than frozen, or all of it without a dx."""
    (path, module), apart, frozen = place, bench.apart, bench.frozen
    with_dx, without_dx = apart.median(path, WITH_DX), apart.median(path, WITHOUT_DX)
    dx, dw = with_dx + without_dx, 0.0
    if any(parameter.trainable for _, parameter in values(module, Parameter)):
        back = path, WITH_DX
        share = apart.calls.get(back, 0) / frozen.calls.get(back, 1)
        dx = min(with_dx, share * frozen.median(*back))
        dw = with_dx - dx + without_dx
    forward = apart.median(path, FORWARD)
    own = f"{title_of(module)}{', itself' if any(True for _ in module.children()) else ''}"
    return ProfileRow(
        f"{path} {own}".strip(), path, apart.calls.get((path, FORWARD), 0), forward, dx, dw,
        forward + dx + dw, 0.0, moments.after.get((path, FORWARD)),
        moments.after.get((path, BACKWARD)))


def _besides(bench: _Bench) -> Iterator[ProfileRow]:
    """What is no module."""
    loss, back, update, rest = (bench.apart.median("", what)
                                for what in (LOSS, LOSS_BACK, UPDATE, REST))
    yield ProfileRow("Loss", None, 1, loss, back, 0.0, loss + back, 0.0)
    yield ProfileRow("Update", None, 1, 0.0, 0.0, 0.0, update, 0.0)
    yield ProfileRow("Metrics and loop", None, 1, 0.0, 0.0, 0.0, rest, 0.0)
