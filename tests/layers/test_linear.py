"""What is special to Linear: its sizes, its initial values, and the errors about them."""

import math
from typing import Any

import pytest
import torch

from kerasish import set_seed
from kerasish.layers import Linear


@pytest.mark.parametrize(("make", "sizes"), [
    (lambda: Linear(25), (None, 25)), (lambda: Linear(out_features=25), (None, 25)),
    (lambda: Linear(2, 25), (2, 25)), (lambda: Linear(in_features=2, out_features=25), (2, 25)),
    (lambda: Linear(2, 25, False), (2, 25)), (lambda: Linear(25, bias=False), (None, 25)),
])
def test_sizes_read_like_range(make: Any, sizes: tuple[int | None, int]) -> None:
    linear = make()
    assert (linear.in_features, linear.out_features) == sizes
    assert linear.build((2,)) == (25,)
    assert (linear.in_features, linear.out_features) == (2, 25)
    assert linear.weight.shape == (25, 2)


@pytest.mark.parametrize(("arguments", "shown"), [
    ((), r"Linear\(out_features\) .* got None"), ((0,), r"Linear\(out_features\) .* got 0"),
    ((-1,), "got -1"), ((2.0,), "got 2.0"), (("2",), "got '2'"), (((3,),), r"got \(3,\)"),
    ((2, 0), r"Linear\(out_features\) .* got 0"), ((0, 2), r"Linear\(in_features\) .* got 0"),
    ((2.5, 2), r"Linear\(in_features\) .* got 2.5"),
], ids=str)
def test_sizes_below_one_are_refused(arguments: tuple[Any, ...], shown: str) -> None:
    with pytest.raises(ValueError, match=shown) as error:
        Linear(*arguments)
    assert "expects a whole number of at least 1" in str(error.value)


def test_biases_start_at_zero_and_do_not_decay() -> None:
    linear = Linear(25)
    linear.build((2,))
    assert not linear.bias.data.any() and linear.weight.data.all()
    assert linear.weight.decay and not linear.bias.decay


def test_without_bias_there_is_none() -> None:
    linear = Linear(3, bias=False)
    linear.build((2,))
    assert linear.bias is None
    assert [name for name, _ in linear.named_parameters()] == ["weight"]


@pytest.mark.parametrize("features", [1, 5, 200])
def test_weights_are_kaiming_normal(features: int) -> None:
    linear = Linear(100_000 // features)
    linear.build((features,))
    values, deviation = linear.weight.data.flatten(), math.sqrt(2 / features)
    assert values.mean().abs() < 0.02 * deviation
    assert values.std() == pytest.approx(deviation, rel=0.02)
    assert (values.abs() > 3 * deviation).any()  # normal, not torch's uniform distribution


def test_the_seed_decides_the_weights_whatever_the_type() -> None:
    made = []
    for dtype in (None, torch.float64):
        set_seed(7)
        linear = Linear(3, dtype=dtype)
        linear.build((2,))
        made.append(linear.weight.data)
    assert made[0].dtype == torch.float32 and made[1].dtype == torch.float64
    assert torch.equal(made[0].double(), made[1])


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")], ids=str)
def test_device_and_type_are_those_asked_for(device: Any) -> None:
    linear = Linear(3, device=device, dtype=torch.float64)
    assert linear.build((2,)) == (3,)
    for parameter in linear.parameters():
        assert parameter.data.dtype == torch.float64 and parameter.data.device.type == "cpu"
    assert linear.build((5, 2)) == (5, 3)


def test_build_refuses_another_size_than_the_one_given() -> None:
    with pytest.raises(ValueError, match=r"Linear\(2, 3\) expects 2 features .*; got 4\."):
        Linear(2, 3).build((4,))
    with pytest.raises(ValueError, match=r"expects 2 features .*; got 4\."):
        Linear(2, 3).build((2, 4))


def test_samples_without_an_axis_of_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Linear\(3\) expects .*; got shape \(N,\)"):
        Linear(3).build(())
    with pytest.raises(ValueError, match=r"Linear\(3\) expects .*; got shape \(N,\)"):
        Linear(3)(torch.ones(4))


def test_forward_refuses_another_size_than_the_one_built_for() -> None:
    linear = Linear(3)
    linear.build((2,))
    for x in (torch.ones(4, 5), torch.ones(2, 5), torch.ones(4, 2, 5)):
        with pytest.raises(ValueError, match=r"Linear\(3\) expects 2 features .*; got 5\."):
            linear(x)
    assert linear._saved == []


def test_forward_refuses_another_type_in_torchs_words() -> None:
    linear = Linear(3)
    linear.build((2,))
    with pytest.raises(RuntimeError, match="dtype"):
        linear(torch.ones(4, 2, dtype=torch.float64))
    assert linear._saved == []


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_are_read_as_floats(dtype: torch.dtype) -> None:
    linear, x = Linear(3), torch.tensor([[0, 1], [1, 1]])
    linear.build((2,))
    y = linear(x.to(dtype))
    linear.backward(torch.ones(2, 3))
    gradient = linear.weight.grad.clone()
    linear.zero_grad()
    assert torch.equal(linear(x.float()), y)
    linear.backward(torch.ones(2, 3))
    assert torch.equal(linear.weight.grad, gradient)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 1000])
def test_the_gradient_of_the_bias_is_the_sum_over_rows(rows: int) -> None:
    linear = Linear(3)
    linear.build((2,))
    dy = torch.arange(rows * 3.0).view(rows, 3)
    linear(torch.ones(rows, 2))
    linear.backward(dy)
    assert torch.equal(linear.bias.grad, dy.sum(0))


@pytest.mark.parametrize("shape", [(4, 2), (4, 5, 2)])
@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    frozen: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    linear, x = Linear(3), torch.randn(shape)
    linear.build(shape[1:])
    for name in frozen:
        getattr(linear, name).trainable = False
    dy = torch.randn_like(linear(x))
    assert linear.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in linear.named_parameters()}
    linear.zero_grad()
    linear(x)
    assert linear.backward(dy).shape == shape
    for name, parameter in linear.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name not in frozen)
    assert linear._saved == []


def test_the_weight_may_be_used_transposed_after_it_was_assigned() -> None:
    linear = Linear(3)
    linear.build((2,))
    linear.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert torch.equal(linear(torch.tensor([[1.0, 10.0]])), torch.tensor([[21.0, 43.0, 65.0]]))
