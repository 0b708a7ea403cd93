"""NaN is never an improvement: whatever counts and is not a number is wrong, or has no score."""

import math
from functools import partial

import pytest
import sklearn.metrics as scikit
import torch

from kerasish.losses import BinaryCrossEntropy
from kerasish.metrics import (
    AUC,
    F1,
    MAE,
    MSE,
    R2,
    RMSE,
    BinaryAccuracy,
    CategoricalAccuracy,
    ConfusionMatrix,
    LossMetric,
    MeanIoU,
    Precision,
    Recall,
    ScikitMetric,
    TopKCategoricalAccuracy,
)
from tests.table import shown

NAN = math.nan
BITS = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
SCORES = [AUC, partial(AUC, "PR"), Precision, Recall, F1, partial(F1, average="macro"), MeanIoU,
          MSE, MAE, RMSE, R2, partial(LossMetric, BinaryCrossEntropy(from_logits=False)),
          partial(ScikitMetric, scikit.f1_score, labels=True),
          partial(ScikitMetric, scikit.r2_score)]  # fmt: skip
each = pytest.mark.parametrize("make", SCORES, ids=lambda make: shown(make()))


def of(metric, y_pred, y_true, weight=None) -> float:
    metric.update(y_pred, y_true, weight)
    return metric.result()


@each
@pytest.mark.parametrize("at", range(4))
def test_a_prediction_of_nan_leaves_no_score(make, at: int) -> None:
    y_pred = BITS.clone()
    assert not math.isnan(of(make(), y_pred, BITS))
    y_pred[at] = NAN
    assert math.isnan(of(make(), y_pred, BITS))
    assert math.isnan(of(make(), torch.full((4, 1), NAN), BITS))


@each
@pytest.mark.parametrize("at", range(4))
def test_a_target_of_nan_leaves_no_score(make, at: int) -> None:
    y_true = BITS.clone()
    y_true[at] = NAN
    assert math.isnan(of(make(), BITS, y_true))


@pytest.mark.parametrize("make", [*SCORES[:7], *SCORES[-2:]], ids=lambda make: shown(make()))
def test_nan_that_weighs_nothing_does_not_matter(make) -> None:
    y_pred, y_true = torch.cat([BITS, BITS]), torch.cat([BITS, BITS])
    y_pred[0], y_true[1] = NAN, NAN
    weight = torch.tensor([0.0, 0.0, 1, 1, 1, 1, 1, 1])
    assert of(make(), y_pred, y_true, weight) == 1.0


@pytest.mark.parametrize("make", [AUC, Precision, Recall, F1, MeanIoU,
                                  partial(ScikitMetric, scikit.accuracy_score)])
@pytest.mark.parametrize("at", range(3))
def test_nan_among_classes_leaves_no_score(make, at: int) -> None:
    y_pred, y_true = torch.eye(3), torch.arange(3)
    y_pred[1, at] = NAN
    assert math.isnan(of(make(), y_pred, y_true))


@pytest.mark.parametrize("make", [CategoricalAccuracy, partial(TopKCategoricalAccuracy, 2)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_from_nan_are_wrong_answers(make, one_hot: bool) -> None:
    y_true = torch.eye(3)[torch.arange(3)] if one_hot else torch.arange(3)
    for at in range(3):
        y_pred = torch.eye(3)
        y_pred[0, at] = NAN  # a class that is NaN counts as the largest
        assert of(make(), y_pred, y_true) == pytest.approx(2 / 3)
    assert of(make(), torch.full((3, 3), NAN), y_true) == 0.0


def test_yes_and_no_from_nan_are_wrong_answers() -> None:
    assert of(BinaryAccuracy(), torch.full((4, 1), NAN), BITS) == 0.0
    assert of(BinaryAccuracy(), BITS, torch.full((4, 1), NAN)) == 0.0
    assert of(BinaryAccuracy(), torch.tensor([NAN, 0.0, 1.0, 1.0]), BITS) == 0.75


def test_constant_targets_predicted_with_nan_are_not_0_explained() -> None:
    assert math.isnan(of(R2(), torch.tensor([NAN, 1.0]), torch.ones(2)))


def test_a_confusion_matrix_says_where_nan_is() -> None:
    matrix = of(ConfusionMatrix(), torch.tensor([NAN, 0.1, 0.9, 0.9]), BITS)
    assert math.isnan(matrix[0, 0]) and matrix[1].tolist() == [0.0, 2.0]
