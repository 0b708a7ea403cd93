"""What metrics refuse, before training starts, and batches without samples."""

import re

import pytest
import sklearn.metrics as scikit
import torch

from kerasish import Model
from kerasish.containers import Graph, Input
from kerasish.layers import Linear
from kerasish.losses import CrossEntropy
from kerasish.metrics import (
    AUC,
    F1,
    MAE,
    R2,
    BinaryAccuracy,
    CategoricalAccuracy,
    ConfusionMatrix,
    ElementwiseMean,
    Held,
    Mean,
    Metric,
    Precision,
    ScikitMetric,
    TopKCategoricalAccuracy,
    get,
)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: BinaryAccuracy("a"), r"BinaryAccuracy(threshold) expects a finite number; got 'a'."),
    (lambda: BinaryAccuracy(None), r"BinaryAccuracy(threshold) expects a finite number; got None."),
    (lambda: BinaryAccuracy(0.0, "b"), "BinaryAccuracy(target_threshold) expects a finite number"),
    (lambda: CategoricalAccuracy(ignore_index=0.5),
     "CategoricalAccuracy(ignore_index) expects a whole number; got 0.5."),
    (lambda: TopKCategoricalAccuracy(axis="a"),
     "TopKCategoricalAccuracy(axis) expects a whole number; got 'a'."),
    (lambda: F1(axis=1.5), "F1(axis) expects a whole number; got 1.5."),
    (lambda: AUC(axis="last"), "AUC(axis) expects a whole number; got 'last'."),
    (lambda: Precision(average=-1), "Precision(average) expects a whole number of at least 0"),
    (lambda: Precision(average=True), "Precision(average) expects a whole number of at least 0"),
    (lambda: ScikitMetric(scikit.f1_score, labels="no"), "ScikitMetric(labels) expects True for"),
    (lambda: get("accuracy"), "metrics.get(metric) expects a name with one meaning; got 'accuracy'"
                              ", which compile decides by the loss."),
    (lambda: get("Acc"), "got 'Acc', which compile decides"),
])  # fmt: skip
def test_settings_that_mean_nothing_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_score_of_scikit_learn_is_no_name() -> None:
    with pytest.raises(TypeError, match=r"ScikitMetric.function. expects a function .* got 'f1'"):
        ScikitMetric("f1")


class _Unwritten(Mean):
    """Has no values."""


@pytest.mark.parametrize(("metric", "lacks"), [
    (Metric(), "update"), (Mean(), "values"), (ElementwiseMean(), "values"), (Held(), "score"),
    (_Unwritten(), "values")], ids=repr)  # fmt: skip
def test_a_metric_without_its_method_is_refused_by_compile(metric, lacks: str) -> None:
    model = Model(Linear(1), device="cpu")
    with pytest.raises(TypeError, match=rf"a {lacks} method; got {re.escape(repr(metric))}, which"):
        model.compile("sgd", "mse", metrics=[metric])


def two_outputs() -> Model:
    x = Input((2,))
    return Model(Graph(x, {"a": Linear(1)(x), "c": Linear(1)(x)}), device="cpu")


@pytest.mark.parametrize("validation", [False, True])
def test_a_metric_on_an_output_without_targets_is_refused(validation: bool) -> None:
    model, x, a = two_outputs(), torch.zeros(4, 2), torch.zeros(4, 1)
    model.compile("sgd", {"a": "mse", "c": None}, metrics={"c": "mae"})
    y = {"a": a, "c": a} if validation else {"a": a}
    message = r"expects targets for the output 'c', which MAE\(\) looks at; got targets for \['a'\]"
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0, validation_data=(x, {"a": a}) if validation else None)
    with pytest.raises(RuntimeError, match="Call fit or evaluate first"):
        _ = model.scores


@pytest.mark.parametrize("metric", [
    MAE(), R2(), AUC(), F1(), ConfusionMatrix(), BinaryAccuracy()], ids=repr)
def test_a_batch_without_samples_changes_nothing(metric) -> None:
    y_pred, y_true = torch.tensor([[0.1], [0.9], [0.8]]), torch.tensor([[0.0], [1.0], [0.0]])
    metric.update(y_pred, y_true, torch.ones(3))
    before = torch.as_tensor(metric.result())
    metric.update(torch.zeros(0, 1), torch.zeros(0, 1), torch.zeros(0))
    metric.update(torch.zeros(0), torch.zeros(0), torch.zeros(0))
    assert torch.equal(torch.as_tensor(metric.result()), before)


@pytest.mark.parametrize("metric", [
    CategoricalAccuracy(), CategoricalAccuracy(ignore_index=-1), TopKCategoricalAccuracy(2),
    F1(), AUC()], ids=repr)  # fmt: skip
def test_a_batch_without_samples_of_classes_changes_nothing(metric) -> None:
    metric.told(CrossEntropy(), None)
    metric.update(torch.eye(3), torch.tensor([0, 1, 1]), torch.ones(3))
    before = torch.as_tensor(metric.result())
    metric.update(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), torch.zeros(0))
    assert torch.equal(torch.as_tensor(metric.result()), before)
