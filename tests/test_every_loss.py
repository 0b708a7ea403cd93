"""The proof of every exported loss, row by row of the table."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kerasish import losses
from kerasish.gradcheck import check_gradients
from kerasish.losses import (
    MAE,
    MAPE,
    MSE,
    MSLE,
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    Hinge,
    Huber,
    LogCosh,
    Loss,
    Poisson,
    SmoothL1,
    SquaredHinge,
)
from tests.table import LOSSES, LossRow, numbers

every_loss = pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.id)
weighted_or_not = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])


def run(loss: Loss, y_pred: Tensor, y_true: Tensor, w: Tensor | None = None) -> tuple[Tensor, ...]:
    value = loss(y_pred, y_true, w)
    return value, loss.backward()


def run_twin(
    row: LossRow, y_pred: Tensor, y_true: Tensor, w: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The mean of w · v over all that counts, with torch's losses and autograd."""
    y_pred = y_pred.clone().requires_grad_()
    values = row.twin(y_pred, y_true)
    if w is not None:
        values = values * w.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
    value = values.sum() / (number_of(row, values, y_true) or 1)
    value.backward()
    return value.detach(), y_pred.grad


def number_of(row: LossRow, values: Tensor, y_true: Tensor) -> float:
    """What the mean divides by."""
    return values.numel() if row.counts is None else float(row.counts(y_true).sum())


def batch_of(row: LossRow, size: int = 4, weighted: bool = False) -> tuple[Tensor, ...]:
    return (*row.batch(size), row.weights(size)) if weighted else row.batch(size)


