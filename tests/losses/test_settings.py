"""Settings that are refused when a loss is made, targets before training, endings by compile."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from kerasish import Model
from kerasish.layers import Linear, ReLU, Sigmoid, Tanh
from kerasish.losses import (
    MSE,
    MSLE,
    NLL,
    BinaryCrossEntropy,
    BinaryFocal,
    CategoricalHinge,
    CosineSimilarity,
    CrossEntropy,
    Focal,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    Poisson,
    SmoothL1,
    SquaredHinge,
    TripletMargin,
)
from kerasish.metrics import BinaryAccuracy, CategoricalAccuracy, accuracy_for
from kerasish.module import Module
from tests.table import LOSSES

CLASSES = sorted({type(row.make()) for row in LOSSES}, key=lambda cls: cls.__name__)
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


# ---- settings -------------------------------------------------------------------------------


@every_class
@pytest.mark.parametrize("reduction", ["none", None])
def test_values_that_are_not_brought_together_are_refused(cls: type, reduction: Any) -> None:
    with pytest.raises(ValueError) as caught:
        cls(reduction=reduction)
    for part in (f"{cls.__name__}(reduction) expects one of 'mean', 'sum'", f"got {reduction!r}",
                 "one number", "sample_weight"):
        assert part in str(caught.value)


@every_class
def test_reductions_by_name(cls: type) -> None:
    assert cls(reduction="sum_over_batch_size").reduction == cls().reduction == "mean"
    assert cls(reduction="sum").reduction == "sum"
    with pytest.raises(ValueError, match=rf"{cls.__name__}\(reduction\) .*got 'men'.* 'mean'"):
        cls(reduction="men")


@pytest.mark.parametrize(("make", "says"), [
    (lambda: Huber(delta=0), r"Huber\(delta\) expects a finite number above 0; got 0"),
    (lambda: Huber(math.inf), r"Huber\(delta\) .* got inf"),
    (lambda: SmoothL1(beta=-1), r"SmoothL1\(beta\) expects a finite number of 0 or more; got -1"),
    (lambda: CrossEntropy(label_smoothing=1.5), r"CrossEntropy\(label_smoothing\) .* got 1.5"),
    (lambda: BinaryCrossEntropy(label_smoothing=-0.1),
     r"BinaryCrossEntropy\(label_smoothing\) expects a number from 0 to 1; got -0.1"),
    (lambda: Focal(gamma=-1), r"Focal\(gamma\) .* got -1.*2\.0 is usual"),
    (lambda: BinaryFocal(gamma=math.nan), r"BinaryFocal\(gamma\) .* got nan"),
    (lambda: BinaryFocal(alpha=2), r"BinaryFocal\(alpha\) .* from 0 to 1; got 2"),
    (lambda: Focal(alpha=-1), r"Focal\(alpha\) expects finite numbers of 0 or more; got -1"),
    (lambda: CrossEntropy(weight=2.0), r"CrossEntropy\(weight\) expects a list of finite numbers"),
    (lambda: CrossEntropy(weight=[1.0, -2.0]), r"got \[1.0, -2.0\]. Give one a class."),
    (lambda: CrossEntropy(weight=[1.0, math.inf]), r"CrossEntropy\(weight\) .* inf"),
    (lambda: NLL(weight="balanced"), r"NLL\(weight\) expects a list .*'balanced'"),
    (lambda: CrossEntropy(torch.ones(3)), r"CrossEntropy\(axis\) .*tensor.*weight=\.\.\."),
    (lambda: CrossEntropy(ignore_index=1.5), r"CrossEntropy\(ignore_index\) .* got 1.5"),
    (lambda: BinaryCrossEntropy(pos_weight=-1.0), r"\(pos_weight\) expects .* got -1.0"),
    (lambda: Poisson(eps=0), r"Poisson\(eps\) expects a finite number above 0; got 0"),
    (lambda: GaussianNLL(eps=-1), r"GaussianNLL\(eps\) expects a finite number above 0; got -1"),
    (lambda: TripletMargin(margin=-1), r"TripletMargin\(margin\) .* got -1.*1\.0 is usual"),
    (lambda: TripletMargin(p=0.5), r"TripletMargin\(p\) .* of 1 or more; got 0.5"),
    (lambda: TripletMargin(eps=math.nan), r"TripletMargin\(eps\) .* got nan"),
])
def test_a_setting_out_of_range_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


# ---- targets and shapes ---------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "y_pred", "y_true", "says"), [
    (MSLE(), (2, 1), [-0.5, 1.0], "targets of 0 or more; got -0.5 to 1"),
    (Poisson(), (2, 1), [-1, 1], "counts of 0 or more; got -1 to 1"),
    (Poisson(), (2, 1), [math.nan, 1], "counts of 0 or more; got nan"),
    (Hinge(), (3, 1), [-1.0, 0.0, 1.0], "targets -1 and 1, or 0 and 1; got -1, 0, 1."),
    (SquaredHinge(), (2, 1), [0.5, 2.0], "0 and 1; got 0.5, 2."),
    (Hinge(), (6, 1), [1, 2, 3, 4, 5, 6], "got 1, 2, 3, 4, .... Map"),
    (KLDivergence(), (1, 2), [[0.5, 1.5]], "probabilities from 0 to 1 as targets; got 0.5 to 1.5"),
    (KLDivergence(log_target=True), (1, 2), [[-0.5, 0.5]], "log-probabilities of 0 or less"),
    (CrossEntropy(), (1, 2), [[-0.5, 0.5]], "probabilities from 0 to 1; got -0.5 to 0.5"),
    (BinaryFocal(), (2, 1), [-1.0, 1.0], "targets from 0 to 1; got -1 to 1"),
    (NLL(), (2, 3), [0, 3], "classes from 0 to 2, as y_pred has 3; got 0 to 3"),
    (CategoricalHinge(), (2, 3), [0, -1], "got -1 to 0, first in sample 1"),
    (CrossEntropy(ignore_index=-1), (2, 3), [-1, -2], "got -2 to -1, first in sample 1"),
    (CrossEntropy(), (2, 3), [0, -100], r"write ignore_index=\.\.\."),
    (CrossEntropy(weight=[1, 2]), (2, 3), [0, 1], r"\(weight\) expects one number a class, 3"),
    (Focal(alpha=[1, 2]), (2, 3), [0, 1], r"Focal\(alpha\) expects a number, or one a class, 3"),
    (BinaryCrossEntropy(pos_weight=[1, 2]), (2, 3), [[0, 1, 0], [0, 1, 0]],
     r"\(pos_weight\) expects .* \(2, 3\); got \(2,\). Give one a class, shape \(3,\)"),
    (BinaryCrossEntropy(pos_weight=[[1]]), (2, 1), [0, 1], r"\(pos_weight\) .* got \(1, 1\)"),
    (BinaryCrossEntropy(pos_weight=[2]), (2,), [0, 1], r"\(pos_weight\) .* got \(1,\)"),
    (CosineSimilarity(), (2,), [0, 1], "another axis -1; got shape"),
    (CosineSimilarity(axis=0), (2, 2), [[0, 1], [1, 1]], "another axis 0; got shape"),
    (KLDivergence(axis=2), (1, 2), [[0.5, 0.5]], "another axis 2; got shape"),
    (GaussianNLL(), (2, 3), [0.0, 1.0], r"as many variances on axis 1; got shape \(2, 3\)"),
    (GaussianNLL(), (2,), [0.0, 1.0], r"as many variances on axis 1; got shape \(2,\)"),
    (GaussianNLL(), (2, 0), [0.0, 1.0], r"as many variances on axis 1; got shape \(2, 0\)"),
    (GaussianNLL(), (2, 4), [0.0, 1.0], r"shape of the means, \(2, 2\); got \(2,\)"),
    (GaussianNLL(), (2, 2), [[0.0, 1.0]] * 2, r"shape of the means, \(2, 1\); got \(2, 2\)"),
    (TripletMargin(), (2, 4), [0, 0], r"shape \(N, 3, D\), or a tuple .* got \(2, 4\)"),
    (TripletMargin(), (2, 4, 3), [0, 0], r"got \(2, 4, 3\)"),
])
def test_targets_that_cannot_be_meant_are_refused(
    loss: Loss, y_pred: tuple[int, ...], y_true: list[Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        loss.check_targets(y_pred, torch.tensor(y_true))


@pytest.mark.parametrize(("loss", "y_pred", "y_true"), [
    (Hinge(), (2, 1), [True, False]), (Hinge(), (2, 1), [1, 1]), (Hinge(), (2, 1), [0, 0]),
    (Hinge(), (2, 1), [-1, 1]), (CrossEntropy(ignore_index=-1), (2, 3), [-1, -1]),
    (CrossEntropy(ignore_index=255), (3, 3), [255, 2, 0]), (Poisson(), (2, 1), [0, 1000]),
    (GaussianNLL(), (2, 2), [0.0, 1.0]), (GaussianNLL(), (2, 2), [[0.0], [1.0]]),
    (TripletMargin(), (2, 3, 4), [0, 1]), (Focal(alpha=[1, 2, 3]), (2, 3), [0, 2]),
    (TripletMargin(), ((2, 4), (2, 4), (2, 4)), [0, 1]),
    (BinaryCrossEntropy(pos_weight=[[1], [2]]), (1, 2, 3), [[[0, 1, 0], [1, 1, 1]]]),
    (KLDivergence(log_target=True), (1, 2), [[-math.inf, 0.0]]),
])
def test_targets_that_are_meant_are_taken(loss: Loss, y_pred: Any, y_true: list[Any]) -> None:
    loss.check_targets(y_pred, torch.tensor(y_true))


@pytest.mark.parametrize(("loss", "y_pred", "y_true"), [
    (CrossEntropy(weight=[1, 2]), torch.ones(2, 3), torch.tensor([0, 1])),
    (BinaryCrossEntropy(pos_weight=[1, 2]), torch.ones(2, 3), torch.ones(2, 3)),
    (GaussianNLL(), torch.ones(2, 4), torch.ones(2, 1)),
    (TripletMargin(), torch.ones(2, 3), torch.ones(2)),
    (TripletMargin(), (torch.ones(2, 3), torch.ones(2, 3)), torch.ones(2)),
])
def test_a_step_refuses_other_shapes_too(loss: Loss, y_pred: Any, y_true: Tensor) -> None:
    with pytest.raises(ValueError, match="expects"):
        loss(y_pred, y_true)
    assert loss._saved == []


def test_a_class_is_not_taken_for_one_that_its_type_cannot_hold() -> None:
    labels = torch.tensor([0, 156], dtype=torch.uint8)  # 156 is -100 there
    with pytest.raises(ValueError, match="got 0 to 156, first in sample 1"):
        CrossEntropy(ignore_index=-100).check_targets((2, 3), labels)


def test_triplets_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(\(2, 4\), \(2, 5\), \(2, 4\)\)"):
        TripletMargin().check_shapes(((2, 4), (2, 5), (2, 4)), (2,))


# ---- endings --------------------------------------------------------------------------------


class Softmax(Module):
    """Stands for any module whose values are probabilities."""

    y_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)


class LogSoftmax(Module):
    """Stands for any module whose values are log-probabilities."""

    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, 0.0)


LOGITS = [CrossEntropy(), Focal(), BinaryCrossEntropy(), BinaryFocal(),
          CrossEntropy(weight=[1.0, 2.0])]
PROBABILITIES = [type(loss)(from_logits=False) for loss in LOGITS[:4]] + [KLDivergence()]
LOG_PROBABILITIES = [NLL(), KLDivergence(log_input=True)]


def compiled(last: Module, loss: Loss) -> Model:
    model = Model(Linear(3), last, device="cpu")
    model.compile(optimizer="sgd", loss=loss)
    return model


@pytest.mark.parametrize(("last", "loss", "says"), [
    *[(last, loss, f"logits, any real numbers; got one that ends in {last!r}. Leave {last!r} out, "
       f"or write {type(loss).__name__}(from_logits=False).")
      for loss in LOGITS for last in (Sigmoid(), Softmax())],
    *[(last, loss, f"probabilities; got one that ends in {last!r}. Add "
       f"{'Sigmoid()' if isinstance(loss, BinaryCrossEntropy | BinaryFocal) else 'Softmax('}")
      for loss in PROBABILITIES for last in (Linear(3), Tanh(), ReLU(), LogSoftmax())],
    *[(last, loss, f"log-probabilities; got one that ends in {last!r}. Add LogSoftmax(")
      for loss in LOG_PROBABILITIES for last in (Linear(3), ReLU(), Sigmoid(), Softmax())],
    *[(last, Poisson(), f"rates of 0 or more; got one that ends in {last!r}. Add Softplus(), say, "
       "at the end, or write Poisson(log_input=True).") for last in (Linear(1), Tanh())],
], ids=repr)
def test_an_ending_that_cannot_be_meant_is_refused_with_the_ways_out(
    last: Module, loss: Loss, says: str
) -> None:
    with pytest.raises(ValueError) as caught:
        compiled(last, loss)
    assert f"compile(loss={loss!r}) expects a model that ends in {says}" in str(caught.value)


@pytest.mark.parametrize(("last", "loss"), [
    *[(last, loss) for loss in LOGITS for last in (Linear(3), Tanh(), LogSoftmax(), Module())],
    *[(last, loss) for loss in PROBABILITIES for last in (Sigmoid(), Softmax(), Module())],
    *[(last, loss) for loss in LOG_PROBABILITIES for last in (LogSoftmax(), Module())],
    *[(last, Poisson()) for last in (ReLU(), Sigmoid(), Module())],
    *[(last, loss) for loss in (MSE(), Hinge(), GaussianNLL(), Poisson(log_input=True))
      for last in (Linear(3), Sigmoid(), Softmax(), Tanh())],
], ids=repr)
def test_other_endings_are_taken(last: Module, loss: Loss) -> None:
    assert compiled(last, loss).compiled


# ---- accuracy -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [CrossEntropy(axis=-1), NLL(axis=-1), Focal(axis=-1),
                                  CategoricalHinge(axis=-1), KLDivergence()], ids=repr)
def test_accuracy_of_losses_of_classes_is_that_of_the_largest(loss: Loss) -> None:
    metric = accuracy_for(loss, None)
    assert isinstance(metric, CategoricalAccuracy) and metric.axis == -1


@pytest.mark.parametrize(("loss", "threshold", "target_threshold"), [
    (BinaryFocal(), 0, 0.5), (BinaryFocal(from_logits=False), 0.5, 0.5), (Hinge(), 0, 0),
    (SquaredHinge(), 0, 0),
], ids=repr)
def test_accuracy_of_losses_of_yes_or_no_is_that_of_the_side(
    loss: Loss, threshold: float, target_threshold: float
) -> None:
    metric = accuracy_for(loss, (0.0, 1.0))
    assert isinstance(metric, BinaryAccuracy)
    assert (metric.threshold, metric.target_threshold) == (threshold, target_threshold)
