"""Several processes train, evaluate and predict as one does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kerasish.distributed import Group
from tests.distributed.cases import CASES, EXTRA, all_results

ROOT = Path(__file__).resolve().parents[2]
NAMES = [*CASES, *EXTRA]


def launched(size: int, script: list[str], restarts: int = 0, timeout: float = 120,
             **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               f"--nproc-per-node={size}", f"--max-restarts={restarts}", *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=timeout, check=False)


@pytest.fixture(scope="module", params=[2, 3])
def groups(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(f"of{request.param}")
    ended = launched(request.param, ["tests/distributed/worker.py", str(folder)])
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = [torch.load(folder / f"{rank}.pt", weights_only=False)
             for rank in range(request.param)]
    return found, folder, ended.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before = torch.get_default_dtype()
    try:
        return all_results(tmp_path_factory.mktemp("alone"))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_one_process(name: str, groups: Any, alone: Any) -> None:
    found, wanted = groups[0][0][name], alone[name]
    assert found["history"].keys() == wanted["history"].keys()
    for log, values in wanted["history"].items():
        assert found["history"][log] == pytest.approx(values, rel=1e-12, abs=1e-12), log
    for path, value in wanted["weights"].items():
        torch.testing.assert_close(found["weights"][path], value, rtol=1e-12, atol=1e-12)
    assert found["evaluated"] == pytest.approx(wanted["evaluated"], rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(found["predicted"], wanted["predicted"], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_all_processes_have_the_same_to_the_bit(name: str, groups: Any) -> None:
    first, *others = (each[name] for each in groups[0])
    for other in others:
        assert first["history"] == other["history"] and first["evaluated"] == other["evaluated"]
        assert all(map(torch.equal, first["weights"].values(), other["weights"].values()))
        assert np.array_equal(first["predicted"], other["predicted"])


def test_each_process_loads_its_own_rows(groups: Any) -> None:
    """Of 8, 8 and 6; and, before, the whole first batch, which shapes are known by."""
    found, _, _ = groups
    for rank, each in enumerate(found):
        rows = Group(rank, len(found)).rows
        own = sum(len(range(count)[rows(count)]) for count in (8, 8, 6))
        assert each["loader, counted"]["counts"] == [
            8 + 2 * own, 8 + 2 * own + 8 + own, 8 + 2 * own + 2 * (8 + own)]


def test_the_first_process_alone_prints_and_writes(groups: Any) -> None:
    found, folder, printed = groups
    assert [each["files"]["told"] for each in found] == [[0, 1, 2]] * len(found)
    assert sorted(path.name for path in (folder / "files").iterdir()) == [
        "best.safetensors", "log.csv"]
    assert len((folder / "files" / "log.csv").read_text().splitlines()) == 4
    assert sum("Epoch 2/3" in line for line in printed.splitlines()) == 1
