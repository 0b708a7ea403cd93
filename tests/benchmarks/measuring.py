"""A run of the benchmark: what is asked for, one after the other, each kept when it is done."""

import argparse
import sys
import time

import torch

from tests.benchmarks import importing, memory
from tests.benchmarks.kept import Kept
from tests.benchmarks.rounds import race
from tests.benchmarks.workers import running
from tests.benchmarks.workloads import WORKLOADS


def measure(settings: argparse.Namespace, kept: Kept) -> None:
    """Measures the chosen parts, and says on standard error where it is."""
    start = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {what}", file=sys.stderr, flush=True)

    workloads = {name: WORKLOADS[name].tiny if settings.quick else WORKLOADS[name]
                 for name in settings.workloads}
    if "steps" in settings.parts:
        with running(settings.contestants, settings.threads) as workers:
            for name, workload in workloads.items():
                kept.add("workloads", name, race(
                    workload, workers, settings.rounds, settings.seconds,
                    lambda what, name=name: tell(f"{name}: {what}")))
    if "memory" in settings.parts:
        torch.set_num_threads(settings.threads)
        for name in memory.MEASURED:
            if name in workloads:
                tell(f"{name}: memory")
                kept.add("memory", name, memory.peaks(workloads[name]))
    if "import" in settings.parts:
        tell("imports")
        kept.set("import", importing.measured(2 if settings.quick else 5))
    tell("done")