def cast(values: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(v.to(dtype) if v.is_floating_point() else v for v in values)


# ---- finite differences and torch -----------------------------------------------------------


@weighted_or_not
@every_loss
def test_gradients_match_finite_differences(row: LossRow, weighted: bool) -> None:
    check_gradients(row.make(), *batch_of(row, weighted=weighted))


@weighted_or_not
@pytest.mark.parametrize("size", [0, 1, 4, 70])
@every_loss
def test_numbers_match_torch_in_float64(row: LossRow, size: int, weighted: bool) -> None:
    batch = batch_of(row, size, weighted)
    value, dy = run(row.make(), *batch)
    expected, expected_dy = run_twin(row, *batch)
    assert value.shape == () and dy.shape == batch[0].shape
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(dy, expected_dy, rtol=1e-10, atol=1e-12 / max(size, 1))


@weighted_or_not
@every_loss
def test_numbers_in_float32_are_as_exact_as_those_of_torch(row: LossRow, weighted: bool) -> None:
    batch = cast(batch_of(row, 100, weighted), torch.float32)
    exact = run_twin(row, *cast(batch, torch.float64))
    for ours, theirs, value in zip(run(row.make(), *batch), run_twin(row, *batch), exact,
                                   strict=True):
        assert ours.dtype == torch.float32
        ulp = torch.finfo(torch.float32).eps * value.abs().amax()
        assert (ours - value).abs().amax() <= 2 * (theirs - value).abs().amax() + 4 * ulp


@every_loss
def test_the_gradient_has_the_type_of_y_pred_whatever_that_of_the_rest(row: LossRow) -> None:
    y_pred, y_true = row.batch(4)
    value, dy = run(row.make(), y_pred.float(), y_true, row.weights(4))
    assert value.dtype == dy.dtype == torch.float32


# ---- the contract ---------------------------------------------------------------------------


@every_loss
def test_weights_of_one_change_nothing(row: LossRow) -> None:
    plain = run(row.make(), *row.batch(4))
    weighted = run(row.make(), *row.batch(4), torch.ones(4, dtype=torch.int64))
    torch.testing.assert_close(weighted, plain, rtol=1e-14, atol=0)


@every_loss
def test_the_weighted_mean_divides_by_what_counts(row: LossRow) -> None:
    y_pred, y_true = row.batch(4)
    samples = [(y_pred[i : i + 1], y_true[i : i + 1]) for i in range(4)]
    parts = torch.stack([row.make()(*sample) for sample in samples])
    numbers = torch.tensor([number_of(row, row.twin(*each), each[1]) for each in samples])
    w = torch.tensor([0.0, 1.0, 2.0, 5.0], dtype=torch.float64)
    mean = (w * numbers * parts).sum() / numbers.sum()
    torch.testing.assert_close(row.make()(y_pred, y_true, w), mean)


@weighted_or_not
@every_loss
def test_the_sum_divides_by_nothing(row: LossRow, weighted: bool) -> None:
    mean, batch = row.make(), batch_of(row, weighted=weighted)
    value, dy = run(type(mean)(**mean.get_config() | {"reduction": "sum"}), *batch)
    expected, expected_dy = run_twin(row, *batch)
    number = number_of(row, row.twin(*batch[:2]), batch[1])
    torch.testing.assert_close(value, expected * number, rtol=1e-12, atol=0)
    torch.testing.assert_close(dy, expected_dy * number, rtol=1e-10, atol=1e-12)


@every_loss
def test_a_sample_without_weight_gets_no_gradient(row: LossRow) -> None:
    _, dy = run(row.make(), *row.batch(4), torch.tensor([1.0, 0.0, 1.0, 1.0]))
    assert not dy[1].any() and all(dy[i].any() for i in (0, 2, 3))


@every_loss
def test_inputs_and_outputs_are_left_alone(row: LossRow) -> None:
    loss, batch = row.make(), batch_of(row, weighted=True)
    before = [value.clone() for value in batch]
    value, dy = run(loss, *batch)
    kept = value.clone(), dy.clone()
    run(loss, *batch_of(row, 3, weighted=True))
    assert all(map(torch.equal, batch, before))
    assert torch.equal(value, kept[0]) and torch.equal(dy, kept[1])


@every_loss
def test_memory_layouts_do_not_matter(row: LossRow) -> None:
    batch = batch_of(row, weighted=True)
    strided = [value.repeat_interleave(2, 0)[::2] for value in batch]
    assert not any(value.is_contiguous() for value in strided)
    torch.testing.assert_close(run(row.make(), *strided), run(row.make(), *batch),
                               rtol=1e-14, atol=0)


@every_loss
def test_two_forwards_pair_with_two_backwards_in_reverse(row: LossRow) -> None:
    loss = row.make()
    first, second = batch_of(row, 4), batch_of(row, 3, weighted=True)
    expected = run(loss, *first)[1], run(loss, *second)[1]
    loss(*first)
    loss(*second)
    assert torch.equal(loss.backward(), expected[1]) and torch.equal(loss.backward(), expected[0])
    assert loss._saved == []


@every_loss
def test_backward_without_forward_names_the_loss(row: LossRow) -> None:
    loss = row.make()
    with pytest.raises(RuntimeError, match="no forward to go back through") as error:
        loss.backward()
    assert repr(loss) in str(error.value)


@every_loss
def test_a_sample_moves_its_own_gradient_alone(row: LossRow) -> None:
    y_pred, y_true = row.batch(4)
    before = run(row.make(), y_pred, y_true)[1]
    moved = y_pred.clone()
    moved[2] *= 0.9
    after = run(row.make(), moved, y_true)[1]
    assert torch.equal(after[[0, 1, 3]], before[[0, 1, 3]])


@every_loss
def test_the_config_makes_an_equal_loss(row: LossRow) -> None:
    loss = row.make()
    twin = type(loss)(**loss.get_config())
    assert repr(twin) == repr(loss)
    assert torch.equal(twin(*row.batch(4)), loss(*row.batch(4)))


# ---- shapes ---------------------------------------------------------------------------------


ELEMENTWISE = [MSE(), MAE(), BinaryCrossEntropy(), BinaryCrossEntropy(from_logits=False), MAPE(),
               MSLE(), Huber(), SmoothL1(), LogCosh(), Hinge(), SquaredHinge(), Poisson(),
               BinaryFocal(), BinaryFocal(from_logits=False)]
each_elementwise = pytest.mark.parametrize("loss", ELEMENTWISE, ids=repr)


@each_elementwise
@pytest.mark.parametrize(("y_pred", "y_true"), [
    ((4, 3), (4, 1)), ((4, 1), (4, 3)), ((4, 3), (4,)), ((4, 3), (3,)), ((4, 1), (1, 4)),
    ((4, 4), (4,)), ((4, 1), (4, 1, 1, 1)), ((4, 2), (2, 4)), ((4, 1), (3, 1)), ((4,), ()),
], ids=str)
def test_shapes_are_never_broadcast(
    loss: Loss, y_pred: tuple[int, ...], y_true: tuple[int, ...]
) -> None:
    for check in (lambda: loss(torch.full(y_pred, 0.5), torch.ones(y_true)),
                  lambda: loss.check_targets(y_pred, torch.ones(y_true))):
        with pytest.raises(ValueError) as error:
            check()
        for text in (repr(loss), str(y_pred), str(y_true), "expects", "got"):
            assert text in str(error.value)
    assert loss._saved == []


@each_elementwise
def test_one_axis_counts_as_a_column(loss: Loss) -> None:
    column, row = torch.rand(4, 1), torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    value, dy = run(loss, column, row)
    for y_pred, y_true in ((column, row[:, 0]), (column[:, 0], row), (column[:, 0], row[:, 0])):
        loss.check_targets(tuple(y_pred.shape), y_true)
        again, flat_dy = run(loss, y_pred, y_true)
        assert torch.equal(again, value)
        assert flat_dy.shape == y_pred.shape and torch.equal(flat_dy.flatten(), dy.flatten())


@pytest.mark.parametrize(("axis", "y_pred", "y_true"), [
    (1, (4, 3), (3,)), (1, (4, 3), (4, 2)), (1, (4, 3), (3, 4)), (1, (4, 3, 2), (4, 3)),
    (-1, (4, 3, 2), (4, 2)), (1, (4, 5, 2, 3), (4, 2)), (1, (4, 3), (4, 1, 1)), (1, (4, 3), ()),
], ids=str)
def test_cross_entropy_refuses_targets_of_another_shape(
    axis: int, y_pred: tuple[int, ...], y_true: tuple[int, ...]
) -> None:
    loss, labels = CrossEntropy(axis=axis), torch.zeros(y_true, dtype=torch.int64)
    for check in (lambda: loss(torch.zeros(y_pred), labels),
                  lambda: loss.check_targets(y_pred, labels)):
        with pytest.raises(ValueError) as error:
            check()
        for text in (repr(loss), "class indices of shape", str(y_pred), f"got {y_true}"):
            assert text in str(error.value)
    assert loss._saved == []


@pytest.mark.parametrize("from_logits", [True, False])
def test_cross_entropy_refuses_one_class_and_names_the_loss_for_it(from_logits: bool) -> None:
    loss = CrossEntropy(from_logits=from_logits)
    for labels in (torch.zeros(4, dtype=torch.int64), torch.zeros(4, 1)):
        with pytest.raises(ValueError, match=r"two classes or more .*BinaryCrossEntropy"):
            loss.check_targets((4, 1), labels)
    with pytest.raises(ValueError, match="two classes or more"):
        loss.check_targets((4,), torch.zeros(4))


def test_cross_entropy_takes_shares_of_any_type_before_training() -> None:
    for shares in (torch.full((4, 3), 1 / 3), torch.eye(3, dtype=torch.int64)[[0, 1, 2, 0]]):
        CrossEntropy().check_targets((4, 3), shares)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (1,), (4, 1), ()], ids=str)
