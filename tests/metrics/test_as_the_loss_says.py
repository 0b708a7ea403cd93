"""What metrics take over from the loss: classes, their axis, what it ignores, probabilities."""

import math
from functools import partial

import numpy as np
import pytest
import sklearn.metrics as scikit
import torch

from kerasish import Model
from kerasish.layers import Linear
from kerasish.losses import (
    MSE,
    NLL,
    BinaryCrossEntropy,
    CategoricalHinge,
    CrossEntropy,
    Hinge,
    KLDivergence,
)
from kerasish.metrics import (
    AUC,
    F1,
    R2,
    CategoricalAccuracy,
    ConfusionMatrix,
    MeanIoU,
    Metric,
    Precision,
    Recall,
    ScikitMetric,
    TopKCategoricalAccuracy,
)
from tests.table import numbers, shown

OF_CLASSES = [CategoricalAccuracy, partial(TopKCategoricalAccuracy, 2), ConfusionMatrix, MeanIoU,
              Precision, Recall, F1, AUC, partial(AUC, "PR"),
              partial(ScikitMetric, scikit.matthews_corrcoef),
              partial(ScikitMetric, partial(scikit.log_loss, labels=range(3)), labels=False)]
each = pytest.mark.parametrize("make", OF_CLASSES, ids=lambda make: shown(make()))


def of(metric: Metric, loss, y_pred, y_true, weight=None):
    """The result over batches of 20, with a loss."""
    metric.told(loss, None)
    metric.reset()
    for rows in torch.arange(len(y_pred)).split(20):
        metric.check_shapes(tuple(y_pred[rows].shape), tuple(y_true[rows].shape))
        metric.update(y_pred[rows], y_true[rows], None if weight is None else weight[rows])
    return metric.result()


def same(got, expected) -> None:
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def classes(count: int = 70, kinds: int = 3):
    y_pred = numbers(count, kinds)
    return y_pred, (y_pred + numbers(count, kinds, seed=1)).argmax(1), numbers(count).abs()


@each
@pytest.mark.parametrize("index", [-1, 1, 255])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_the_loss_ignores_counts_nothing(make, index: int, weighted: bool) -> None:
    y_pred, y_true, weight = classes()
    ignored = torch.arange(70) % 3 == 0
    y_true[y_true == index] = 0
    y_pred[y_true != 2] += torch.tensor([5.0, 0.0, 0.0])
    y_true = y_true.masked_fill(ignored, index)
    weight = weight if weighted else None
    expected = of(make(), CrossEntropy(), y_pred[~ignored], y_true[~ignored],
                  None if weight is None else weight[~ignored])
    same(of(make(), CrossEntropy(ignore_index=index), y_pred, y_true, weight), expected)


@each
def test_where_all_is_ignored_there_is_no_score(make) -> None:
    y_pred, y_true, _ = classes()
    got = of(make(), CrossEntropy(ignore_index=-1), y_pred, torch.full_like(y_true, -1))
    assert math.isnan(got)


@each
@pytest.mark.parametrize("axis", [-1, 2])
def test_the_class_axis_is_the_loss_s(make, axis: int) -> None:
    y_pred, y_true, weight = classes(60)
    weight = weight[::2].repeat_interleave(2)
    expected = of(make(), None, y_pred, y_true, weight) if "log_loss" not in repr(make) else (
        of(make(), CrossEntropy(), y_pred, y_true, weight))
    given = y_pred.view(30, 2, 3), y_true.view(30, 2), weight[::2]
    same(of(make(), CrossEntropy(axis=axis), *given), expected)
    other = given[0].movedim(2, 1), *given[1:]
    same(of(make(), CrossEntropy(), *other), expected)


def test_an_axis_that_is_given_stays() -> None:
    for metric in (MeanIoU(axis=2), AUC(axis=2), F1(axis=2), ScikitMetric(scikit.f1_score, axis=2)):
        metric.told(CrossEntropy(), None)
        metric.check_shapes((4, 5, 3), (4, 5))
        with pytest.raises(ValueError):
            metric.check_shapes((4, 3, 5), (4, 5))


@each
@pytest.mark.parametrize("loss", [CrossEntropy(), KLDivergence(axis=1), NLL(), CategoricalHinge()],
                         ids=shown)
def test_one_hot_targets_of_a_loss_of_classes_are_classes(make, loss) -> None:
    y_pred, y_true, weight = classes()
    if "log_loss" in repr(make):
        y_pred = y_pred.softmax(1).double()
        y_pred = y_pred.log() if isinstance(loss, CrossEntropy | NLL) else y_pred
    for targets in (y_true[:, None], torch.eye(3)[y_true]):
        same(of(make(), loss, y_pred, targets, weight), of(make(), loss, y_pred, y_true, weight))


def test_several_labels_stay_yes_or_no_each() -> None:
    y_pred = numbers(40, 3)
    matrix = of(ConfusionMatrix(), BinaryCrossEntropy(), y_pred, (y_pred > 0).float())
    assert matrix.shape == (2, 2) and matrix.sum() == 120


