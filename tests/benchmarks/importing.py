"""What `import kerasish` costs beside `import torch`, in alternating processes."""

import os
import statistics
import subprocess
import sys
from typing import Any

from tests.benchmarks.rounds import rounded
from tests.benchmarks.workers import ROOT

PACKAGES = ("torch", "kerasish")
TIMED = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds(package: str) -> float:
    """Of importing it in a new process."""
    cached = {name: value for name, value in os.environ.items()
              if name != "PYTHONDONTWRITEBYTECODE"}  # with it each import would compile
    done = subprocess.run([sys.executable, "-c", TIMED.format(package)], cwd=ROOT, text=True,
                          capture_output=True, check=True, timeout=300, env=cached)
    return float(done.stdout)


def measured(rounds: int = 5) -> dict[str, Any]:
    """The medians, and the quartiles of the ratios of neighbours; a first round warms up."""
    times = [[seconds(package) for package in PACKAGES] for _ in range(rounds + 1)][1:]
    torch, kerasish = (statistics.median(each) for each in zip(*times, strict=True))
    low, _, high = statistics.quantiles([ours / theirs for theirs, ours in times], n=4)
    found = {"torch": torch, "kerasish": kerasish, "ratio": kerasish / torch, "ratio_low": low,
             "ratio_high": high}
    return {name: rounded(value) for name, value in found.items()}
