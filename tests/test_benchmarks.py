"""The benchmark: its contestants compute the same, its sums are right, its processes answer."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kerasish.containers import Recompute
from tests.benchmarks import importing, memory, small
from tests.benchmarks.__main__ import main
from tests.benchmarks.contestants import CONTESTANTS, OURS, Contestant
from tests.benchmarks.report import vectors
from tests.benchmarks.rounds import race
from tests.benchmarks.small import SMALL
from tests.benchmarks.workers import Failed, Worker, running
from tests.benchmarks.workloads import WORKLOADS

# ---- all train the same -------------------------------------------------------------------------

# Steps that are compiled have tests of their own: here they would take minutes.
HERE = [name for name, each in CONTESTANTS.items() if name != "kerasish jit" and not each.absent]
ONLY = {"JAX scan": "disc",
        "kerasish bf16": "MLP" if torch.cpu._is_avx512_bf16_supported() else "none"}
"""How the workloads begin of those that do not train all of them."""
NETS = ("disc, batch 32", "MLP 784-512-512-10", "ConvNet, batch 16", "LSTM", "Transformer",
        "ResNet-18")


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    with running(HERE, threads=1) as workers:
        yield workers


@pytest.mark.parametrize("name", NETS)
def test_all_contestants_have_the_same_losses(name: str, workers: list[Worker]) -> None:
    workload = WORKLOADS[name]._replace(batch_size=4, samples=4)  # one batch has one order
    found = {}
    for worker in workers:
        if not name.startswith(ONLY.get(worker.contestant, "")):
            continue
        parameters = worker.ask(prepare=workload.request)
        found[worker.contestant] = parameters, [worker.ask(train=1)[1] for _ in range(3)]
    parameters, losses = found["plain torch"]
    assert losses[-1] < losses[0]
    for contestant, each in found.items():
        within = 2e-2 if contestant == "kerasish bf16" else 2e-3  # it has three digits
        assert each == (parameters, pytest.approx(losses, rel=within, abs=within)), found


# ---- rounds -------------------------------------------------------------------------------------


class Clocked:
    """Stands for a worker that takes so many seconds an epoch."""

    def __init__(self, contestant: str, epoch: float, parameters: int = 5) -> None:
        self.contestant, self.epoch, self.parameters = contestant, epoch, parameters
        self.rounds = 0

    def ask(self, prepare: Any = None, train: int = 0) -> Any:
        self.rounds += bool(train)
        return self.parameters if prepare else (self.epoch * train, 2.5)


class Refusing(Clocked):
    def ask(self, **request: Any) -> float:
        raise Failed("needs more coffee")


def test_ratios_are_those_of_the_times() -> None:
    ours, slow = Clocked(OURS, 0.01), Clocked("plain torch", 0.5)
    workers = [ours, slow, Clocked("torch tuned", 0.02), Refusing("skorch", 1)]
    workload = WORKLOADS["disc, batch 250"]  # four steps an epoch
    told: list[str] = []
    found = race(workload, workers, 7, 0.1, told.append)
    assert told[:2] == [OURS, "plain torch"] and told[-1] == "round 7 of 7"
    assert found[OURS] == {"median": 2500, "low": 2500, "high": 2500, "first": 0.01, "loss": 2.5,
                           "rounds": 7, "epochs": 10, "parameters": 5}
    assert found["torch tuned"]["ratio"] == found["torch tuned"]["ratio_high"] == 2
    assert found["plain torch"]["ratio"] == 50 and found["plain torch"]["rounds"] == 3
    assert found["skorch"] == {"absent": "needs more coffee"}
    assert (ours.rounds, slow.rounds) == (2 + 7, 2 + 3)  # two are before the rounds


def test_nets_of_other_sizes_do_not_race() -> None:
    workers = [Clocked(OURS, 0.1), Clocked("plain torch", 0.1, parameters=4)]
    with pytest.raises(ValueError, match=r"expects nets of one size; got \{'kerasish': 5, 'plain"):
        race(WORKLOADS["LSTM"], workers, 4, 0.1)


# ---- processes ----------------------------------------------------------------------------------


TINY = WORKLOADS["disc, batch 250"].tiny


def test_a_process_trains_when_it_is_told_to() -> None:
    with Worker(OURS, 1) as worker:
        assert worker.ask(prepare=TINY.request) == 1401
        seconds, loss = worker.ask(train=2)
        assert 0 < seconds < 60 and 0 < loss < 4
        with pytest.raises(Failed, match="KeyError: 'disc'"):
            worker.ask(prepare=("disc", 1, 2))
        process = worker.process
    assert process is not None and process.poll() is not None


def test_a_process_that_takes_too_long_is_ended_and_started_anew_for_the_next() -> None:
    with Worker(OURS, 1, patience=0.01) as worker:
        with pytest.raises(Failed, match=r"was not ready after 0\.01 s"):
            worker.ask(prepare=TINY.request)
        assert worker.process is None
        worker.patience = 400
        assert worker.ask(prepare=TINY.request) == 1401


def test_a_process_that_ends_says_its_last_words() -> None:
    with Worker(OURS, 1) as worker:
        worker.ask(prepare=TINY.request)
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(Failed, match="its process ended: "):
            worker.ask(train=1)


def test_the_last_words_are_those_of_an_error() -> None:
    with Worker(OURS, 1) as worker:
        worker.ask(prepare=TINY.request)
        worker.process.stdin.write(b"no JSON\n")
        with pytest.raises(Failed, match=r"its process ended: json\.decoder\.JSONDecodeError: "):
            worker.ask(train=1)


def test_a_missing_peer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONTESTANTS, "skorch", Contestant("skorch_fit", ("skorch_of_old", "torch")))
    with running(["skorch"], 1) as (worker,):
        with pytest.raises(Failed, match=r"needs skorch_of_old: pip install 'kerasish\[bench\]'"):
            worker.ask(prepare=TINY.request)


# ---- memory -------------------------------------------------------------------------------------


def test_recompute_saves_memory_where_much_is_kept() -> None:
    workload = WORKLOADS["Transformer"]._replace(batch_size=4)
    net = memory.recomputing(workload.net)
    assert sum(isinstance(layer, Recompute) for layer in net) == 4
    found = memory.peaks(workload)
    trained = 4 * 794_378
    in_stream = {"in stream", "both"}  # these have no gradients besides those at work
    assert all(peak > (3 if name in in_stream else 4) * trained  # weights, gradients, m and v
               for name, peak in found.items())
    assert found["both"] < min(found["Recompute"], found["in stream"])
    assert max(found["Recompute"], found["in stream"]) < found["kerasish"]


def test_a_net_is_computed_again_part_by_part() -> None:
    parts = {name: memory.recomputing(WORKLOADS[name].net) for name in memory.MEASURED}
    again = {name: sum(isinstance(layer, Recompute) for layer in net)
             for name, net in parts.items()}
    assert again == {"ConvNet, batch 100": 2, "Transformer": 4, "ResNet-18": 8}


# ---- imports ------------------------------------------------------------------------------------


def test_imports_are_timed_in_turns_with_their_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    took, seen = {"torch": iter([9, 2, 2, 4]), "kerasish": iter([9, 3, 2, 4])}, []

    def seconds(package: str) -> float:
        seen.append(package)
        return next(took[package])

    monkeypatch.setattr(importing, "seconds", seconds)
    found = importing.measured(rounds=3)
    assert seen == ["torch", "kerasish"] * 4
    assert found["ratio"] == 1.5 and (found["torch"], found["kerasish"]) == (2, 3)
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(importing, "TIMED", "import sys; print(int(sys.dont_write_bytecode)) # {}")
    assert importing.seconds("torch") == 0


# ---- as fast as the README says -----------------------------------------------------------------

Raced = Callable[..., list[str]]


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Raced:
    """What the check answers if the README shows a ratio of 3 and races have these, one by one."""
    shown = {"about": {"threads": 1}, "workloads": {SMALL[0]: {small.PEER: {"ratio": 3.0}}}}
    (tmp_path / "readme.json").write_text(json.dumps(shown))
    monkeypatch.setattr(small, "README", tmp_path / "readme.json")

    def check(*ratios: float, name: str = SMALL[0]) -> list[str]:
        left = list(ratios)

        def raced(*_: Any) -> dict[str, Any]:
            ratio = left.pop(0)
            return {small.PEER: {"ratio": ratio, "ratio_low": ratio, "ratio_high": ratio}}

        monkeypatch.setattr(small, "race", raced)
        monkeypatch.setattr(small, "SMALL", (name,))
        slower = small.check()
        assert not left
        return slower

    return check


def test_other_vectors_are_expected_to_be_no_slower_alone() -> None:
    report = {"about": {"vectors": "none of today's"},
              "workloads": {name: {small.PEER: {"ratio": 3.0}} for name in SMALL}}
    found = [small.least(report, name)[0] for name in SMALL]
    assert found == pytest.approx([2.4, 2.4, 1.0, 1.0])
    report["about"]["vectors"] = vectors()
    assert [small.least(report, name)[0] for name in SMALL] == pytest.approx([2.4] * 4)


def test_a_ratio_is_held_against_that_of_the_readme(races: Raced) -> None:
    assert races(2.41) == []
    assert races(1.5, 1.5, 2.41) == []
    (line,) = races(1.5, 2.39, 1.5)
    assert line == (f"{SMALL[0]}: plain torch takes 2.39 [2.39-2.39] times as long as kerasish; "
                    "expected is at least 2.40, 0.8 of the README's 3.00")


def test_what_the_readme_does_not_show_is_no_slower_than_plain_torch(races: Raced) -> None:
    assert races(1.01, name=SMALL[1]) == []
    (line,) = races(0.9, 0.99, 0.9, name=SMALL[1])
    assert line.endswith("expected is at least 1.00, no slower than plain torch")


def test_who_does_not_train_is_not_taken_for_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "race", lambda *_: {OURS: {"absent": "OSError: no memory"}})
    with pytest.raises(RuntimeError, match="kerasish does not train: OSError: no memory"):
        small.check()


@pytest.mark.long
def test_kerasish_is_as_fast_beside_plain_torch_as_the_readme_says() -> None:
    assert main(["--small"]) == 0
