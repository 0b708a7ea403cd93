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
from tests.distributed.cases import CASES, EXTRA, SINGLE, all_results

ROOT = Path(__file__).resolve().parents[2]
NAMES = [*CASES, *EXTRA]
NAMES_IN_FOUR = ["dense", "synchronized", "weights of samples", "loader"]
IN_FOUR = [*NAMES_IN_FOUR, *(f"{name} in float32" for name in SINGLE)]


def launched(size: int, script: list[str], restarts: int = 0, timeout: float = 120,
             **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               f"--nproc-per-node={size}", f"--max-restarts={restarts}", *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=timeout, check=False)


def of_processes(size: int, folder: Path, *names: str, way: str = "auto") -> Any:
    """What so many processes found, where, and what they printed."""
    ended = launched(size, ["tests/distributed/worker.py", str(folder), *names], DISTRIBUTE=way)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]
    return found, folder, ended.stdout


@pytest.fixture(
    scope="module", params=[(2, "auto"), (3, "auto"), (2, "zero"), (3, "zero")], ids=str)
def groups(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    size, way = request.param
    return of_processes(size, tmp_path_factory.mktemp(f"of{size}"), way=way)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before = torch.get_default_dtype()
    try:
        return all_results(tmp_path_factory.mktemp("alone"))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_one_process(name: str, groups: Any, alone: Any) -> None:
    require_same(groups[0][0][name], alone[name])


def require_same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
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


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return of_processes(4, tmp_path_factory.mktemp("four"), *IN_FOUR)[0]


@pytest.mark.parametrize("name", NAMES_IN_FOUR)
def test_four_processes(name: str, four: Any, alone: Any) -> None:
    require_same(four[0][name], alone[name])


def require_float32(found: Any, alone: Any, name: str) -> None:
    """The gradient differs by 1e-6 of its length at most, a run by 1e-5 of each tensor's.

    Parts of a gradient in which sums cancel, those of norms for instance, are small, and rounded
    as the large ones: that is so in one process, too.
    """
    first, *others = (each[f"{name} in float32"] for each in found)
    wanted = alone[f"{name} in float32"]
    own, gradient = (torch.cat([part.flatten().double() for part in each["gradients"]])
                     for each in (first, wanted))
    assert (own - gradient).norm() <= 1e-6 * gradient.norm()
    assert first["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    for path, weight in wanted["weights"].items():
        assert (first["weights"][path] - weight).double().norm() <= 1e-5 * weight.double().norm()
        assert all(torch.equal(each["weights"][path], first["weights"][path]) for each in others)


@pytest.mark.parametrize("name", SINGLE)
def test_float32_differs_by_its_rounding(name: str, groups: Any, alone: Any) -> None:
    require_float32(groups[0], alone, name)


@pytest.mark.parametrize("name", SINGLE)
def test_float32_of_four_processes(name: str, four: Any, alone: Any) -> None:
    require_float32(four, alone, name)


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
