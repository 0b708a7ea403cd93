"""Losses of classes: class weights, ignored classes, smoothing, and all of them together."""

import math

import pytest
import torch
from torch import Tensor, nn

from kerasish import Model
from kerasish.layers import Linear
from kerasish.losses import NLL, CategoricalHinge, CrossEntropy, Focal, Loss
from kerasish.metrics import accuracy_for
from tests.table import numbers

WEIGHT = torch.tensor([0.5, 2.0, 0.0, 3.0, 1.0], dtype=torch.float64)
LABELS = torch.tensor([[0, 1, 2], [3, -100, 4], [1, 1, -100], [4, 0, 3]])
LOGITS = numbers(4, 5, 3)


def run(loss: Loss, *batch: Tensor) -> tuple[Tensor, Tensor]:
    return loss(*batch), loss.backward()


def run_torch(loss: nn.Module, y_pred: Tensor, y_true: Tensor) -> tuple[Tensor, Tensor]:
    y_pred = y_pred.clone().requires_grad_()
    value = loss(y_pred, y_true)
    value.backward()
    return value.detach(), y_pred.grad


# ---- against torch's own reductions ---------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("settings", [
    {}, {"ignore_index": -100}, {"ignore_index": 1}, {"weight": WEIGHT},
    {"weight": WEIGHT, "ignore_index": -100}, {"weight": WEIGHT, "ignore_index": 3},
], ids=str)
@pytest.mark.parametrize(("ours", "theirs"), [(CrossEntropy, nn.CrossEntropyLoss),
                                              (NLL, nn.NLLLoss)])
def test_class_indices_are_reduced_as_in_torch(ours, theirs, settings, reduction: str) -> None:
    labels = LABELS if settings.get("ignore_index") == -100 else LABELS.clamp_min(0)
    loss, twin = (cls(**settings, reduction=reduction) for cls in (ours, theirs))
    torch.testing.assert_close(run(loss, LOGITS, labels), run_torch(twin, LOGITS, labels))


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
@pytest.mark.parametrize("settings", [{}, {"ignore_index": -100}, {"weight": WEIGHT},
                                      {"weight": WEIGHT, "ignore_index": -100}], ids=str)
def test_smoothed_targets_are_reduced_as_in_torch(settings, smoothing: float) -> None:
    labels = LABELS if "ignore_index" in settings else LABELS.clamp_min(0)
    settings = {**settings, "label_smoothing": smoothing}
    torch.testing.assert_close(run(CrossEntropy(**settings), LOGITS, labels),
                               run_torch(nn.CrossEntropyLoss(**settings), LOGITS, labels))


@pytest.mark.parametrize("settings", [{"weight": WEIGHT}, {"label_smoothing": 0.2},
                                      {"weight": WEIGHT, "label_smoothing": 0.2}], ids=str)
def test_probabilities_are_reduced_as_in_torch(settings) -> None:
    shares = numbers(4, 5, 3, seed=3).softmax(1)
    torch.testing.assert_close(run(CrossEntropy(**settings), LOGITS, shares),
                               run_torch(nn.CrossEntropyLoss(**settings), LOGITS, shares))


# ---- what counts ----------------------------------------------------------------------------


def test_sample_weights_multiply_and_class_weights_divide() -> None:
    labels, w, c = torch.tensor([0, 1, 3, 1]), torch.tensor([1.0, 0.0, 2.0, 3.0]), WEIGHT
    values = nn.CrossEntropyLoss(reduction="none")(LOGITS[..., 0], labels)
    expected = (w * c[labels] * values).sum() / c[labels].sum()
    torch.testing.assert_close(CrossEntropy(weight=WEIGHT)(LOGITS[..., 0], labels, w), expected)


