"""What happens to one of several processes happens to all, and is gone on from."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed.test_together import launched

SCRIPT = "tests/distributed/killed.py"


def ended(folder: Path, what: str, restarts: int = 0, size: int = 2, **environment: str) -> Any:
    """What all processes ended with."""
    folder.mkdir(exist_ok=True)
    done = launched(size, [SCRIPT, str(folder), what], restarts, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    first, *others = (torch.load(folder / f"{rank}.pt", weights_only=False)
                      for rank in range(size))
    for other in others:
        assert all(map(torch.equal, first[0].values(), other[0].values()))
    return first


@pytest.mark.parametrize("setting", [
    {"KILLED_AT": "1"}, {"KILLED_AT": "17"}, {"KILLED_AT": "17", "DISTRIBUTE": "zero"}], ids=str)
def test_a_run_goes_on_after_one_of_its_processes_was_killed(
    setting: dict[str, str], tmp_path: Path
) -> None:
    weights, history = ended(tmp_path / "killed", "killed", restarts=1, **setting)
    wanted_weights, wanted_history = ended(tmp_path / "alone", "left alone", **setting)
    assert history == wanted_history
    assert all(map(torch.equal, weights.values(), wanted_weights.values()))


def test_micro_batches_that_waited_are_not_lost(tmp_path: Path) -> None:
    setting = {"KILLED_AT": "17", "ACCUMULATE": "3"}  # the backup is of two of three
    weights, history = ended(tmp_path / "killed", "killed", restarts=1, **setting)
    wanted_weights, wanted_history = ended(tmp_path / "alone", "left alone", **setting)
    assert history["loss"] == pytest.approx(wanted_history["loss"], rel=1e-5)
    for path, value in wanted_weights.items():  # they are added up in another order
        torch.testing.assert_close(weights[path], value, rtol=1e-4, atol=1e-6)


def test_noise_goes_on_within_an_epoch_in_all_processes(tmp_path: Path) -> None:
    """Batch 19 is the sixth one of an epoch; the backup before it is from within it, too."""
    weights, history = ended(tmp_path / "killed", "killed", restarts=1, NOISE="1", KILLED_AT="19")
    wanted_weights, wanted_history = ended(tmp_path / "alone", "left alone", NOISE="1")
    assert history == wanted_history
    assert all(map(torch.equal, weights.values(), wanted_weights.values()))


@pytest.fixture(scope="module")
def of_one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """How a run of one process ends that was never disturbed, by its data."""
    folder = tmp_path_factory.mktemp("one")
    return {data: ended(folder / data, "left alone", size=1, DATA=data)
            for data in ("arrays", "loader")}


@pytest.mark.parametrize(("before", "after", "data"), [
    (2, 3, "arrays"), (2, 1, "arrays"), (1, 2, "arrays"), (2, 3, "loader")])
def test_a_run_is_gone_on_with_by_another_number_of_processes(
    before: int, after: int, data: str, of_one: Any, tmp_path: Path
) -> None:
    broken = launched(before, [SCRIPT, str(tmp_path), "killed"], VICTIM=str(before - 1), DATA=data)
    assert broken.returncode != 0 and not list(tmp_path.glob("*.pt"))
    assert (tmp_path / "backup" / "latest.safetensors").exists()
    weights, history = ended(tmp_path, "left alone", size=after, DATA=data)
    wanted_weights, wanted_history = of_one[data]
    assert history["loss"] == pytest.approx(wanted_history["loss"], rel=1e-12)
    for path, value in wanted_weights.items():
        torch.testing.assert_close(weights[path], value, rtol=1e-11, atol=1e-12)


def test_processes_that_are_about_to_train_different_things_say_so_at_once(tmp_path: Path) -> None:
    done = launched(2, [SCRIPT, str(tmp_path), "different"])
    assert done.returncode != 0
    told = re.findall(r"ValueError: fit expects the same optimizer in all 2 processes; got "
                      r"\(Adam\(.*?\) in process 0 and \(SGD\(.*?\) in process 1", done.stderr)
    assert len(told) == 2, done.stderr[-3000:]


def test_a_process_that_hangs_ends_the_others_with_its_number(tmp_path: Path) -> None:
    done = launched(2, [SCRIPT, str(tmp_path), "hanging"], KERASISH_TIMEOUT="5", timeout=60)
    assert done.returncode != 0
    assert "process 0 of 2 waited in vain for process 1: it hangs, or has ended" in done.stderr


def test_a_group_without_torchrun_is_explained() -> None:
    from kerasish import Model
    from kerasish.layers import Linear

    model = Model(Linear(1), device="cpu", distribute="data")
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match=r"Model\(distribute='data'\) expects several processes; "
                                           "got no RANK .* Start the script by torchrun"):
        model.fit([[0.0]], [[0.0]])
    with pytest.raises(ValueError, match=r"Model\(distribute\) expects .*; got 'date'. Did you "
                                         "mean 'data'"):
        Model(Linear(1), distribute="date")
