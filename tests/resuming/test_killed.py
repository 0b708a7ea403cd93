"""A run may be killed at any moment, and goes on as if nothing had happened."""

import json
import os
import subprocess
import sys
from itertools import combinations

import pytest

from tests.resuming.runs import FILES, KINDS, LAYERS, OPTIMIZERS, RATES, SAVES, SOURCES, Kind


def kill(count: int, seed: int, seconds: float) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.resuming.killer", "--kills", str(count), "--seed", str(seed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_any_two_settings_meet_in_a_kind() -> None:
    tables = (OPTIMIZERS, LAYERS, SAVES, SOURCES, RATES, FILES)
    for (one, first), (two, second) in combinations(enumerate(tables), 2):
        pairs = {(kind[one], kind[two]) for kind in KINDS}
        assert len(pairs) == len(first) * len(second), Kind._fields[one] + Kind._fields[two]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forks")
def test_runs_that_are_killed_at_random_end_as_undisturbed_ones_do() -> None:
    seen = kill(64, seed=0, seconds=600)
    assert seen["killed"] >= 60
    assert seen["kinds"] == 32
    assert seen["different"] == []


@pytest.mark.marathon
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forks")
def test_a_thousand_runs_that_are_killed() -> None:
    seen = kill(1000, seed=1, seconds=3600)
    assert seen["killed"] >= 1000
    assert seen["different"] == []
