"""What happens to one of several processes happens to all, and is gone on from."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed.test_together import launched

SCRIPT = "tests/distributed/killed.py"


def ended(folder: Path, what: str, restarts: int = 0, **environment: str) -> Any:
    """What both processes ended with."""
    folder.mkdir()
    done = launched(2, [SCRIPT, str(folder), what], restarts, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]
    assert all(map(torch.equal, found[0][0].values(), found[1][0].values()))
    return found[0]


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
