"""Microseconds a training step on the disc net: plain torch, bare kernels, and `Model.fit`.

Run `python -m tests.benchmarks.step`. All contestants train the same net on the same data with the
same optimizer in one process on one thread, in alternating rounds, so that a change in the speed of
the machine meets all of them. The medians are printed, with the spread of the middle half.
"""

import argparse
import os
import platform
import pty
import statistics
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import TextIO

import torch

from tests.benchmarks.contestants import bare_loop, kerasish_fit, plain_torch
from tests.benchmarks.workloads import WORKLOADS

Run = Callable[[], object]


@contextmanager
def terminal():
    """Standard output on a pseudo-terminal, read by a process of its own as a real one is."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 100))
    with subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as screen:
        os.close(reader)
        try:
            with os.fdopen(writer, "w") as file:
                yield file
        finally:
            screen.terminate()


def measure(contestants: dict[str, Run], rounds: int, steps: int,
            clock: Callable[[], float] = time.perf_counter) -> dict[str, list[float]]:
    """Microseconds a step, by contestant and round; the first round only warms up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            start = clock()
            run()
            times[name].append((clock() - start) / steps * 1e6)
    return {name: values[1:] for name, values in times.items()}


def compare(batch_size: int, rounds: int, epochs: int) -> dict[str, list[float]]:
    """Measures all contestants at one batch size."""
    workload = WORKLOADS[f"disc, batch {batch_size}"]
    shown = kerasish_fit.prepare(workload, verbose=1)
    trainings = [plain_torch.prepare(workload), bare_loop.prepare(workload),
                 kerasish_fit.prepare(workload)]
    with terminal() as screen:
        runs = [partial(training.run, epochs) for training in trainings]
        runs.append(lambda: shown_on(screen, partial(shown.run, epochs)))
        names = ("plain torch", "bare kernels", "fit", "fit with bar")
        return measure(dict(zip(names, runs, strict=True)), rounds, epochs * workload.steps)


def shown_on(screen: TextIO, run: Run) -> object:
    """Runs with standard output there."""
    with redirect_stdout(screen):
        return run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    rounds = max(2, parser.parse_args().rounds)
    torch.set_num_threads(1)
    print(f"disc net 2-25-25-25-1, SGD, µs a step: median of {rounds} rounds [middle half]")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, one thread")
    print(f"{'batch':>5}  {'plain torch':>19} {'bare kernels':>19} {'fit':>19} {'fit with bar':>19}"
          f"  {'plain/fit':>9} {'fit/bare':>8} {'bar/fit':>7}")
    for batch_size, epochs in ((1, 1), (2, 2), (32, 20), (250, 60)):
        times = compare(batch_size, rounds, epochs)
        cells = []
        for values in times.values():
            low, _, high = statistics.quantiles(values, n=4)
            cells.append(f"{statistics.median(values):6.1f} [{low:5.1f}-{high:5.1f}]")
        plain, bare, fit, bar = (statistics.median(values) for values in times.values())
        print(f"{batch_size:>5}  {' '.join(f'{cell:>19}' for cell in cells)}"
              f"  {plain / fit:>9.2f} {fit / bare:>8.2f} {bar / fit:>7.2f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
