"""The scores of scikit-learn on the same numbers, and what strings and losses make of them."""

import numpy as np
import pytest
import sklearn.metrics as scikit
import torch

from kerasish import Model
from kerasish.layers import Linear, Tanh
from kerasish.metrics import (
    AUC,
    F1,
    R2,
    ConfusionMatrix,
    Metric,
    Precision,
    Recall,
    ScikitMetric,
    get,
)
from kerasish.optimizers import SGD
from tests.table import numbers


def of(metric: Metric, y_pred, y_true, weight) -> float:
    """The result over batches of 50."""
    for rows in torch.arange(len(y_pred)).split(50):
        metric.update(y_pred[rows], y_true[rows], None if weight is None else weight[rows])
    return metric.result()


def binary(count: int = 230):
    score = (numbers(count) * 4).round() / 8 + 0.5  # many ties
    return score, (numbers(count, seed=1) + 2 * score > 1).double(), numbers(count, seed=2).abs()


def classes(count: int = 230):
    score = numbers(count, 4)
    score[:, 3] -= 9  # a class that nobody predicts
    return score, (score + numbers(count, 4, seed=1)).argmax(1) // 2 * 2, numbers(count).abs()


weighted = pytest.mark.parametrize("weighted", [False, True])
BINARY = [
    (Precision, lambda t, p, **w: scikit.precision_score(t, p > 0.5, **w)),
    (Recall, lambda t, p, **w: scikit.recall_score(t, p > 0.5, **w)),
    (lambda: F1(0.7), lambda t, p, **w: scikit.f1_score(t, p > 0.7, **w)),
    (AUC, scikit.roc_auc_score),
    (lambda: AUC("PR"), scikit.average_precision_score),
    (ConfusionMatrix, lambda t, p, **w: scikit.confusion_matrix(t, p > 0.5, **w)),
]


@weighted
@pytest.mark.parametrize(("make", "score"), BINARY)
def test_scores_of_yes_and_no(make, score, weighted: bool) -> None:
    y_pred, y_true, weight = binary()
    expected = score(y_true.numpy(), y_pred.numpy(),
                     **({"sample_weight": weight.numpy()} if weighted else {}))
    got = of(make(), y_pred, y_true, weight if weighted else None)
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@weighted
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", 2, 3])
@pytest.mark.parametrize(("cls", "score"), [
    (Precision, scikit.precision_score), (Recall, scikit.recall_score), (F1, scikit.f1_score)])
def test_scores_of_classes(cls, score, average, weighted: bool) -> None:
    y_pred, y_true, weight = classes()
    how = {"labels": [average], "average": "macro"} if isinstance(average, int) else {
        "average": average}
    expected = score(y_true.numpy(), y_pred.argmax(1).numpy(), zero_division=0, **how,
                     **({"sample_weight": weight.numpy()} if weighted else {}))
    got = of(cls(average=average), y_pred, y_true, weight if weighted else None)
    assert got == pytest.approx(expected, rel=1e-9)


def test_classes_that_are_there_are_each_ranked_against_the_rest() -> None:
    y_pred, y_true, _ = classes()
    there = sorted(set(y_true.tolist()))
    expected = np.mean([scikit.roc_auc_score(y_true == c, y_pred[:, c]) for c in there])
    assert len(there) < 4 and of(AUC(), y_pred, y_true, None) == pytest.approx(expected, rel=1e-9)


@weighted
def test_the_share_of_variance_explained_of_several_columns(weighted: bool) -> None:
    y_true = numbers(230, 3) + torch.tensor([1e6, 0.0, -3.0])  # far from zero: no cancellation
    y_pred = y_true + numbers(230, 3, seed=1) / 3
    weight = numbers(230, seed=2).abs() if weighted else None
    expected = scikit.r2_score(y_true, y_pred, sample_weight=weight)
    assert of(R2(), y_pred, y_true, weight) == pytest.approx(expected, rel=1e-8)
    y_true[:, 2] = 0.1  # nothing to explain: 0, and 1 where it is met
    rest = scikit.r2_score(y_true[:, :2], y_pred[:, :2], sample_weight=weight)
    assert of(R2(), y_pred, y_true, weight) == pytest.approx(2 / 3 * rest, rel=1e-8)
    y_pred[:, 2] = y_true[:, 2]
    assert of(R2(), y_pred, y_true, weight) == pytest.approx((2 * rest + 1) / 3, rel=1e-8)


