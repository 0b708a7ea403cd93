"""Where the time of a training step goes, by operation, in kerasish and in torch tuned.

Run `python -m tests.benchmarks.shares LSTM ResNet-18`: it prints the operations that take most, as
torch's profiler sees them, on one thread. Where both spend nearly all of it in the same kernels,
neither can be much faster than the other.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch

from tests.benchmarks.contestants import kerasish_fit, tuned_torch
from tests.benchmarks.workloads import WORKLOADS

MOST = 5


def shares(run: Callable[[int], Any]) -> list[tuple[str, float]]:
    """The operations of an epoch with their shares of its time, the largest first."""
    run(1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run(1)
    events = sorted(profiler.key_averages(), key=lambda each: -each.self_cpu_time_total)
    whole = sum(each.self_cpu_time_total for each in events)
    return [(each.key, each.self_cpu_time_total / whole) for each in events]


def main(names: list[str]) -> None:
    """A line for each contestant and workload."""
    torch.set_num_threads(1)
    for name in names:
        for contestant in (kerasish_fit, tuned_torch):
            most = shares(contestant.prepare(WORKLOADS[name]).run)[:MOST]
            print(f"{name}, {contestant.__name__.rpartition('.')[2]}: " + ", ".join(
                f"{operation} {share:.0%}" for operation, share in most))


if __name__ == "__main__":
    main(sys.argv[1:] or ["LSTM", "ResNet-18"])