def test_a_fit_with_what_is_ignored() -> None:
    model = Model(Linear(3), device="cpu")
    wanted = ["f1", "mean_iou", "auc", "confusion_matrix", "accuracy", "top_k_categorical_accuracy"]
    model.compile("sgd", CrossEntropy(ignore_index=-1), metrics=wanted)
    y = [0, -1, 1, 2, -1, 0, 2, 1]
    history = model.fit(numbers(8, 2), y, batch_size=3, verbose=0).history
    assert history["confusion_matrix"][0].sum() == 6
    assert history["top_k_categorical_accuracy"] == [1.0]


@pytest.mark.parametrize("average", [None, "macro", "micro", "weighted", 0, 1])
@pytest.mark.parametrize(("cls", "score"), [
    (Precision, scikit.precision_score), (Recall, scikit.recall_score), (F1, scikit.f1_score)])
def test_averages_over_two_classes(cls, score, average) -> None:
    y_pred, y_true, weight = classes(70, 2)
    taken = y_pred.argmax(1)
    how = {"average": average or "binary"}
    if isinstance(average, int):
        how = {"average": "macro", "labels": [average]}
    expected = score(y_true, taken, sample_weight=weight, **how)
    same(of(cls(average=average), CrossEntropy(), y_pred, y_true, weight), expected)
    yes = y_pred[:, 1:] - y_pred[:, :1]
    loss = BinaryCrossEntropy()
    same(of(cls(average=average), loss, yes, y_true[:, None].float(), weight), expected)


@pytest.mark.parametrize(("average", "y_pred", "y_true", "last"), [
    (7, (4, 3), (4,), 2), (3, (4, 3), (4,), 2), (2, (4, 1), (4, 1), 1)])
def test_a_class_that_is_none_is_refused_before_training(average, y_pred, y_true, last) -> None:
    metric = Precision(average=average)
    with pytest.raises(ValueError, match=rf"Precision\(average\) expects a class from 0 to {last}"):
        metric.check_shapes(y_pred, y_true)
    Precision(average=last).check_shapes(y_pred, y_true)


# ---- scikit-learn's ------------------------------------------------------------------------------


def test_labels_or_numbers_by_the_loss() -> None:
    y_pred, y_true = numbers(50, 1), numbers(50, 1, seed=1)
    raw = partial(ScikitMetric, scikit.r2_score)
    same(of(raw(), MSE(), y_pred, y_true), scikit.r2_score(y_true, y_pred))
    same(of(raw(), MSE(), y_pred, y_true), of(R2(), MSE(), y_pred, y_true))
    same(of(raw(), None, y_pred, y_true), scikit.r2_score(y_true, y_pred))
    bits = (y_true > 0).float()
    for loss, threshold in ((BinaryCrossEntropy(), 0), (BinaryCrossEntropy(False), 0.5)):
        got = of(ScikitMetric(scikit.f1_score), loss, y_pred, bits)
        same(got, scikit.f1_score(bits, y_pred > threshold))
    got = of(ScikitMetric(scikit.f1_score), Hinge(), y_pred, bits)
    same(got, scikit.f1_score(bits, y_pred > 0.5))
    got = of(ScikitMetric(scikit.f1_score, labels=True), MSE(), y_pred, bits)
    same(got, scikit.f1_score(bits, y_pred > 0.5))


@pytest.mark.parametrize("kinds", [2, 3])
@pytest.mark.parametrize("function", [scikit.log_loss, scikit.brier_score_loss,
                                      scikit.roc_auc_score])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_probabilities_get_probabilities(kinds, function, weighted) -> None:
    y_pred, y_true, weight = classes(kinds=kinds)
    weight, p = weight if weighted else None, y_pred.double().softmax(1)
    more = {"multi_class": "ovr"} if function is scikit.roc_auc_score and kinds == 3 else {}
    expected = function(y_true, p if kinds == 3 else p[:, 1], sample_weight=weight, **more)
    make = partial(ScikitMetric, function, labels=False, **more)
    given = y_true, weight
    same(of(make(), CrossEntropy(), y_pred, *given), expected)
    same(of(make(), NLL(), p.log(), *given), expected)
    same(of(make(), KLDivergence(), p, torch.eye(kinds)[y_true], weight), expected)
    same(of(make(), CrossEntropy(from_logits=False), p, *given), expected)


@pytest.mark.parametrize("function", [scikit.log_loss, scikit.brier_score_loss,
                                      scikit.average_precision_score])
def test_logits_of_yes_and_no_become_probabilities(function) -> None:
    y_pred = numbers(50, 1)
    y_true, p = (y_pred + numbers(50, 1, seed=1) > 0).float(), y_pred.double().sigmoid()
    make = partial(ScikitMetric, function, labels=False)
    same(of(make(), BinaryCrossEntropy(), y_pred, y_true), function(y_true, p))
    same(of(make(), BinaryCrossEntropy(False), p, y_true), function(y_true, p))
