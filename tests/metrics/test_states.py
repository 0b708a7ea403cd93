"""Metrics give their sums and take them back: going on is the same to the bit as not stopping."""

import copy
import struct
from collections import deque

import numpy as np
import pytest
import torch
from torch import Tensor

from kerasish.losses import TripletMargin
from kerasish.metrics import (
    MAE,
    MSE,
    BinaryAccuracy,
    CategoricalAccuracy,
    Mean,
    Metric,
    Scores,
)
from kerasish.metrics.named import AccuracyByTargets, OfOutput
from kerasish.trees import leaves
from tests.test_every_metric import Row, each


def bits(value) -> object:
    """What tells two results apart, NaN included."""
    return value.tolist() if isinstance(value, np.ndarray) else struct.pack("d", value)


def saved(state: dict) -> dict:
    """As a file gives it back: tensors with memory of their own, contiguous."""
    return copy.deepcopy(state)


def some_batches(row: Row, weighted: bool) -> list[tuple]:
    """Batches of different sizes, of numbers whose sums are rounded."""
    torch.manual_seed(0)
    y_pred, y_true = torch.tensor(row.y_pred), torch.tensor(row.y_true)
    given = []
    for k in range(7):
        rows = torch.randint(len(y_pred), (3 + k % 3,))
        noise = torch.rand(y_pred[rows].shape) / 3 if y_pred.is_floating_point() else 0
        weights = torch.rand(len(rows)) if weighted else None
        given.append((y_pred[rows] + noise, y_true[rows], weights))
    return given


@each
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("k", [0, 1, 4])
def test_a_metric_goes_on_from_its_state(row: Row, weighted: bool, k: int) -> None:
    metric, given = row.make(), some_batches(row, weighted)
    fresh = copy.deepcopy(metric)
    metric.reset()
    for batch in given[:k]:
        metric.update(*batch)
    state = saved(metric.state_dict())
    for batch in given[k:]:
        metric.update(*batch)
    fresh.load_state_dict(state)
    for batch in given[k:]:
        fresh.update(*batch)
    assert bits(fresh.result()) == bits(metric.result())


@each
def test_a_state_replaces_what_came_before_and_is_a_copy(row: Row) -> None:
    given = some_batches(row, weighted=True)
    metric = row.make()
    metric.reset()
    metric.update(*given[0])
    state, value = metric.state_dict(), metric.result()
    metric.update(*given[1])
    metric.load_state_dict(state)
    assert bits(metric.result()) == bits(value)
    metric.update(*given[2])
    metric.load_state_dict(state)
    assert bits(metric.result()) == bits(value), "the state was written into"


def test_a_state_made_in_the_step_may_leave_it() -> None:
    metric = MAE()
    with torch.inference_mode():
        metric.update(torch.ones(2, 1), torch.zeros(2, 1))
        state = metric.state_dict()
        metric.load_state_dict(state)
    metric.update(torch.ones(2, 1), torch.zeros(2, 1))
    assert not state["_total"].is_inference() and metric.result() == 1.0


def test_a_state_leaves_no_sum_that_it_does_not_have() -> None:
    metric, plain = MAE(), MAE()
    metric.update(torch.ones(2, 1), torch.zeros(2, 1), torch.ones(2))
    plain.update(torch.ones(2, 1), torch.zeros(2, 1))
    metric.load_state_dict(plain.state_dict())
    assert metric.result() == 1.0 and "_weight" not in metric.state_dict()


def test_settings_are_no_part_of_a_state() -> None:
    metric = CategoricalAccuracy(axis=-1)
    metric.update(torch.rand(3, 2, 4), torch.zeros(3, 2, dtype=torch.long))
    assert set(metric.state_dict()) == {"_total", "_count"}
    assert set(BinaryAccuracy(0.3).state_dict()) == set()


class Best(Metric):
    """A metric as users write them."""

    def __init__(self, start=0.0) -> None:
        self.reset()

    def update(self, y_pred, y_true, sample_weight=None) -> None:
        self.seen = {"best": [max(self.seen["best"][0], float(y_pred.max()))], "last": None}
        self.table += y_pred.numpy().max()

    def result(self) -> float:
        return self.seen["best"][0]

    def reset(self) -> None:
        self.seen, self.table = {"best": [0.0], "last": None}, np.zeros(2)


def test_a_metric_of_ones_own_needs_no_more_than_plain_attributes() -> None:
    metric, twin = Best(), Best()
    metric.update(torch.tensor([3.0]), None)
    twin.load_state_dict(metric.state_dict())
    metric.update(torch.tensor([9.0]), None)
    assert twin.result() == 3.0 and twin.table.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("thing", [deque([1]), {1, 2}, object(), {1: 2}, np.array(["a"])],
                         ids=["deque", "set", "object", "numbers as names", "array of strings"])
def test_what_cannot_be_saved_is_named_when_the_state_is_asked_for(thing: object) -> None:
    metric = Best()
    metric.window = [0, thing]
    with pytest.raises(TypeError, match=rf"Best.window\[1\] expects numbers, .*; got "
                                        rf"{type(thing).__name__}.*state_dict and load_state_dict"):
        metric.state_dict()


def test_a_metric_may_name_what_no_batch_changes() -> None:
    class Windowed(Best):
        settings = ("window",)

    metric = Windowed()
    metric.window = deque()
    metric.load_state_dict(metric.state_dict())
    assert "window" not in metric.state_dict() and metric.window == deque()


