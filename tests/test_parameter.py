"""A Parameter: values and their gradient, which stay in place whatever is assigned."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Parameter


def test_the_gradient_is_zeros_of_the_same_kind_from_the_start() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        parameter = Parameter(torch.ones(2, 3, dtype=dtype))
        assert parameter.grad.shape == parameter.data.shape == parameter.shape == (2, 3)
        assert parameter.grad.dtype == parameter.data.dtype == dtype
        assert not parameter.grad.any()


def test_it_is_trained_and_decays_unless_told_otherwise() -> None:
    parameter = Parameter(torch.ones(2))
    assert parameter.trainable and parameter.decay
    frozen = Parameter(torch.ones(2), trainable=False, decay=False)
    assert not frozen.trainable and not frozen.decay


def test_it_holds_a_copy_of_what_it_is_given() -> None:
    values = torch.ones(2, 3)
    parameter = Parameter(values)
    values.zero_()
    assert (parameter.data == 1).all()


def test_it_has_nothing_to_do_with_autograd() -> None:
    parameter = Parameter(torch.ones(2, requires_grad=True))
    assert not parameter.data.requires_grad and not parameter.grad.requires_grad
    parameter.data += 1


def test_it_may_be_made_in_inference_mode_and_changed_outside() -> None:
    with torch.inference_mode():
        parameter = Parameter(torch.ones(2))
    assert not parameter.data.is_inference() and not parameter.grad.is_inference()


@pytest.mark.parametrize(("data", "shown"), [
    (torch.ones(2, dtype=torch.int64), "torch.int64"), (torch.ones(2) > 0, "torch.bool"),
    ([1.0, 2.0], "list"), (np.ones(2), "ndarray"), (None, "NoneType"), (1.0, "float"),
], ids=["integers", "booleans", "list", "array", "None", "number"])
def test_only_floating_tensors_are_accepted(data: Any, shown: str) -> None:
    with pytest.raises(TypeError, match=rf"Parameter\(data\) expects .* floating .*got {shown}\."):
        Parameter(data)


@pytest.mark.parametrize("name", ["data", "grad"])
def test_assigning_copies_into_place(name: str) -> None:
    parameter = Parameter(torch.zeros(2, 3))
    place = getattr(parameter, name)
    value = torch.arange(6, dtype=torch.float64).view(3, 2).t()
    setattr(parameter, name, value)
    assert getattr(parameter, name) is place and place.dtype == torch.float32
    assert torch.equal(place, value.float())
    value.zero_()
    assert place.any()


@pytest.mark.parametrize("name", ["data", "grad"])
@pytest.mark.parametrize(("value", "shown"), [
    (torch.zeros(3, 2), r"\(3, 2\)"), (torch.zeros(3), r"\(3,\)"), (torch.zeros(()), r"\(\)"),
    (torch.zeros(1, 3), r"\(1, 3\)"), (0.0, "float"), (None, "NoneType"),
], ids=str)
def test_assigning_another_shape_is_refused(name: str, value: Any, shown: str) -> None:
    parameter = Parameter(torch.ones(2, 3))
    with pytest.raises(ValueError, match=rf"Parameter\.{name} expects .*\(2, 3\); got {shown}"):
        setattr(parameter, name, value)
    assert (parameter.data == 1).all() and not parameter.grad.any()


def test_arithmetic_in_place_works() -> None:
    parameter = Parameter(torch.ones(2))
    data, grad = parameter.data, parameter.grad
    parameter.grad += 2.0
    parameter.data -= 0.5 * parameter.grad
    assert parameter.data is data and parameter.grad is grad
    assert not parameter.data.any() and (parameter.grad == 2).all()


@pytest.mark.parametrize("shape", [(2, 3), (3,), (), (2, 3, 4)], ids=str)
def test_the_transposed_view_follows_the_values(shape: tuple[int, ...]) -> None:
    parameter = Parameter(torch.randn(shape))
    assert parameter.data_t.data_ptr() == parameter.data.data_ptr()
    parameter.data = torch.randn(shape)
    expected = parameter.data.t() if len(shape) <= 2 else parameter.data
    assert torch.equal(parameter.data_t, expected)
    parameter.place(torch.ones(shape), torch.zeros(shape))
    assert (parameter.data_t == 1).all()


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 65, 1000])
def test_a_sum_over_rows_is_added(rows: int) -> None:
    parameter, dy = Parameter(torch.zeros(3)), torch.arange(rows * 3.0).view(rows, 3)
    parameter.add_row_sum(dy.t())
    parameter.add_row_sum(dy.t())
    assert torch.equal(parameter.grad, 2 * dy.sum(0))
    parameter.place(parameter.data.double(), torch.zeros(3, dtype=torch.float64))
    with torch.inference_mode():
        parameter.add_row_sum(dy.double().t())
    parameter.add_row_sum(dy.double().t())
    assert torch.equal(parameter.grad, 2 * dy.double().sum(0))


def test_a_deep_copy_is_independent_and_complete() -> None:
    parameter = Parameter(torch.ones(2), trainable=False, decay=False)
    parameter.grad += 3.0
    twin = copy.deepcopy(parameter)
    assert torch.equal(twin.data, parameter.data) and torch.equal(twin.grad, parameter.grad)
    assert not twin.trainable and not twin.decay
    twin.data += 1
    twin.grad.zero_()
    assert (parameter.data == 1).all() and (parameter.grad == 3).all()


def test_a_deep_copy_keeps_what_is_shared_shared() -> None:
    parameter = Parameter(torch.ones(2))
    first, second = copy.deepcopy([parameter, parameter])
    assert first is second is not parameter


@pytest.mark.parametrize("duplicate", [
    copy.copy, copy.deepcopy, lambda parameter: pickle.loads(pickle.dumps(parameter)),
], ids=["copy", "deepcopy", "pickle"])
def test_every_kind_of_copy_has_memory_of_its_own(duplicate: Any) -> None:
    parameter = Parameter(torch.tensor([1.0, 2.0]), trainable=False, decay=False)
    twin = duplicate(parameter)
    assert torch.equal(twin.data, parameter.data)
    assert not twin.trainable and not twin.decay and twin.flat is None
    twin.data += 1
    twin.grad += 1
    assert torch.equal(parameter.data, torch.tensor([1.0, 2.0])) and not parameter.grad.any()


def test_settings_are_counted_so_that_plans_are_renewed() -> None:
    parameter = Parameter(torch.ones(2))
    before = Parameter.revisions
    parameter.trainable = False
    assert Parameter.revisions > before
    before = Parameter.revisions
    parameter.data = torch.zeros(2)
    parameter.grad += 1
    assert Parameter.revisions == before
    parameter.learning_rate_multiplier = 2.0
    assert Parameter.revisions > before


def test_a_misspelt_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Parameter(torch.ones(2)).trainabel = False


def test_repr_shows_shape_and_whether_it_is_trained() -> None:
    assert repr(Parameter(torch.ones(2, 3))) == "Parameter(shape=(2, 3), trainable=True)"
    frozen = Parameter(torch.ones(()), trainable=False)
    assert repr(frozen) == "Parameter(shape=(), trainable=False)"
