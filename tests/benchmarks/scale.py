"""Two processes against one, on the same global batch: how much faster, and where the time goes.

Run `python -m tests.benchmarks.scale`: a ConvNet and a wide MLP, batches of 1,024, one thread a
process, are trained by one process, by two under torchrun, and by two with torch's
DistributedDataParallel on the same net. It prints samples a second, medians of alternating rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.benchmarks.contestants import kerasish_fit
from tests.benchmarks.nets import torch_nets
from tests.benchmarks.workloads import WORKLOADS, Workload

ROOT = Path(__file__).resolve().parents[2]
BATCH, STEPS = 1024, 4
NAMES = ("ConvNet, batch 256", "MLP 4096 wide")


def workload(name: str) -> Workload:
    return WORKLOADS[name]._replace(batch_size=BATCH, samples=BATCH * STEPS)


def in_ddp(work: Workload) -> Callable[[], None]:
    """An epoch of DistributedDataParallel, each process on its half of every batch."""
    from torch.nn.parallel import DistributedDataParallel

    net = DistributedDataParallel(torch_nets.net(work.net))
    optimizer = torch.optim.Adam(net.parameters(), lr=work.rate, fused=True)
    x, y = map(torch.from_numpy, work.data())
    rank, half = torch.distributed.get_rank(), BATCH // torch.distributed.get_world_size()

    def epoch() -> None:
        for rows in torch.randperm(len(x)).split(BATCH):
            own = rows[rank * half : (rank + 1) * half]
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(net(x[own]), y[own]).backward()
            optimizer.step()

    return epoch


def measure(kind: str, name: str, rounds: int) -> list[float]:
    """Seconds of each round, an epoch."""
    torch.set_num_threads(1)
    work = workload(name)
    if kind == "ddp":
        torch.distributed.init_process_group("gloo")
        epoch = in_ddp(work)
    else:
        run = kerasish_fit.prepare(work).run
        epoch = lambda: run(1)  # noqa: E731
    epoch()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - began)
    return seconds


def asked(kind: str, name: str, rounds: int) -> list[float]:
    """The same in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        size = 1 if kind == "one" else 2
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc-per-node={size}", "-m", "tests.benchmarks.scale", "--of", kind, name,
             "--rounds", str(rounds), "--to", folder], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600)
        return json.loads((Path(folder) / "seconds.json").read_text())


def main() -> None:
    """Prints a line for each net."""
    for name in NAMES:
        found: dict[str, list[float]] = {"one": [], "two": [], "ddp": []}
        for _ in range(3):
            for kind, seconds in found.items():
                seconds += asked(kind, name, 3)
        rate = {kind: BATCH * STEPS / statistics.median(each) for kind, each in found.items()}
        print(f"{name.split(',')[0]}, batch {BATCH}: one process {rate['one']:,.0f} samples/s; two "
              f"{rate['two']:,.0f}, {rate['two'] / rate['one']:.2f} times as many; "
              f"DistributedDataParallel {rate['ddp']:,.0f}, {rate['ddp'] / rate['one']:.2f} times",
              flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", nargs=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--to", type=Path)
    arguments = parser.parse_args()
    if arguments.of:
        times = measure(*arguments.of, arguments.rounds)
        if os.environ.get("RANK", "0") == "0":
            (arguments.to / "seconds.json").write_text(json.dumps(times))
    else:
        main()