@every_loss
def test_weights_are_one_a_sample(row: LossRow, shape: tuple[int, ...]) -> None:
    loss = row.make()
    with pytest.raises(ValueError, match="expects one sample_weight a sample") as error:
        loss(*row.batch(4), torch.ones(shape))
    assert "(4,)" in str(error.value) and f"got {shape}" in str(error.value)
    assert loss._saved == []


# ---- classes and targets --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_labels_may_be_any_integers(dtype: torch.dtype) -> None:
    y_pred, labels = numbers(4, 3), torch.tensor([0, 1, 1, 0])
    expected = run(CrossEntropy(), y_pred, labels)
    assert torch.equal(run(CrossEntropy(), y_pred, labels.to(dtype))[1], expected[1])


def test_integer_targets_in_the_shape_of_y_pred_are_shares() -> None:
    y_pred, labels = numbers(4, 3), torch.tensor([0, 2, 1, 0])
    value, dy = run(CrossEntropy(), y_pred, torch.eye(3, dtype=torch.int64)[labels])
    expected, expected_dy = run(CrossEntropy(), y_pred, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(dy, expected_dy)


def test_labels_as_floats_are_refused() -> None:
    loss = CrossEntropy()
    with pytest.raises(ValueError, match=r"class indices as integers; got torch.float32.*int64"):
        loss(torch.zeros(2, 3), torch.tensor([0.0, 1.0]))
    assert loss._saved == []


@pytest.mark.parametrize("label", [3, 7, -1, -100])
@pytest.mark.parametrize("axis", [1, -1])
def test_a_label_out_of_range_is_refused_before_training(label: int, axis: int) -> None:
    loss, labels = CrossEntropy(axis=axis), torch.tensor([0, 2, label])
    with pytest.raises(ValueError, match=r"classes from 0 to 2.*in sample 2"):
        loss.check_targets((3, 3), labels)
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        loss(torch.zeros(3, 3), labels)
    assert loss._saved == []
    loss.check_targets((3, 3), torch.tensor([0, 2, 1]))


def test_a_label_out_of_range_is_found_in_images() -> None:
    labels = torch.zeros(4, 2, 3, dtype=torch.int64)
    CrossEntropy().check_targets((4, 3, 2, 3), labels)
    labels[2, 1, 1] = 3
    with pytest.raises(ValueError, match=r"got 0 to 3, first in sample 2"):
        CrossEntropy().check_targets((4, 3, 2, 3), labels)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(("values", "shown"), [([-1.0, 1.0], "-1 to 1"), ([0.0, 1.5], "0 to 1.5"),
                                               ([0.0, math.nan], "nan")])
def test_yes_or_no_targets_lie_between_0_and_1(
    from_logits: bool, values: list[float], shown: str
) -> None:
    loss = BinaryCrossEntropy(from_logits)
    with pytest.raises(ValueError, match=rf"targets from 0 to 1; got .*{shown}"):
        loss.check_targets((2, 1), torch.tensor(values))
    loss.check_targets((2, 1), torch.tensor([0.0, 1.0]))


# ---- extremes -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [50.0, 1e4, 1e300])
@pytest.mark.parametrize("row", [row for row in LOSSES if row.make().from_logits],
                         ids=lambda row: row.id)
def test_huge_logits_neither_overflow_nor_lose_the_gradient(row: LossRow, size: float) -> None:
    y_pred, y_true = row.batch(4)
    value, dy = run(row.make(), y_pred * size, y_true)
    expected, expected_dy = run_twin(row, y_pred * size, y_true)
    assert value.isfinite() and dy.isfinite().all()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dy, expected_dy, rtol=1e-10, atol=1e-15)