def test_any_score_of_scikit_learn_is_taken_over_all_samples() -> None:
    y_pred, y_true, weight = classes()
    taken = y_pred.argmax(1)
    for function, more in ((scikit.cohen_kappa_score, {"weights": "linear"}),
                           (scikit.f1_score, {"average": "macro"}),
                           (scikit.matthews_corrcoef, {})):
        metric = ScikitMetric(function, **more)
        assert metric.name == function.__name__
        assert of(metric, y_pred, y_true, weight) == pytest.approx(
            function(y_true, taken, sample_weight=weight, **more), rel=1e-9)
    assert ScikitMetric(scikit.f1_score, name="f1", average="macro").name == "f1"


def test_where_one_answer_is_missing_there_is_no_area() -> None:
    assert np.isnan(of(AUC(), torch.tensor([0.1, 0.9]), torch.ones(2), None))
    assert np.isnan(of(AUC("PR"), torch.tensor([0.1, 0.9]), torch.zeros(2), None))


def test_what_was_never_predicted_has_no_precision_and_says_0() -> None:
    y_pred, y_true = torch.zeros(3), torch.ones(3)
    assert of(Precision(), y_pred, y_true, None) == of(F1(), y_pred, y_true, None) == 0.0


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "f1_score", "auc", "rmse", "r2",
                                  "mean_iou", "top_k_categorical_accuracy", "l1_loss", "ce",
                                  "root_mean_squared_error"])
def test_names_are_understood_and_logged_as_they_were_written(name: str) -> None:
    assert get(name).name == name


@pytest.mark.parametrize(("loss", "last", "targets"), [
    ("bce", (), [[1.0], [0.0], [1.0], [0.0]]), ("mse", (Tanh(),), [[1.0], [-1.0], [1.0], [-1.0]])])
def test_thresholds_follow_the_loss_and_the_last_module(loss, last, targets) -> None:
    """Logits of 0.3 mean yes."""
    model = Model([Linear(1), *last], device="cpu")
    model.compile(SGD(0.0), loss, metrics=["precision", "recall", "auc", Recall(threshold=0.9),
                                           ScikitMetric(scikit.f1_score, labels=True)])
    model.build((1,))
    model.module[0].weight.data = torch.ones(1, 1)
    x = [[0.3], [-0.2], [0.4], [0.1]]
    results = model.evaluate(x, targets, verbose=0, return_dict=True)
    assert results["precision"] == pytest.approx(2 / 3) and results["recall"] == 1.0
    assert results["recall_1"] == 0.0 and results["auc"] == 1.0
    assert results["f1_score"] == pytest.approx(0.8)


def test_a_confusion_matrix_is_kept_in_the_history_and_not_in_the_line(capsys) -> None:
    model = Model(Linear(3), device="cpu")
    model.compile("sgd", "cross_entropy", metrics=["confusion_matrix", "accuracy"])
    x, y = torch.randn(8, 2), torch.arange(8) % 3
    history = model.fit(x, y, epochs=2, verbose=2).history
    assert [matrix.shape for matrix in history["confusion_matrix"]] == [(3, 3)] * 2
    assert history["confusion_matrix"][0].sum() == 8
    assert "confusion" not in capsys.readouterr().out


@pytest.mark.parametrize(("make", "message"), [
    (lambda: AUC("RC"), r"AUC\(curve\) expects one of 'ROC', 'PR'; got 'RC'"),
    (lambda: F1(average="mean"), r"F1\(average\) expects one of 'macro', 'micro', 'weighted'"),
    (lambda: Precision(threshold="high"), r"Precision\(threshold\) expects a finite number"),
    (lambda: get("recal"), "Did you mean 'recall'"),
])
def test_settings_that_mean_nothing_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
