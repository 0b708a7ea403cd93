"""The one table of metrics: every exported one, numbers worked out by hand, and the contract."""

import copy
import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from sklearn.metrics import accuracy_score, mean_absolute_error
from torch import Tensor

from kerasish import Model, metrics
from kerasish.layers import Linear
from kerasish.losses import MSE as MSELoss
from kerasish.losses import CrossEntropy
from kerasish.metrics import (
    AUC,
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    ConfusionMatrix,
    ElementwiseMean,
    FunctionMetric,
    Held,
    LossMetric,
    Mean,
    MeanIoU,
    Metric,
    Precision,
    Recall,
    ScikitMetric,
    TopKCategoricalAccuracy,
)
from kerasish.optimizers import SGD
from kerasish.trees import leaves


class Row(NamedTuple):
    """A metric, two batches of predictions and targets, and what they amount to."""

    id: str
    make: Callable[[], Metric]
    y_pred: list
    y_true: list
    result: float
    """Over all samples."""
    weighted: float
    """With the weights 1, 2, 3, ... of the samples."""
    higher_is_better: bool | None


def largest_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """A value a sample: of Keras' and scikit-learn's order of arguments."""
    return (y_pred - 2 * y_true).flatten(1).amax(1)


def spread(y_true: Tensor, y_pred: Tensor) -> float:
    """One number a batch, no tensor even."""
    return float(y_true.max() - y_pred.min())


