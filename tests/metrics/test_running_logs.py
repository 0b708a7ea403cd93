"""Looking at the logs of a batch: what it costs, and that it changes nothing."""

import pytest
import torch

from kerasish.metrics import MAE, RunningLogs, Scores


class Counted(MAE):
    """Counts how often it is read, in all its copies."""

    runs_in_step = True

    def __init__(self, reads: list[str]) -> None:
        self.reads = reads

    def __deepcopy__(self, memo) -> "Counted":
        twin = Counted(self.reads)
        if self._total is not None:
            twin._total, twin._count = self._total.clone(), self._count
        return twin

    def result(self) -> float:
        self.reads.append("read")
        return super().result()


def seen(batches: int = 1, reads=None) -> Scores:
    scores = Scores({"mae": MAE() if reads is None else Counted(reads), "other": MAE()})
    for k in range(batches):
        add(scores, k)
    return scores


def add(scores: Scores, k: int) -> None:
    scores.update(torch.tensor(float(k)), torch.full((2, 1), float(k)), torch.zeros(2, 1), None)


def test_one_name_reads_one_metric() -> None:
    reads: list[str] = []
    logs = RunningLogs(seen(2, reads))
    assert logs["loss"] == logs.get("loss") == 0.5 and logs["other"] == 0.5
    assert "mae" in logs and len(logs) == 3 and not reads
    assert logs["mae"] == logs["mae"] == 0.5 and len(reads) == 1
    assert dict(logs) == {"loss": 0.5, "mae": 0.5, "other": 0.5} and len(reads) == 1


def test_all_names_come_in_order_and_after_them_what_is_added() -> None:
    logs = RunningLogs(seen(2))
    logs["added"], logs["other"] = 1.0, 7.0
    assert logs["mae"] == 0.5
    assert list(logs.items()) == [("loss", 0.5), ("mae", 0.5), ("other", 7.0), ("added", 1.0)]
    del logs["loss"]
    assert "loss" not in logs and list(logs) == ["mae", "other", "added"]
    with pytest.raises(KeyError):
        logs["loss"]


def test_what_was_read_stays_and_what_was_not_is_gone_with_the_batch() -> None:
    scores = seen(2)
    logs = RunningLogs(scores)
    assert logs["mae"] == 0.5
    add(scores, 9)
    assert logs["mae"] == 0.5
    for look in (lambda: logs["loss"], lambda: dict(logs)):
        with pytest.raises(RuntimeError, match=r"Keep dict\(logs\)"):
            look()


def test_logs_are_not_read_from_sums_that_were_reset() -> None:
    scores = seen(2)
    logs = RunningLogs(scores)
    scores.reset()
    with pytest.raises(RuntimeError, match=r"Keep dict\(logs\)"):
        logs["loss"]


def test_looking_changes_no_bit_of_later_numbers() -> None:
    looked, alone = seen(0), seen(0)
    for k in range(5):
        add(looked, k)
        add(alone, k)
        assert RunningLogs(looked)["mae"] == k / 2 == looked.results(["other"])["other"]
    assert looked.final_results() == alone.final_results()


def test_batches_that_are_held_can_be_forgotten() -> None:
    scores = seen(3)
    assert scores._held
    scores.forget()
    assert not scores._held and scores.results()["loss"] == 1.0
    add(scores, 5)
    assert scores.results()["mae"] == 5.0


LOSSES = torch.rand(200, generator=torch.Generator().manual_seed(0))
ROWS = [32] * 150 + [7] * 49 + [1]


def take(scores: Scores, start: int, stop: int, look: bool = False) -> None:
    for k in range(start, stop):
        y = torch.zeros(ROWS[k], 1)
        scores.update(LOSSES[k], y, y, None)
        if look:
            scores.results()


def test_losses_of_many_batches_are_weighed_by_their_rows() -> None:
    scores = Scores({})
    take(scores, 0, 200)
    rows = torch.tensor(ROWS, dtype=torch.float64)
    mean = float((LOSSES.double() * rows).sum() / rows.sum())
    assert scores.results()["loss"] == pytest.approx(mean, rel=1e-14)
    assert scores.final_results() == scores.results()
    scores.reset()
    take(scores, 199, 200)
    assert scores.final_results()["loss"] == float(LOSSES[199])


@pytest.mark.parametrize("at", [1, 63, 64, 65, 149, 151])
def test_losses_are_the_same_to_the_bit_looked_at_or_taken_back(at: int) -> None:
    alone, looked, first, second = (Scores({}) for _ in range(4))
    take(alone, 0, 200)
    take(looked, 0, 200, look=True)
    take(first, 0, at)
    second.load_state_dict(first.state_dict())
    take(second, at, 200)
    assert looked.final_results() == alone.final_results() == second.final_results()