def test_an_ignored_sample_is_as_if_it_were_not_there() -> None:
    labels, w = torch.tensor([0, -1, 3, 1]), torch.tensor([1.0, 5.0, 2.0, 3.0])
    kept = torch.tensor([0, 2, 3])
    y_pred = LOGITS[..., 0]
    for loss in (CrossEntropy(ignore_index=-1), NLL(ignore_index=-1), Focal(ignore_index=-1)):
        value, dy = run(loss, y_pred, labels, w)
        expected, expected_dy = run(loss, y_pred[kept], labels[kept], w[kept])
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(dy[kept], expected_dy)
        assert not dy[1].any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("settings", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_where_all_are_ignored_loss_and_gradient_are_0(settings, reduction, weighted) -> None:
    labels = torch.full((4, 3), -100)
    w = [torch.rand(4)] if weighted else []
    value, dy = run(CrossEntropy(ignore_index=-100, reduction=reduction, **settings),
                    LOGITS, labels, *w)
    assert value == 0 and dy.shape == LOGITS.shape and not dy.any()


@pytest.mark.parametrize("loss", [NLL(ignore_index=9), Focal(ignore_index=9),
                                  CrossEntropy(from_logits=False, ignore_index=9)], ids=repr)
def test_where_all_are_ignored_other_losses_are_0_too(loss: Loss) -> None:
    value, dy = run(loss, LOGITS.softmax(1), torch.full((4, 3), 9))
    assert value == 0 and not dy.any()


def test_where_only_classes_of_weight_0_are_loss_and_gradient_are_0() -> None:
    value, dy = run(CrossEntropy(weight=WEIGHT), LOGITS, torch.full((4, 3), 2))
    assert value == 0 and not dy.any()


@pytest.mark.parametrize("make", [CrossEntropy, NLL])
def test_a_class_ruled_out_does_not_spoil_what_is_ignored(make) -> None:
    y_pred = LOGITS.clone()
    y_pred[1, 0, 1] = y_pred[2, 0, 2] = -math.inf  # class 0 of two ignored elements
    value, dy = run(make(ignore_index=-100), y_pred, LABELS)
    expected, expected_dy = run(make(ignore_index=-100), LOGITS, LABELS)
    torch.testing.assert_close(value, expected)
    kept = (LABELS != -100).unsqueeze(1)
    assert torch.equal(dy * kept, expected_dy * kept) and dy.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
def test_an_ignored_class_may_be_the_last_of_its_type(dtype: torch.dtype) -> None:
    labels = torch.tensor([0, 255, 3, 1]).to(dtype)
    loss = CrossEntropy(ignore_index=255)
    loss.check_targets((4, 5), labels)
    expected = nn.CrossEntropyLoss(ignore_index=255)(LOGITS[..., 0], labels.long())
    torch.testing.assert_close(loss(LOGITS[..., 0], labels), expected)


def test_class_weights_serve_each_type_and_outlive_a_step() -> None:
    loss = CrossEntropy(weight=[1.0, 1 / 3])
    with torch.inference_mode():
        loss(torch.zeros(2, 2), torch.tensor([0, 1]))
    exact = loss(torch.zeros(2, 2, dtype=torch.float64), torch.tensor([0, 1]))
    torch.testing.assert_close(exact, torch.tensor(math.log(2), dtype=torch.float64),
                               rtol=1e-15, atol=0)
    assert not any(placed.is_inference() for placed in loss._weight._placed.values())
    assert len(loss._weight._placed) == 2


def test_class_weights_are_not_changed_from_outside() -> None:
    weight = torch.ones(2, dtype=torch.float64)
    loss = CrossEntropy(weight=weight)
    weight[0] = 0
    assert loss(torch.zeros(1, 2), torch.tensor([0])) > 0


# ---- worked by hand -------------------------------------------------------------------------


def test_the_cross_entropy_of_three_quarters() -> None:
    y_pred = torch.tensor([[0.0, math.log(3.0)]])  # p = 1/4, 3/4
    value, dy = run(CrossEntropy(), y_pred, torch.tensor([1]))
    torch.testing.assert_close(value, torch.tensor(math.log(4 / 3)))
    torch.testing.assert_close(dy, torch.tensor([[0.25, -0.25]]))


def test_the_focal_loss_of_three_quarters() -> None:
    y_pred = torch.tensor([[0.0, math.log(3.0)]])
    value, dy = run(Focal(), y_pred, torch.tensor([1]))
    torch.testing.assert_close(value, torch.tensor(math.log(4 / 3) / 16))
    slope = -1 / 16 - 2 * 0.75 * 0.25 * math.log(4 / 3)  # d/dp of it, times p
    torch.testing.assert_close(dy, torch.tensor([[-slope / 4, slope / 4]]))


def test_alpha_multiplies_and_divides_nothing() -> None:
    y_pred, labels = LOGITS[..., 0], torch.tensor([0, 1, 3, 1])
    plain = run(Focal(), y_pred, labels)
    for alpha in (0.25, [0.25] * 5, torch.full((5,), 0.25)):
        value, dy = run(Focal(alpha=alpha), y_pred, labels)
        torch.testing.assert_close((value, dy), (plain[0] / 4, plain[1] / 4))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_losses_of_certain_predictions_are_finite(gamma: float) -> None:
    y_pred = torch.tensor([[1e30, 0.0], [-200.0, 0.0], [0.0, 200.0]])
    value, dy = run(Focal(gamma), y_pred, torch.tensor([0, 0, 0]))
    assert value.isfinite() and dy.isfinite().all() and not dy[0].any()
    torch.testing.assert_close(dy[1:], torch.tensor([[-1 / 3, 1 / 3], [-1 / 3, 1 / 3]]))
    p = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    value, dy = run(Focal(gamma, from_logits=False), p, torch.tensor([0, 0]))
    assert value == 50 and torch.equal(dy, torch.tensor([[0.0, 0.0], [-5e11, 0.0]]))


def test_without_gamma_the_focal_loss_is_the_cross_entropy() -> None:
    labels = LABELS.clamp_min(0)
    torch.testing.assert_close(run(Focal(0.0), LOGITS, labels),
                               run(CrossEntropy(), LOGITS, labels))


def test_categorical_hinge_counts_the_margin_from_0_at_least_as_in_keras() -> None:
    y_pred = torch.tensor([[2.0, 0.5, 1.0], [-1.0, -3.0, -2.0], [0.0, 5.0, 1.0]])
    value, dy = run(CategoricalHinge(reduction="sum"), y_pred, torch.tensor([2, 0, 1]))
    assert value == (2 - 1 + 1) + (0 + 1 + 1) + 0
    assert torch.equal(dy, torch.tensor([[1.0, 0, -1], [-1, 0, 0], [0, 0, 0]]))


# ---- accuracy beside it ---------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_accuracy_counts_what_the_loss_counts(weighted: bool) -> None:
    metric = accuracy_for(CrossEntropy(ignore_index=-100), None)
    labels, w = LOGITS.argmax(1), torch.tensor([1.0, 2.0, 4.0, 0.0])
    labels[0, 0] = labels[1] = -100
    labels[2, 1] = (labels[2, 1] + 1) % 5
    for rows in (slice(0, 2), slice(2, 4)):
        metric.update(LOGITS[rows], labels[rows], w[rows] if weighted else None)
    assert metric.result() == pytest.approx(10 / 14 if weighted else 7 / 8)
    metric.reset()
    metric.update(LOGITS[1:2], labels[1:2])
    assert math.isnan(metric.result())


def test_a_fit_with_ignored_classes_shows_the_accuracy_of_the_others() -> None:
    model = Model(Linear(2), device="cpu")
    model.compile(optimizer="sgd", loss=CrossEntropy(ignore_index=-1), metrics=["accuracy"])
    model.build((1,))
    model.module.load_state_dict({"weight": torch.tensor([[-1.0], [1.0]]), "bias": torch.zeros(2)})
    logs = model.evaluate([[1.0], [-1.0], [2.0], [3.0]], [1, 1, -1, -1], verbose=0,
                          return_dict=True)
    assert logs["accuracy"] == 0.5
    expected = (2 * math.log(1 + math.exp(-2)) + 2) / 2
    assert logs["loss"] == pytest.approx(expected, rel=1e-6)