ROWS = [
    # errors 1, -2, 0, 3
    Row("MSE", MSE, [[2.0], [0.0], [1.0], [4.0]], [[1.0], [2.0], [1.0], [1.0]],
        result=14 / 4, weighted=(1 + 8 + 0 + 36) / 10, higher_is_better=False),
    Row("MSE of vectors", MSE, [[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]],
        result=7 / 4, weighted=(2.5 + 2 * 1) / 3, higher_is_better=False),
    Row("MAE", MAE, [[2.0], [0.0], [1.0], [4.0]], [[1.0], [2.0], [1.0], [1.0]],
        result=6 / 4, weighted=(1 + 4 + 0 + 12) / 10, higher_is_better=False),
    Row("BinaryAccuracy", BinaryAccuracy, [[0.6], [0.4], [0.9], [0.5]],
        [[1.0], [1.0], [1.0], [0.0]], result=3 / 4, weighted=8 / 10, higher_is_better=True),
    Row("BinaryAccuracy of signs", lambda: BinaryAccuracy(threshold=0.0),
        [[0.3], [-2.0], [-0.1], [0.0]], [[1.0], [1.0], [-1.0], [-1.0]],
        result=3 / 4, weighted=8 / 10, higher_is_better=True),
    Row("BinaryAccuracy of logits", lambda: BinaryAccuracy(0.0, target_threshold=0.5),
        [[0.3], [-2.0], [-0.1], [5.0]], [[1.0], [0.0], [1.0], [0.0]],
        result=2 / 4, weighted=3 / 10, higher_is_better=True),
    Row("BinaryAccuracy of several labels", BinaryAccuracy, [[0.9, 0.1], [0.9, 0.9]],
        [[1.0, 1.0], [1.0, 1.0]], result=3 / 4, weighted=(0.5 + 2) / 3, higher_is_better=True),
    Row("CategoricalAccuracy", CategoricalAccuracy,
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2]], [1, 2, 2],
        result=2 / 3, weighted=4 / 6, higher_is_better=True),
    Row("CategoricalAccuracy of one-hot targets", CategoricalAccuracy,
        [[0.1, 0.9], [0.5, 0.2], [0.3, 0.4]], [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]],
        result=1 / 3, weighted=1 / 6, higher_is_better=True),
    Row("CategoricalAccuracy over time", CategoricalAccuracy,
        [[[1.0, 0.0, 3.0], [0.0, 2.0, 1.0]], [[1.0, 1.0, 9.0], [0.0, 2.0, 1.0]]],
        [[0, 1, 0], [1, 1, 1]], result=4 / 6, weighted=(1 + 2 * 1 / 3) / 3, higher_is_better=True),
    Row("CategoricalAccuracy with classes last", lambda: CategoricalAccuracy(axis=-1),
        [[[1.0, 0.0], [0.0, 2.0]], [[5.0, 1.0], [4.0, 3.0]]], [[0, 1], [1, 0]],
        result=3 / 4, weighted=(1 + 2 * 0.5) / 3, higher_is_better=True),
    Row("Accuracy", Accuracy, [[1], [2], [3], [3]], [[1], [2], [0], [3]],
        result=3 / 4, weighted=7 / 10, higher_is_better=True),
    Row("TopKCategoricalAccuracy", lambda: TopKCategoricalAccuracy(k=2),
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2]], [2, 2, 1],
        result=2 / 3, weighted=5 / 6, higher_is_better=True),
    Row("TopKCategoricalAccuracy of one-hot targets", lambda: TopKCategoricalAccuracy(k=9),
        [[0.1, 0.9], [0.5, 0.2]], [[0.0, 1.0], [0.0, 1.0]],
        result=1.0, weighted=1.0, higher_is_better=True),
    # yes yes no yes, taken for yes no yes yes
    Row("Precision", Precision, [[0.9], [0.2], [0.8], [0.6]], [[1.0], [1.0], [0.0], [1.0]],
        result=2 / 3, weighted=(1 + 4) / (1 + 3 + 4), higher_is_better=True),
    Row("Recall", lambda: Recall(0.1), [[0.9], [0.05], [0.8], [0.6]],
        [[1.0], [1.0], [0.0], [1.0]],
        result=2 / 3, weighted=(1 + 4) / (1 + 2 + 4), higher_is_better=True),
    Row("F1", F1, [[0.9], [0.2], [0.8], [0.6]], [[1.0], [1.0], [0.0], [1.0]],
        result=4 / 6, weighted=2 * 5 / (8 + 7), higher_is_better=True),
    # classes 1 2 2 0, taken for 1 0 2 0
    Row("Precision of classes", Precision,
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2], [1.0, 0.0, 0.0]], [1, 2, 2, 0],
        result=(1 / 2 + 1 + 1) / 3, weighted=(4 / 6 + 1 + 1) / 3, higher_is_better=True),
    Row("Recall of one class", lambda: Recall(average=2),
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2], [1.0, 0.0, 0.0]], [1, 2, 2, 0],
        result=1 / 2, weighted=3 / 5, higher_is_better=True),
    Row("F1 of all classes together", lambda: F1(average="micro"),
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2], [1.0, 0.0, 0.0]], [1, 2, 2, 0],
        result=3 / 4, weighted=8 / 10, higher_is_better=True),
    Row("F1 weighted by how often a class is there", lambda: F1(average="weighted"),
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2], [1.0, 0.0, 0.0]], [1, 2, 2, 0],
        result=(1 + 2 * 2 / 3 + 2 / 3) / 4, weighted=(1 + 5 * 6 / 8 + 4 * 8 / 10) / 10,
        higher_is_better=True),
    Row("MeanIoU", MeanIoU, [[[5.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 2.0]]],
        [[0, 1], [0, 1]], result=(1 / 2 + 2 / 3) / 2, weighted=(1 / 3 + 3 / 5) / 2,
        higher_is_better=True),
    Row("AUC", AUC, [[0.1], [0.4], [0.35], [0.8]], [[0.0], [0.0], [1.0], [1.0]],
        result=3 / 4, weighted=(3 * 1 + 4 * 3) / (7 * 3), higher_is_better=True),
    Row("AUC with ties", AUC, [[0.5], [0.5], [0.2], [0.9]], [[1.0], [0.0], [0.0], [1.0]],
        result=3.5 / 4, weighted=(1 * 5 - 1 + 4 * 5) / (5 * 5), higher_is_better=True),
    Row("AUC of precision against recall", lambda: AUC("PR"), [[0.1], [0.4], [0.35], [0.8]],
        [[0.0], [0.0], [1.0], [1.0]], result=(1 + 2 / 3) / 2,
        weighted=4 / 7 * 1 + 3 / 7 * 7 / 9, higher_is_better=True),
    Row("RMSE", RMSE, [[2.0], [0.0], [1.0], [4.0]], [[1.0], [2.0], [1.0], [1.0]],
        result=(14 / 4) ** 0.5, weighted=(45 / 10) ** 0.5, higher_is_better=False),
    Row("R2", R2, [[2.5], [0.0], [2.0], [8.0]], [[3.0], [-0.5], [2.0], [7.0]],
        result=1 - 1.5 / 29.1875, weighted=1 - 4.75 / 87.9, higher_is_better=True),
    Row("LossMetric", lambda: LossMetric(MSELoss()), [[2.0], [0.0], [1.0], [4.0]],
        [[1.0], [2.0], [1.0], [1.0]], result=14 / 4, weighted=45 / 10, higher_is_better=False),
    Row("LossMetric of classes", lambda: LossMetric(CrossEntropy()),
        [[0.0, 0.0], [9.0, 9.0], [1.0, 1.0]], [1, 0, 1], result=math.log(2), weighted=math.log(2),
        higher_is_better=False),
    Row("ScikitMetric of labels", lambda: ScikitMetric(accuracy_score),
        [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3], [0.0, 0.1, 0.2]], [1, 2, 2],
        result=2 / 3, weighted=4 / 6, higher_is_better=None),
    Row("ScikitMetric of numbers", lambda: ScikitMetric(mean_absolute_error, labels=False),
        [[2.0], [0.0], [1.0], [4.0]], [[1.0], [2.0], [1.0], [1.0]],
        result=6 / 4, weighted=(1 + 4 + 0 + 12) / 10, higher_is_better=None),
    Row("FunctionMetric of samples", lambda: FunctionMetric(largest_error),
        [[2.0], [0.0], [1.0], [4.0]], [[1.0], [2.0], [1.0], [1.0]],
        result=(0 - 4 - 1 + 2) / 4, weighted=(0 - 8 - 3 + 8) / 10, higher_is_better=None),
    Row("FunctionMetric of a batch", lambda: FunctionMetric(spread),
        [[2.0], [0.0], [1.0]], [[1.0], [2.0], [7.0]],
        result=(2 * 2 + 1 * 6) / 3, weighted=((1 + 2) * 2 + 3 * 6) / 6, higher_is_better=None),
]  # fmt: skip

