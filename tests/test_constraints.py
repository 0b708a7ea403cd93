"""Projections: numbers by hand, twice is once, names and errors."""

import inspect
from typing import Any

import pytest
import torch

from kerasish import constraints
from kerasish.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, NormConstraint, UnitNorm
from kerasish.layers import Linear
from tests.table import numbers

EVERY = [NonNeg(), MaxNorm(), MaxNorm(0.5), MaxNorm(0.5, axis=0), MaxNorm(1.0, axis=(0, 1)),
         UnitNorm(), UnitNorm(axis=0), UnitNorm(axis=-1), MinMaxNorm(0.5, 1.0),
         MinMaxNorm(5.0, 9.0, axis=0)]
every_constraint = pytest.mark.parametrize("constraint", EVERY, ids=repr)
W = torch.tensor([[3.0, 4.0], [0.3, -0.4], [0.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2), (1, 5)], ids=str)
@every_constraint
def test_projecting_twice_is_projecting_once(constraint: Constraint,
                                             shape: tuple[int, ...]) -> None:
    w = numbers(*shape, seed=4)
    kept = w.clone()
    once = constraint(w)
    assert torch.equal(w, kept) and once.shape == w.shape
    torch.testing.assert_close(constraint.project(once), once, rtol=1e-14, atol=1e-15)


@every_constraint
def test_what_is_allowed_and_zeros_are_left_alone(constraint: Constraint) -> None:
    assert not constraint(torch.zeros(3, 4)).any()
    if isinstance(constraint, MaxNorm | NonNeg):
        w = numbers(3, 4).abs() / 100
        assert torch.equal(constraint(w), w)


@pytest.mark.parametrize(("constraint", "expected"), [
    (NonNeg(), [[3, 4], [0.3, 0], [0, 0]]),
    (MaxNorm(), [[1.2, 1.6], [0.3, -0.4], [0, 0]]),  # rows: the weights into each output
    (MaxNorm(2.5), [[1.5, 2], [0.3, -0.4], [0, 0]]),
    (MaxNorm(1.0, axis=0), [[3 / 9.09**0.5, 4 / 16.16**0.5], [0.3 / 9.09**0.5, -0.4 / 16.16**0.5],
                            [0, 0]]),
    (UnitNorm(), [[0.6, 0.8], [0.6, -0.8], [0, 0]]),
    (UnitNorm(axis=(0, 1)), [[3 / 25.25**0.5, 4 / 25.25**0.5],
                             [0.3 / 25.25**0.5, -0.4 / 25.25**0.5], [0, 0]]),
    (MinMaxNorm(), [[0.6, 0.8], [0.3, -0.4], [0, 0]]),
    (MinMaxNorm(1.0, 2.0), [[1.2, 1.6], [0.6, -0.8], [0, 0]]),
    (MinMaxNorm(1.0, 2.0, rate=0.5), [[2.1, 2.8], [0.45, -0.6], [0, 0]]),
    (MinMaxNorm(1.0, 2.0, rate=0.0), [[3, 4], [0.3, -0.4], [0, 0]]),
], ids=repr)
def test_projections_by_hand(constraint: Constraint, expected: Any) -> None:
    torch.testing.assert_close(constraint(W), torch.tensor(expected, dtype=torch.float64))


def test_a_kernel_counts_as_the_weights_into_its_output() -> None:
    kernel = torch.full((2, 2, 2, 2), 0.5)
    kernel[1] *= 3
    norms = torch.linalg.vector_norm(UnitNorm()(kernel).flatten(1), dim=1)
    torch.testing.assert_close(norms, torch.ones(2))
    assert NormConstraint().norms(kernel).shape == (2, 1, 1, 1)


def test_a_vector_is_taken_as_a_whole() -> None:
    torch.testing.assert_close(MaxNorm(1.0)(torch.tensor([3.0, 4.0])), torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(UnitNorm()(torch.tensor(-3.0)), torch.tensor(-1.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_huge_limits_and_small_types_make_no_nan(dtype: torch.dtype) -> None:
    w = torch.zeros(2, 3, dtype=dtype)
    w[0] = 1.0
    for constraint in (MinMaxNorm(100.0, 1000.0), UnitNorm(), MaxNorm(1e-3)):
        assert constraint(w).isfinite().all() and constraint(w).dtype == dtype


@pytest.mark.parametrize(("make", "message"), [
    (lambda: MaxNorm(0.0), r"MaxNorm\(max_value\) expects a finite number above 0"),
    (lambda: MaxNorm(axis="rows"), r"MaxNorm\(axis\) expects a whole number"),
    (lambda: UnitNorm(axis=0.5), r"UnitNorm\(axis\) expects a whole number"),
    (lambda: MinMaxNorm(2.0, 1.0), r"MinMaxNorm\(min_value\) expects a number from 0 to 1; got 2"),
    (lambda: MinMaxNorm(-1.0), r"MinMaxNorm\(min_value\) expects"),
    (lambda: MinMaxNorm(max_value=float("inf")), r"MinMaxNorm\(max_value\) expects"),
    (lambda: MinMaxNorm(rate=1.5), r"MinMaxNorm\(rate\) expects a number from 0 to 1"),
])
def test_settings_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("name", "cls"), [
    ("max_norm", MaxNorm), ("MaxNorm", MaxNorm), ("non_neg", NonNeg), ("unit_norm", UnitNorm),
    ("unitnorm", UnitNorm), ("min_max_norm", MinMaxNorm),
])
def test_names_are_known_and_hang_on_layers(name: str, cls: type) -> None:
    assert type(constraints.get(name)) is cls
    layer = Linear(2, 2, weight_constraint=name)
    layer.build((2,))
    assert type(layer.weight.constraint) is cls


def test_every_constraint_is_proved() -> None:
    exported = {value for value in vars(constraints).values()
                if inspect.isclass(value) and issubclass(value, Constraint)}
    assert exported - {Constraint, NormConstraint} == {type(constraint) for constraint in EVERY}


@every_constraint
def test_the_config_makes_an_equal_constraint(constraint: Constraint) -> None:
    twin = type(constraint)(**constraint.get_config())
    assert torch.equal(twin(W), constraint(W)) and constraint.formula != NormConstraint.formula