def test_probabilities_of_0_and_1_stay_finite_as_in_torch() -> None:
    certain = torch.tensor([[0.0], [1.0], [0.0], [1.0]], dtype=torch.float64)
    t = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64)
    row = next(row for row in LOSSES if row.id == "BinaryCrossEntropy of probabilities")
    value, dy = run(row.make(), certain, t)
    expected, expected_dy = run_twin(row, certain, t)
    assert value == expected == 50
    torch.testing.assert_close(dy, expected_dy)
    wrong = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    value, dy = run(CrossEntropy(from_logits=False), wrong, torch.tensor([0]))
    assert value == 100 and dy[0, 0] == -1e12 and dy[0, 1] == 0
    _, shares_dy = run(CrossEntropy(from_logits=False), wrong, wrong.flip(1))
    torch.testing.assert_close(shares_dy, dy)


def test_an_exact_prediction_has_no_gradient_in_mae() -> None:
    value, dy = run(MAE(), torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]]))
    assert value == 0.5 and torch.equal(dy, torch.tensor([[0.0], [0.5]]))


@every_loss
def test_a_nan_prediction_gives_a_nan_loss_and_spares_other_samples(row: LossRow) -> None:
    y_pred, y_true = row.batch(4)
    y_pred[2] = torch.nan
    value, dy = run(row.make(), y_pred, y_true)
    assert value.isnan() and dy[[0, 1, 3]].isfinite().all()


# ---- nobody is left out ---------------------------------------------------------------------


def test_every_exported_loss_has_a_row() -> None:
    exported = {value for value in vars(losses).values()
                if inspect.isclass(value) and issubclass(value, Loss)} - {Loss}
    assert exported == {getattr(losses, name) for name in losses.__all__
                        if inspect.isclass(getattr(losses, name))} - {Loss}
    assert exported == {type(row.make()) for row in LOSSES}


class Bare(Loss):
    """A loss with neither forward nor backward."""


@pytest.mark.parametrize("call", [lambda loss: loss(torch.ones(1), torch.ones(1)),
                                  lambda loss: loss.backward()])
def test_a_loss_without_its_methods_says_what_is_missing(call: Callable[[Loss], Tensor]) -> None:
    with pytest.raises(NotImplementedError, match=r"Bare needs a (for|back)ward method"):
        call(Bare())