BASES = {Metric, Mean, ElementwiseMean, Held, ConfusionMatrix}
"""What users derive from: no metrics of their own; and the one that gives no number."""

COMPARES = [row for row in ROWS if not row.id.startswith(("FunctionMetric", "ScikitMetric"))]
COLUMNS = [row for row in COMPARES if torch.tensor(row.y_true).shape[1:] == (1,)]


def each_of(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row.id for row in rows])


each = each_of(ROWS)


def batches(row: Row, weighted: bool = False):
    """Two batches, the second one shorter."""
    y_pred, y_true = torch.tensor(row.y_pred), torch.tensor(row.y_true)
    weights = torch.arange(1.0, len(y_pred) + 1)
    cut = (len(y_pred) + 1) // 2
    for rows in (slice(cut), slice(cut, None)):
        yield y_pred[rows], y_true[rows], *([weights[rows]] if weighted else [])


def of(metric: Metric, given) -> float:
    metric.reset()
    for batch in given:
        metric.update(*batch)
    return metric.result()


def test_every_exported_metric_has_a_row() -> None:
    public = {getattr(metrics, name) for name in metrics.__all__}
    exported = {thing for thing in public if inspect.isclass(thing) and issubclass(thing, Metric)}
    assert {type(row.make()) for row in ROWS} == exported - BASES


@each
def test_the_result_is_the_mean_over_all_samples(row: Row) -> None:
    assert of(row.make(), batches(row)) == pytest.approx(row.result, rel=1e-6)


@each
def test_weights_count_samples_and_are_normalised_by_their_sum(row: Row) -> None:
    assert of(row.make(), batches(row, weighted=True)) == pytest.approx(row.weighted, rel=1e-6)


@each_of([*COMPARES, *(row for row in ROWS if row.id == "FunctionMetric of samples")])
def test_a_weight_of_zero_leaves_a_sample_out(row: Row) -> None:
    y_pred, y_true = torch.tensor(row.y_pred), torch.tensor(row.y_true)
    kept = torch.ones(len(y_pred))
    kept[0] = 0
    left_out = of(row.make(), [(y_pred, y_true, kept)])
    assert left_out == pytest.approx(of(row.make(), [(y_pred[1:], y_true[1:])]), rel=1e-6)


@each
def test_weights_of_zero_alone_and_no_batches_at_all_give_nan(row: Row) -> None:
    metric = row.make()
    assert math.isnan(metric.result())
    metric.update(torch.tensor(row.y_pred), torch.tensor(row.y_true), torch.zeros(len(row.y_pred)))
    assert math.isnan(metric.result())


@each
def test_reset_forgets_everything(row: Row) -> None:
    metric = row.make()
    for weighted in (True, False, True):
        of(metric, batches(row, weighted))
    assert of(metric, batches(row)) == pytest.approx(row.result, rel=1e-6)
    metric.reset()
    assert math.isnan(metric.result())


@each
def test_the_result_is_a_python_float_at_any_time(row: Row) -> None:
    metric = row.make()
    metric.reset()
    for batch in batches(row):
        metric.update(*batch)
        assert type(metric.result()) is float


