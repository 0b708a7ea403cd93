"""Penalties: numbers by hand, gradients against finite differences, names and errors."""

import inspect
from typing import Any

import pytest
import torch

from kerasish import regularizers
from kerasish.layers import Linear
from kerasish.regularizers import L1, L1L2, L2, Orthogonal, Regularizer
from tests.table import numbers

EVERY = [L1(0.3), L2(0.7), L1L2(0.3, 0.7), L1L2(l2=0.2), Orthogonal(0.4),
         Orthogonal(0.4, "columns")]
SHAPES = [(3, 4), (4, 3), (2, 3, 2), (1, 3), (3, 1), (1, 1)]
every_regularizer = pytest.mark.parametrize("regularizer", EVERY, ids=repr)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@every_regularizer
def test_gradients_agree_with_finite_differences(regularizer: Regularizer,
                                                 shape: tuple[int, ...]) -> None:
    w = numbers(*shape, seed=5)
    w = torch.where(w.abs() < 0.05, w + 0.1, w)  # away from the kink of |w|
    gradient, h = regularizer.gradient(w), 1e-6
    assert gradient.shape == w.shape
    numeric = torch.zeros_like(w)
    for i in range(w.numel()):
        step = torch.zeros_like(w)
        step.view(-1)[i] = h
        numeric.view(-1)[i] = (regularizer.penalty(w + step) - regularizer(w - step)) / (2 * h)
    torch.testing.assert_close(gradient, numeric, rtol=1e-7, atol=1e-8)


@every_regularizer
def test_neither_writes_into_the_weights(regularizer: Regularizer) -> None:
    w = numbers(3, 4)
    kept = w.clone()
    assert regularizer(w).shape == () and regularizer.gradient(w) is not w
    assert torch.equal(w, kept)


@every_regularizer
def test_zeros_have_no_penalty_and_are_left_alone(regularizer: Regularizer) -> None:
    w = torch.zeros(3, 4)
    assert regularizer(w) == 0 and not regularizer.gradient(w).any()
    w[0, 1] = 2.0  # one row is not zero
    assert regularizer.gradient(w).isfinite().all()


def test_penalties_by_hand() -> None:
    w = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    assert L1(0.5)(w) == 3 and L2(0.5)(w) == 7 and L1L2(0.5, 0.5)(w) == 10
    assert L1(0.5).gradient(w).tolist() == [[0.5, -0.5], [0.0, 0.5]]
    assert L2(0.5).gradient(w).tolist() == [[1.0, -2.0], [0.0, 3.0]]
    assert L1L2(0.5, 0.5).gradient(w).tolist() == [[1.5, -2.5], [0.0, 3.5]]


def test_the_orthogonal_penalty_by_hand() -> None:
    w = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, -5.0]], dtype=torch.float64)
    # the cosines of the three pairs of rows are 0.6, 0 and -0.8
    assert Orthogonal(0.3)(w).item() == pytest.approx(0.3 * 1.4 / 3)
    cosine = 12.0 - 0.0
    columns = cosine / (13.0**0.5 * 41.0**0.5)
    assert Orthogonal(0.3, "columns")(w).item() == pytest.approx(0.3 * columns)


def test_the_orthogonal_penalty_vanishes_at_right_angles_and_for_a_single_row() -> None:
    q, _ = torch.linalg.qr(numbers(4, 4))
    assert Orthogonal()(3 * q) < 1e-15 and Orthogonal()(numbers(1, 4)) == 0


def test_scale_does_not_matter_to_angles() -> None:
    w = numbers(3, 4)
    torch.testing.assert_close(Orthogonal()(w), Orthogonal()(100 * w))
    torch.testing.assert_close((w * Orthogonal().gradient(w)).sum(1),
                               torch.zeros(3, dtype=torch.float64))


def test_vectors_have_no_rows() -> None:
    with pytest.raises(ValueError, match=r"Orthogonal\(\) expects a matrix .* of shape \(3,\)"):
        Orthogonal().penalty(torch.ones(3))


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1"])
@pytest.mark.parametrize(("cls", "name"), [(L1, "l1"), (L2, "l2"), (L1L2, "l1"), (L1L2, "l2"),
                                           (Orthogonal, "factor")])
def test_strengths_out_of_range_are_refused(cls: type, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{cls.__name__}\({name}\) expects .* 0\.01 is a usual"):
        cls(**{name: value})


def test_modes_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Orthogonal\(mode\) expects one of 'rows', 'columns'"):
        Orthogonal(mode="row")


@pytest.mark.parametrize(("name", "cls"), [
    ("l1", L1), ("L2", L2), ("l1_l2", L1L2), ("l1l2", L1L2), ("orthogonal", Orthogonal),
    ("OrthogonalRegularizer", Orthogonal), ("orthogonal_regularizer", Orthogonal),
])
def test_names_are_known_and_hang_on_layers(name: str, cls: type) -> None:
    assert type(regularizers.get(name)) is cls
    layer = Linear(2, 2, weight_regularizer=name)
    layer.build((2,))
    assert type(layer.weight.regularizer) is cls


def test_every_regularizer_is_proved() -> None:
    exported = {value for value in vars(regularizers).values()
                if inspect.isclass(value) and issubclass(value, Regularizer)} - {Regularizer}
    assert exported == {type(regularizer) for regularizer in EVERY}


@every_regularizer
def test_the_config_makes_an_equal_regularizer(regularizer: Regularizer) -> None:
    twin, w = type(regularizer)(**regularizer.get_config()), numbers(3, 4)
    assert torch.equal(twin(w), regularizer(w))
    assert regularizer.formula != Regularizer.formula
