"""Losses worked by hand, and at the edge of what numbers can hold."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kerasish.gradcheck import check_gradients
from kerasish.losses import (
    MAPE,
    MSLE,
    BinaryCrossEntropy,
    BinaryFocal,
    CosineSimilarity,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    Poisson,
    SmoothL1,
    SquaredHinge,
    TripletMargin,
)
from tests.table import numbers


def run(loss: Loss, *batch: Any) -> tuple[Tensor, Any]:
    return loss(*batch), loss.backward()


LOG2 = math.log(2)

BY_HAND = [
    (Huber(), [0.5, 3.0], [0.0, 0.0], (0.125 + 2.5) / 2, [0.25, 0.5]),
    (Huber(delta=2.0), [0.5, -3.0], [0.0, 0.0], (0.125 + 4.0) / 2, [0.25, -1.0]),
    (SmoothL1(beta=0.5), [0.25, 3.0], [0.0, 0.0], (0.0625 + 2.75) / 2, [0.25, 0.5]),
    (LogCosh(), [LOG2, -LOG2], [0.0, 0.0], math.log(1.25), [0.3, -0.3]),
    (MAPE(), [1.0, 3.0], [2.0, 2.0], 50.0, [-25.0, 25.0]),
    (MAPE(), [1.0, 1.0], [0.0, 1.0], 5e8, [5e8, 0.0]),
    (MSLE(), [1.0, -5.0], [0.0, 0.0], LOG2**2 / 2, [LOG2 / 2, 0.0]),
    (Hinge(), [0.5, -2.0], [1.0, -1.0], 0.25, [-0.5, 0.0]),
    (Hinge(), [0.5, 0.5], [1.0, 0.0], 1.0, [-0.5, 0.5]),
    (SquaredHinge(), [0.5, 0.5], [1.0, -1.0], 1.25, [-0.5, 1.5]),
    (Poisson(), [1.0, 2.0], [3.0, 0.0], 1.5, [-1.0, 0.5]),
    (Poisson(log_input=True), [0.0, LOG2], [3.0, 4.0], (3 - 4 * LOG2) / 2, [-1.0, -1.0]),
    (BinaryCrossEntropy(pos_weight=3.0), [0.0, 0.0], [1.0, 0.0], 2 * LOG2, [-0.75, 0.25]),
    (BinaryCrossEntropy(label_smoothing=0.5), [0.0, 0.0], [1.0, 0.0], LOG2, [-0.125, 0.125]),
    (BinaryFocal(alpha=0.25), [0.0, 0.0], [1.0, 0.0], LOG2 / 8,
     [-(1 + 2 * LOG2) / 64, 3 * (1 + 2 * LOG2) / 64]),
    (KLDivergence(), [[0.25, 0.75]], [[0.5, 0.5]], LOG2 - math.log(3) / 2, [[-2.0, -2 / 3]]),
    (KLDivergence(log_input=True), [[-1.0, -2.0]], [[0.0, 1.0]], 2.0, [[0.0, -1.0]]),
    (CosineSimilarity(), [[3.0, 4.0]], [[0.0, 2.0]], -0.8, [[0.48 / 5, -0.36 / 5]]),
    (GaussianNLL(), [[1.0, 4.0]], [[3.0]], (math.log(4) + 1) / 2, [[-0.5, 0.0]]),
    (GaussianNLL(log_variance=True), [[1.0, 0.0]], [[3.0]], 2.0, [[-2.0, -1.5]]),
    (TripletMargin(eps=0), [[[0.0, 0.0], [3.0, 4.0], [0.0, 5.5]]], [0.0], 0.5,
     [[[-0.6, -0.8 + 1.0], [0.6, 0.8], [0.0, -1.0]]]),
    (TripletMargin(eps=0, swap=True), [[[0.0, 0.0], [3.0, 4.0], [3.0, 5.5]]], [0.0], 4.5,
     [[[-0.6, -0.8], [0.6, 0.8 + 1.0], [0.0, -1.0]]]),
]


@pytest.mark.parametrize(("loss", "y_pred", "y_true", "value", "dy"), BY_HAND,
                         ids=[f"{row[0]!r} {row[1]}" for row in BY_HAND])
def test_worked_by_hand(loss: Loss, y_pred: Any, y_true: Any, value: float, dy: Any) -> None:
    y_pred, y_true, dy = (torch.tensor(part, dtype=torch.float64) for part in (y_pred, y_true, dy))
    got, got_dy = run(loss, y_pred, y_true)
    torch.testing.assert_close(got, torch.tensor(value, dtype=torch.float64), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(got_dy, dy, rtol=1e-6, atol=1e-9)


# ---- edges ----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [Huber(), SmoothL1(), SmoothL1(beta=0), LogCosh()], ids=repr)
def test_huge_errors_count_linearly(loss: Loss) -> None:
    for error in (1e4, 1e30, -1e30):
        value, dy = run(loss, torch.tensor([error]), torch.tensor([0.0]))
        torch.testing.assert_close(value, torch.tensor(abs(error)), rtol=1e-3, atol=0)
        assert dy == math.copysign(1.0, error)


@pytest.mark.parametrize("error", [1e-3, 1e-5, 1e-7])
def test_log_cosh_loses_no_small_error(error: float) -> None:
    value = LogCosh()(torch.tensor([error], dtype=torch.float64), torch.zeros(1))
    assert float(value) == pytest.approx(error**2 / 2, rel=1e-6 if error > 1e-4 else 1e-2,
                                         abs=1e-18)


def test_probabilities_of_0_and_1_stay_finite() -> None:
    p, t = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 1.0])
    value, dy = run(BinaryFocal(from_logits=False, reduction="sum"), p, t)
    assert value == 100 and dy.isfinite().all() and torch.equal(dy[:2], torch.zeros(2))
    torch.testing.assert_close(dy[2], torch.tensor(-1e12))
    value, dy = run(KLDivergence(), torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]))
    assert value == 100 and torch.equal(dy, torch.tensor([[-1e12, 0.0]]))
    value, dy = run(KLDivergence(), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]]))
    assert value == 0 and torch.equal(dy, torch.tensor([[0.0, -1.0]]))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_binary_focal_losses_of_certain_logits_are_finite(gamma: float) -> None:
    y_pred, t = torch.tensor([200.0, -200.0, 1e30, -1e30]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    value, dy = run(BinaryFocal(gamma), y_pred, t)
    assert value.isfinite()
    torch.testing.assert_close(dy, torch.tensor([0.0, -0.25, 0.25, 0.0]))


def test_a_rate_of_0_stays_finite() -> None:
    value, dy = run(Poisson(), torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 1.0]))
    assert float(value) == pytest.approx(-math.log(1e-7) / 2) and dy.tolist() == [0.5, 0.5 - 5e6]


def test_a_variance_below_eps_counts_as_eps_and_can_grow_as_in_torch() -> None:
    mean, variance, t = numbers(3, 2), torch.tensor([[1e-9, 0.0], [0.1, 1e-3], [5.0, 2.0]]), (
        numbers(3, 2, seed=1))
    mean, variance = (part.double().requires_grad_() for part in (mean, variance))
    expected = nn.GaussianNLLLoss(eps=0.01)(mean, t, variance)
    expected.backward()
    value, dy = run(GaussianNLL(eps=0.01), torch.cat([mean, variance], 1).detach(), t)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(dy, torch.cat([mean.grad, variance.grad], 1))
    value, dy = run(GaussianNLL(), torch.tensor([[0.0, -5.0]]), torch.tensor([1.0]))
    assert value.isfinite() and dy.isfinite().all() and dy[0, 1] < 0


def test_a_vector_of_length_0_has_no_direction() -> None:
    y_pred = torch.tensor([[0.0, 0.0], [3e-9, 4e-9], [3e-6, 4e-6]], dtype=torch.float64)
    y_true = torch.tensor([[0.6, 0.8]] * 3, dtype=torch.float64)
    value, dy = run(CosineSimilarity(reduction="sum"), y_pred, y_true)
    assert float(value) == pytest.approx(-0.005 - 1)
    torch.testing.assert_close(dy[:2], -1e6 * y_true[:2])
    torch.testing.assert_close(dy[2], torch.zeros(2).double(), rtol=0, atol=1e-8)
    value, dy = run(CosineSimilarity(), y_true, torch.zeros(3, 2).double())
    assert value == 0 and not dy.any()


def test_kl_divergence_by_the_batch_is_that_of_torch_whatever_the_shape() -> None:
    log_p, t = numbers(4, 3, 5).log_softmax(-1), numbers(4, 3, 5, seed=1).softmax(-1)
    torch.testing.assert_close(KLDivergence(log_input=True, reduction="batchmean")(log_p, t),
                               nn.KLDivLoss(reduction="batchmean")(log_p, t))
    torch.testing.assert_close(KLDivergence(log_input=True)(log_p[:, 0], t[:, 0]),
                               nn.KLDivLoss(reduction="batchmean")(log_p[:, 0], t[:, 0]))
    empty = KLDivergence(reduction="batchmean")(torch.ones(0, 5), torch.ones(0, 5))
    assert empty == 0


def test_hinges_tell_no_from_minus_one_and_from_zero_alike() -> None:
    y_pred, bits = numbers(6), torch.tensor([0, 1, 1, 0, 1, 0])
    for loss in (Hinge(), SquaredHinge()):
        expected = run(loss, y_pred, 2 * bits - 1)
        for same in (bits, bits.bool(), bits.double()):
            assert all(map(torch.equal, run(loss, y_pred, same), expected))


# ---- triplets -------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"p": 1, "swap": True}, {"p": 3.5, "margin": 4.0}],
                         ids=str)
def test_triplets_may_come_as_a_tuple(settings: dict[str, Any]) -> None:
    loss, triplets, w = TripletMargin(**settings), numbers(4, 3, 5), torch.rand(4)
    value, dy = run(loss, triplets, torch.zeros(4), w)
    got, parts = run(loss, triplets.unbind(1), None, w)
    assert isinstance(parts, tuple) and torch.equal(got, value)
    assert torch.equal(torch.stack(parts, 1), dy)
    check_gradients(loss, triplets.unbind(1), torch.zeros(4), w)
    expected = F.triplet_margin_loss(*triplets.unbind(1), **{"p": 2.0} | settings,
                                     reduction="none")
    torch.testing.assert_close(value, (expected * w).mean())


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_triplets_all_in_one_place_have_no_gradient(p: float) -> None:
    value, dy = run(TripletMargin(p=p, eps=0), torch.ones(2, 3, 4), torch.zeros(2))
    assert value == 1 and not dy.any()