@each
def test_what_is_given_is_not_changed(row: Row) -> None:
    given = [tuple(part.clone() for part in batch) for batch in batches(row, weighted=True)]
    kept = copy.deepcopy(given)
    of(row.make(), given)
    for batch, before in zip(given, kept, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, before, strict=True))


@each_of(COLUMNS)
def test_targets_of_one_axis_are_read_as_one_column(row: Row) -> None:
    y_pred, y_true = torch.tensor(row.y_pred), torch.tensor(row.y_true)
    for prediction, target in ((y_pred, y_true[:, 0]), (y_pred[:, 0], y_true)):
        assert of(row.make(), [(prediction, target)]) == pytest.approx(row.result, rel=1e-6)


@each_of(COMPARES)
def test_other_shapes_are_refused_and_never_broadcast(row: Row) -> None:
    metric, y_pred, y_true = row.make(), torch.tensor(row.y_pred), torch.tensor(row.y_true)
    metric.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
    with pytest.raises(ValueError, match=r"5, 7"):
        metric.check_shapes(tuple(y_pred.shape), (len(y_pred), 5, 7))
    with pytest.raises(ValueError):
        metric.update(y_pred, torch.zeros(len(y_pred), 5, 7, dtype=y_true.dtype))


@each_of(COLUMNS)
def test_one_target_for_several_predictions_is_refused(row: Row) -> None:
    count = len(row.y_pred)
    for y_pred, y_true in (((count, 3), (count, 1)), ((count, 1), (count, 3)), ((3, 1), (1, 1))):
        with pytest.raises(ValueError, match=r"expects y_true in the shape of y_pred"):
            row.make().update(torch.zeros(y_pred), torch.zeros(y_true))


@each
def test_it_says_which_way_is_up(row: Row) -> None:
    assert row.make().higher_is_better is row.higher_is_better


@each
def test_sums_are_exact_over_many_batches(row: Row) -> None:
    metric = row.make()
    metric.reset()
    for _ in range(1000):
        for batch in batches(row):
            metric.update(*batch)
    assert metric.result() == pytest.approx(row.result, rel=1e-9, abs=1e-9)


def test_a_mean_of_many_numbers_does_not_drift() -> None:
    mean, tenth = Mean(), torch.tensor(0.1)
    for _ in range(20_000):
        mean.add(tenth, 3)
    assert mean.result() == pytest.approx(float(tenth), rel=1e-12)


@each
def test_nothing_it_keeps_is_an_inference_tensor(row: Row) -> None:
    metric = row.make()
    for weighted in (False, True):
        with torch.inference_mode():
            of(metric, batches(row, weighted))
        kept = [part for value in vars(metric).values() for part in leaves(value)
                if isinstance(part, Tensor)]
        assert kept and not any(value.is_inference() for value in kept)
        metric.reset()


@each
def test_a_copy_counts_for_itself(row: Row) -> None:
    metric = row.make()
    of(metric, batches(row))
    twin = copy.deepcopy(metric)
    twin.update(*next(batches(row)))
    twin.reset()
    assert metric.result() == pytest.approx(row.result, rel=1e-6) and math.isnan(twin.result())


@each
def test_fit_and_evaluate_log_what_it_gives_by_hand(row: Row) -> None:
    """On a model whose predictions are its inputs."""

    class AsIs(Linear):
        def build(self, shape):
            shape = super().build(shape)
            self.weight.data = torch.eye(shape[-1])
            return shape

    y_pred, y_true, metric = torch.tensor(row.y_pred), torch.tensor(row.y_true), row.make()
    loss = MSELoss() if y_pred.shape == y_true.shape else CrossEntropy(
        axis=getattr(metric, "axis", 1))
    model = Model(AsIs(y_pred.shape[-1]), device="cpu")
    model.compile(optimizer=SGD(0.0), loss=loss, metrics=[metric])
    (name,) = model.metrics
    cut = (len(y_pred) + 1) // 2
    logs = model.fit(y_pred, y_true, batch_size=cut, shuffle=False, verbose=0,
                     validation_data=(y_pred, y_true)).history
    answer = model.evaluate(y_pred, y_true, batch_size=cut, verbose=0, return_dict=True)
    for value in (logs[name][0], logs[f"val_{name}"][0], answer[name]):
        assert value == pytest.approx(row.result, rel=1e-6)


def test_a_function_may_say_which_way_is_up() -> None:
    def score(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return (y_true == y_pred).float()

    assert metrics.get(score).higher_is_better is None
    score.higher_is_better = True  # type: ignore[attr-defined]
    assert metrics.get(score).higher_is_better is True