@pytest.mark.parametrize("name", ["threshold", "update", "_arguments"])
def test_a_state_cannot_set_what_is_no_sum(name: str) -> None:
    metric = BinaryAccuracy(0.3)
    metric.update(torch.ones(2), torch.ones(2))
    before = dict(vars(metric))
    with pytest.raises(ValueError, match=rf"BinaryAccuracy\(0.3\).*got '{name}'.*same metric"):
        metric.load_state_dict({"_count": 3, name: 0.9})
    assert vars(metric) == before


def test_metrics_of_one_output_and_undecided_ones_pass_it_on() -> None:
    metric, twin = OfOutput("a", MSE()), OfOutput("a", MSE())
    metric.update({"a": torch.ones(2, 1)}, {"a": torch.zeros(2, 1)})
    twin.load_state_dict(metric.state_dict(), "cpu")
    assert twin.result() == 1.0 and set(metric.state_dict()) == {"_total", "_count"}
    assert AccuracyByTargets(TripletMargin()).state_dict() == {}


# ---- scores ---------------------------------------------------------------------------------


class Spread(Mean):
    """A quick metric of predictions in a tuple."""

    runs_in_step = True

    def values(self, y_pred: tuple[Tensor, Tensor], y_true: Tensor) -> Tensor:
        return (y_pred[0] - y_pred[1]).abs() + y_true


class InTurns(MAE):
    """A metric that is given each batch by itself."""


def run(scores: Scores, given: list[tuple]) -> list:
    for batch in given:
        scores.update(batch[0].mean(), *batch)
    return [bits(value) for value in scores.final_results().values()]


def arrays(size: int, count: int, weighted: bool) -> list[tuple]:
    torch.manual_seed(1)
    return [(torch.randn(size, 3), torch.randn(size, 3), torch.rand(size) if weighted else None)
            for _ in range(count)]


def make() -> Scores:
    metrics = {"mae": MAE(), "own": InTurns(), "mse": MSE()}
    return Scores(metrics, weighted=("own", "mse"))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("size", "count", "k"), [(1, 700, 300), (1, 300, 256), (5, 40, 7),
                                                  (900, 6, 3), (5000, 3, 1), (2, 3, 0)])
def test_scores_go_on_to_the_bit(size: int, count: int, k: int, weighted: bool) -> None:
    given = arrays(size, count, weighted)
    whole, stopped, restored = make(), make(), make()
    run_all = run(whole, given)
    for batch in given[:k]:
        stopped.update(batch[0].mean(), *batch)
    before, state = restored.updates, saved(stopped.state_dict())
    restored.load_state_dict(state)
    assert restored.updates > before, "logs of earlier batches are out of date"
    assert restored.results().keys() == stopped.results().keys()
    assert run(restored, given[k:]) == run_all == run(stopped, given[k:])


def test_held_batches_are_cut_where_they_would_have_been() -> None:
    given = arrays(1, 500, True)
    stopped, restored = make(), make()
    for batch in given[:255]:
        stopped.update(batch[0].mean(), *batch)
    restored.load_state_dict(stopped.state_dict())
    for scores in (stopped, restored):
        assert len(scores._held) == 255
        scores.update(given[255][0].mean(), *given[255])
        assert not scores._held


def test_the_state_of_other_metrics_is_refused() -> None:
    scores = make()
    run(scores, arrays(2, 3, False))
    before = scores.results()
    with pytest.raises(ValueError, match=r"sums of \('loss', 'mae', 'own', 'mse'\); got those of "
                                         r"\('loss', 'mae'\). Compile with the same"):
        scores.load_state_dict(Scores({"mae": MAE()}).state_dict())
    assert scores.results() == before


def test_quick_metrics_take_predictions_in_a_tuple() -> None:
    scores, twin = Scores({"spread": Spread()}), Scores({"spread": Spread()})
    first, second = torch.rand(6, 1), torch.rand(6, 1)
    for rows in (slice(2), slice(2, 6)):
        scores.update(torch.tensor(0.0), (first[rows], second[rows]), torch.ones(6, 1)[rows], None)
    twin.load_state_dict(saved(scores.state_dict()))
    expected = float((first - second).abs().mean()) + 1
    assert scores.results()["spread"] == pytest.approx(expected)
    assert twin.final_results() == scores.final_results()


def test_predictions_that_are_written_over_later_are_held_as_they_were() -> None:
    y_true = torch.zeros(2, 1)
    for y_pred in (torch.ones(2, 1), (torch.ones(2, 1), torch.zeros(2, 1))):
        metric = MAE() if isinstance(y_pred, Tensor) else Spread()
        scores = Scores({"metric": metric})
        scores.update(torch.tensor(0.0), y_pred, y_true, None)
        for part in leaves(y_pred):
            part.fill_(7.0)
        assert scores.final_results()["metric"] == 1.0


def test_only_weighted_metrics_see_sample_weights() -> None:
    y_pred, y_true = torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1)
    scores = Scores({"mae": MAE(), "own": InTurns(), "heavy": MAE(), "heavy_own": InTurns()},
                    weighted=("heavy", "heavy_own"))
    for each_of in (scores, scores.fresh()):
        each_of.update(torch.tensor(0.0), y_pred, y_true, torch.tensor([3.0, 1.0]))
        assert each_of.final_results() == {
            "loss": 0.0, "mae": 2.0, "own": 2.0, "heavy": 1.5, "heavy_own": 1.5}
