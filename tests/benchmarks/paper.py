"""Step time against the number of processes, as a formula: measured here, predicted for more.

    T(N) = u + c B/N · max(1, N / cores) + Σ parts (α log₂ N + 2 (N - 1)/N · bytes / β)

u is what a step takes whatever its rows (the update, mostly), c a row's forward and backward, α the
latency and β the bandwidth of adding up. Run `python -m tests.benchmarks.paper`: it measures u and
c with one process, α and β with two and four, and steps of 1, 2 and 4 processes to compare with;
then it puts figures of GPUs into the same formula.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from kerasish.distributed import leave
from kerasish.distributed.group import torch_distributed
from tests.benchmarks.contestants import kerasish_fit
from tests.benchmarks.scale import BATCH, NAMES, ROOT, workload

SIZES = [1 << power for power in range(12, 27, 2)]
"""Bytes that are added up, to find α and β."""


class Machine(NamedTuple):
    """What the formula needs to know of one: in seconds, bytes and rows."""

    fixed: float
    row: float
    latency: float
    bandwidth: float
    cores: float = math.inf

    def step(self, rows: float, processes: int, parts: list[int]) -> tuple[float, float]:
        """Computing and adding up, each in seconds."""
        busy = self.fixed + self.row * rows * max(1.0, processes / self.cores)
        if processes == 1:
            return busy, 0.0
        share = 2 * (processes - 1) / processes / self.bandwidth
        return busy, sum(self.latency * math.log2(processes) + share * size for size in parts)


def timed(run: object, rounds: int) -> float:
    """The median of some rounds, after one that does not count."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def steps(name: str, size: int, rounds: int = 4) -> float:
    """Seconds of a step of fit in batches of that size."""
    work = workload(name)._replace(batch_size=size, samples=4 * size)
    model, (x, y) = kerasish_fit.compiled(work), work.data()
    return timed(lambda: model.fit(x, y, batch_size=size, verbose=0), rounds) / 4


def sums() -> list[float]:
    """Seconds of adding up each of the sizes."""
    torch_distributed.init_process_group("gloo")
    found = []
    for size in SIZES:
        tensor = torch.zeros(size // 4)
        found.append(timed(lambda tensor=tensor: torch_distributed.all_reduce(tensor), 20))
    leave()
    return found


def in_processes(count: int, what: str, name: str = "") -> list[float]:
    """What `one_of` found in the first of so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc-per-node={count}", "-m", "tests.benchmarks.paper", "--of", what, name,
             "--to", folder], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600)
        found: list[float] = json.loads((Path(folder) / "found.json").read_text())
        return found


def one_of(what: str, name: str) -> list[float]:
    """What a process measures."""
    torch.set_num_threads(1)
    if what == "sums":
        return sums()
    if what == "rows":
        return [steps(name, size) for size in (BATCH // 4, BATCH // 2, BATCH)]
    return [steps(name, BATCH)]


def line(points: list[float], values: list[float]) -> tuple[float, float]:
    """The start and the slope of the line that is closest, each point counted by its share."""
    weights = 1 / np.array(values)
    slope, start = np.polyfit(points, values, 1, w=weights)
    return max(float(start), 0.0), float(slope)


def main() -> None:
    """Prints what was measured, what the formula says of it, and of more processes."""
    latencies, bandwidths = {}, {}
    for count in (2, 4):
        start, slope = line(SIZES, in_processes(count, "sums"))
        latencies[count] = start / math.log2(count)
        bandwidths[count] = 2 * (count - 1) / count / slope
        print(f"{count} processes: α = {1e6 * latencies[count]:.0f} µs, "
              f"β = {bandwidths[count] / 1e9:.2f} GB/s")
    for name in NAMES:
        model = kerasish_fit.compiled(workload(name))
        parts = [part.bytes for part in model.communication_plan().parts]
        fixed, row = line([BATCH // 4, BATCH // 2, BATCH], in_processes(1, "rows", name))
        print(f"\n{name.split(',')[0]}, batches of {BATCH}: u = {1e3 * fixed:.1f} ms, "
              f"c = {1e6 * row:.0f} µs; {sum(parts) / 1e6:.1f} MB in {len(parts)} parts")
        print("processes   computing   adding up     formula    measured   ms")
        for count in (1, 2, 4):
            machine = Machine(fixed, row, latencies[max(count, 2)], bandwidths[max(count, 2)],
                              os.cpu_count() or 1)
            busy, sent = machine.step(BATCH / count, count, parts)
            (measured,) = in_processes(count, "steps", name)
            print(f"{count:9} {1e3 * busy:11.0f} {1e3 * sent:11.0f} {1e3 * (busy + sent):11.0f} "
                  f"{1e3 * measured:11.0f}", flush=True)
    print()
    predicted()


PARAMETERS, OUTPUTS, ROWS, FLOPS = 25e6, 1000, 256, 4e9
"""A net of ResNet-50's size: parameters, outputs a row, rows of each GPU, operations forward."""
GPU = 200e12
"""Operations a second that a GPU does of them: a fifth of what an H100 can in bfloat16."""
NVLINK, NETWORK = (20e-6, 240e9), (20e-6, 40e9)
"""α and β within a machine of eight H100, and of a GPU's own 400 Gbit/s adapter between them."""


def predicted() -> None:
    """Prints the formula with figures of GPUs, the rows of each of them kept the same."""
    parts = [int(4 * PARAMETERS / 25)] * 25
    print(f"Predicted: {PARAMETERS / 1e6:.0f} million parameters, {OUTPUTS} outputs, {ROWS} rows a "
          f"GPU, {FLOPS / 1e9:.0f} GFLOP a row forward; ms")
    print("GPUs   computing   adding up   of it hidden   gathering outputs   share of computing")
    for count in (1, 8, 64, 1024):
        latency, bandwidth = NVLINK if count <= 8 else NETWORK
        machine = Machine(0.0, 3 * FLOPS / GPU, latency, bandwidth)
        busy, sent = machine.step(ROWS, count, parts)
        hidden = min(sent * (1 - 1 / len(parts)), busy * 2 / 3)  # all but the last, in backward
        others = ROWS * (count - 1) * OUTPUTS * 4
        gathered = latency * math.log2(count) + others / bandwidth
        print(f"{count:4} {1e3 * busy:11.1f} {1e3 * sent:11.1f} {1e3 * hidden:14.1f} "
              f"{1e3 * gathered:19.1f} {100 * busy / (busy + sent - hidden + gathered):18.0f} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        found = one_of(*arguments.of)
        if os.environ.get("RANK", "0") == "0":
            (arguments.to / "found.json").write_text(json.dumps(found))
    else:
        main()
