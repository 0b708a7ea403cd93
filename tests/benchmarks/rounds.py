"""Alternating rounds: contestants train in turns, so that each change of the machine meets all.

Before the rounds each contestant trains one epoch, in which it compiles and warms up; this is timed
apart. A second one decides how many epochs are about as long as a round should be. Who takes three
times as long for a single one, and three times as long as kerasish, is in every third round.
"""

import statistics
from collections.abc import Callable
from typing import Any

from tests.benchmarks.contestants import OURS
from tests.benchmarks.workers import Failed, Worker
from tests.benchmarks.workloads import Workload

SLOW = 3
"""Who takes so many times as long as others takes part in every so manieth round."""


class Entry:
    """A contestant in the rounds of one workload."""

    def __init__(self, worker: Worker, workload: Workload) -> None:
        self.worker, self.workload, self.name = worker, workload, worker.contestant
        self.absent: str | None = None
        self.parameters = self.epochs = 0
        self.first, self.loss, self.epoch, self.every = 0.0, 0.0, 0.0, 1
        self.times: dict[int, float] = {}
        """Microseconds a step, by round."""

    def prepare(self, seconds: float) -> None:
        """Warms up, and chooses how many epochs are a round of about so many seconds."""
        try:
            self.parameters = self.worker.ask(prepare=self.workload.request)
            self.first, self.loss = self.worker.ask(train=1)
            self.epoch, _ = self.worker.ask(train=1)
        except Failed as reason:
            self.absent = str(reason)
        else:
            self.epochs = max(1, round(seconds / self.epoch))

    def train(self, number: int) -> None:
        """One round, if it takes part in it."""
        if self.absent or number % self.every:
            return
        try:
            seconds, _ = self.worker.ask(train=self.epochs)
        except Failed as reason:
            self.absent = str(reason)
        else:
            self.times[number] = seconds / (self.epochs * self.workload.steps) * 1e6

    def result(self, ours: "Entry") -> dict[str, Any]:
        """What is kept of it, with its times divided by ours of the same rounds."""
        if self.absent:
            return {"absent": self.absent}
        low, median, high = statistics.quantiles(self.times.values(), n=4)
        found = {"median": median, "low": low, "high": high, "first": self.first,
                 "loss": self.loss, "rounds": len(self.times), "epochs": self.epochs,
                 "parameters": self.parameters}
        if self is not ours and not ours.absent:
            shares = [time / ours.times[number] for number, time in self.times.items()
                      if number in ours.times]
            low, _, high = statistics.quantiles(shares, n=4)
            ratio = median / statistics.median(ours.times.values())
            found |= {"ratio": ratio, "ratio_low": low, "ratio_high": high}
        return {name: rounded(value) for name, value in found.items()}


def race(
    workload: Workload, workers: list[Worker], rounds: int, seconds: float,
    tell: Callable[[str], object] = lambda what: None,
) -> dict[str, Any]:
    """The results of all contestants in so many rounds of about so many seconds, by name.

    What is being done is told on the way.

    Raises: ValueError if they do not train as many numbers: then they race with different nets.
    """
    entries = [Entry(worker, workload) for worker in workers]
    for entry in entries:
        tell(entry.name)
        entry.prepare(seconds)
    require_same_size(entries)
    ours = next((entry for entry in entries if entry.name == OURS), entries[0])
    for entry in entries:
        entry.every = SLOW if entry.epoch > SLOW * max(seconds, ours.epoch) else 1
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for entry in entries:
            entry.train(number)
    return {entry.name: entry.result(ours) for entry in entries}


def require_same_size(entries: list[Entry]) -> None:
    sizes = {entry.name: entry.parameters for entry in entries if not entry.absent}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"race expects nets of one size; got {sizes}. Mend tests/benchmarks/nets.")


def rounded(value: float) -> float:
    """To four digits: more would say more than was measured."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
