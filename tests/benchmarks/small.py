"""The small benchmark: is kerasish still as fast, beside plain torch, as the README says?

The ratios of the README are those of readme.json. A machine that does other things as well moves
a ratio by a tenth or two even in alternating rounds; so a ratio fails when it is below 0.8 of the
README's in three races, one right after the other. A workload that the README does not show yet is
expected to be no slower than plain torch; so are large products and convolutions on a processor
with other vectors than the README's, where they take other kernels.
"""

import json
from pathlib import Path
from typing import Any

from tests.benchmarks.contestants import OURS
from tests.benchmarks.report import vectors
from tests.benchmarks.rounds import race
from tests.benchmarks.workers import Worker, running
from tests.benchmarks.workloads import WORKLOADS

README = Path(__file__).with_name("readme.json")
"""The report that the README shows."""
SMALL = ("disc, batch 1", "disc, batch 250", "MLP 784-512-512-10", "ConvNet, batch 100")
PEER, SHARE, TRIES = "plain torch", 0.8, 3
ROUNDS, SECONDS = 7, 0.25


def shown() -> dict[str, Any]:
    """The report of the README."""
    if not README.exists():
        return {"about": {"threads": 1}, "workloads": {}}
    return json.loads(README.read_text(encoding="utf-8"))


def least(report: dict[str, Any], name: str) -> tuple[float, str]:
    """The smallest ratio that is well, and what it comes from."""
    ratio = report["workloads"].get(name, {}).get(PEER, {}).get("ratio")
    alike = name.startswith("disc") or report["about"].get("vectors") == vectors()
    if ratio is None or not alike:
        return 1.0, f"no slower than {PEER}"
    return SHARE * ratio, f"{SHARE} of the README's {ratio:.2f}"


def best(name: str, workers: list[Worker], wanted: float) -> dict[str, Any]:
    """The first race that is well, or else the best one.

    Raises: RuntimeError if one of the two does not train.
    """
    found: list[dict[str, Any]] = []
    for _ in range(TRIES):
        results = race(WORKLOADS[name], workers, ROUNDS, SECONDS)
        for contestant, result in results.items():
            if "absent" in result:
                raise RuntimeError(f"{name}: {contestant} does not train: {result['absent']}")
        found.append(results[PEER])
        if found[-1]["ratio"] >= wanted:
            break
    return max(found, key=lambda result: result["ratio"])


def check() -> list[str]:
    """Measures, prints, and answers a sentence for each workload that has become slower."""
    report, slower = shown(), []
    with running([OURS, PEER], report["about"]["threads"]) as workers:
        for name in SMALL:
            wanted, why = least(report, name)
            result = best(name, workers, wanted)
            line = (f"{name}: {PEER} takes {result['ratio']:.2f} [{result['ratio_low']:.2f}-"
                    f"{result['ratio_high']:.2f}] times as long as kerasish; expected is at least "
                    f"{wanted:.2f}, {why}")
            print(line, flush=True)
            if result["ratio"] < wanted:
                slower.append(line)
    return slower
