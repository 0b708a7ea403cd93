"""Two processes against one, on the same global batch: how much faster, and where the time goes.

Run `python -m tests.benchmarks.scale`: a ConvNet and a wide MLP, batches of 1,024, one thread a
process, are trained by one process; by two under torchrun, with gradients sent while backward goes
on, or after it, or with a share of the optimizer each; and by two with torch's
DistributedDataParallel on the same net. It prints samples a second, medians of alternating rounds,
and how long a step waits for others.
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

from kerasish.distributed import Exchange
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


def in_kerasish(work: Workload, kind: str, waited: list[float]) -> Callable[[], None]:
    """An epoch of fit; how long each step waited for sums of gradients goes into a list."""
    model, (x, y) = kerasish_fit.compiled(work), work.data()
    model.distribute = "zero" if kind == "zero" else "auto"
    add_up = Exchange.add_up

    def timed(exchange: Exchange) -> None:
        began = time.perf_counter()
        add_up(exchange)
        waited.append(time.perf_counter() - began)

    Exchange.add_up = timed  # type: ignore[method-assign]
    model.join()
    if model.optimizer.exchange is not None:
        model.optimizer.exchange.early = kind != "late"  # type: ignore[attr-defined]
    return lambda: model.fit(x, y, batch_size=work.batch_size, verbose=0)


def measure(kind: str, name: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, an epoch; and of each wait."""
    torch.set_num_threads(1)
    work, waited = workload(name), []
    if kind == "ddp":
        torch.distributed.init_process_group("gloo")
        epoch = in_ddp(work)
    else:
        epoch = in_kerasish(work, kind, waited)
    epoch()
    waited.clear()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds, "waited": waited}


def asked(kind: str, name: str, rounds: int) -> dict[str, list[float]]:
    """The same in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        size = 1 if kind == "one" else 2
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc-per-node={size}", "-m", "tests.benchmarks.scale", "--of", kind, name,
             "--rounds", str(rounds), "--to", folder], cwd=ROOT, check=True, capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600)
        found: dict[str, list[float]] = json.loads((Path(folder) / "found.json").read_text())
        return found


KINDS = {"one": "one process", "two": "two processes", "late": "two, gradients sent after backward",
         "zero": 'two, distribute="zero"', "ddp": "two, DistributedDataParallel"}


def main(groups: int, rounds: int) -> None:
    """Prints a table for each net."""
    for name in NAMES:
        found = {kind: {"seconds": [], "waited": []} for kind in KINDS}
        for _ in range(groups):
            for kind, kept in found.items():
                for what, values in asked(kind, name, rounds).items():
                    kept[what] += values
        alone = statistics.median(found["one"]["seconds"])
        print(f"{name.split(',')[0]}, batches of {BATCH}, one thread a process")
        for kind, kept in found.items():
            median = statistics.median(kept["seconds"])
            waits = 1000 * statistics.median(kept["waited"]) if kept["waited"] else None
            print(f"  {KINDS[kind]:36} {BATCH * STEPS / median:7,.0f} samples/s   "
                  f"{alone / median:4.2f} times   {1000 * median / STEPS:7.1f} ms a step"
                  + (f", {waits:.1f} of them waiting for gradients" if waits is not None and
                     kind != "one" else ""), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--groups", type=int, default=3, help="starts of each kind")
    parser.add_argument("--rounds", type=int, default=3, help="epochs timed in each")
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        times = measure(*arguments.of, arguments.rounds)
        if os.environ.get("RANK", "0") == "0":
            (arguments.to / "found.json").write_text(json.dumps(times))
    else:
        main(arguments.groups, arguments.rounds)
