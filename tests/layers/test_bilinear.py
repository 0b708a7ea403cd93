"""What is special to Bilinear: its three sizes, its two inputs, numbers worked by hand."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import Bilinear


@pytest.mark.parametrize(("make", "sizes", "config"), [
    (lambda: Bilinear(4), (None, None, 4), {"out_features": 4}),
    (lambda: Bilinear(out_features=4), (None, None, 4), {"out_features": 4}),
    (lambda: Bilinear(2, 3, 4), (2, 3, 4),
     {"in1_features": 2, "in2_features": 3, "out_features": 4}),
    (lambda: Bilinear(2, out_features=4), (2, None, 4), {"in1_features": 2, "out_features": 4}),
    (lambda: Bilinear(in2_features=3, out_features=4, bias=False), (None, 3, 4),
     {"in2_features": 3, "out_features": 4, "bias": False}),
])
def test_sizes_of_inputs_may_be_left_out(make: Any, sizes: Any, config: dict[str, Any]) -> None:
    module = make()
    assert (module.in1_features, module.in2_features, module.out_features) == sizes
    assert module.get_config() == config
    assert module.build(((2,), (3,))) == (4,)
    assert (module.in1_features, module.in2_features, module.out_features) == (2, 3, 4)
    assert module.weight.shape == (4, 2, 3)


@pytest.mark.parametrize(("make", "shown"), [
    (lambda: Bilinear(), r"Bilinear\(out_features\) .* got None"),
    (lambda: Bilinear(0), r"Bilinear\(out_features\) .* got 0"),
    (lambda: Bilinear(2, 3), r"Bilinear\(out_features\) .* got None\. Write Bilinear\(2, 3, 4\)"),
    (lambda: Bilinear(2, 0, 4), r"Bilinear\(in2_features\) .* got 0\. Write Bilinear\(2, 3, 4\)"),
    (lambda: Bilinear(2.0, 3, 4), r"Bilinear\(in1_features\) .* got 2.0"),
    (lambda: Bilinear(in1_features=2), r"Bilinear\(in1_features\) expects out_features beside it"),
])
def test_sizes_that_are_missing_or_none_are_refused(make: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        make()


def test_numbers_worked_by_hand() -> None:
    module = Bilinear(1)
    module.build(((2,), (2,)))
    module.weight.data = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    module.bias.data = torch.tensor([0.5])
    x1, x2 = torch.tensor([[1.0, 10.0]]), torch.tensor([[1.0, -1.0]])
    assert module((x1, x2)).tolist() == [[-10.5]]  # u = (-1, -1)
    dx1, dx2 = module.backward(torch.tensor([[2.0]]))
    assert dx1.tolist() == [[-2.0, -2.0]] and dx2.tolist() == [[62.0, 84.0]]
    assert module.weight.grad.tolist() == [[[2.0, -2.0], [20.0, -20.0]]]
    assert module.bias.grad.tolist() == [2.0]


def test_weights_are_kaiming_normal_and_biases_zero() -> None:
    module = Bilinear(100)
    module.build(((20,), (50,)))
    assert module.weight.data.std().item() == pytest.approx(math.sqrt(2 / 1000), rel=0.02)
    assert not module.bias.data.any() and not module.bias.decay and module.weight.decay


@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",), ("weight", "bias")], ids=str)
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    frozen: tuple[str, ...]
) -> None:
    module, x = Bilinear(3), (torch.randn(4, 2), torch.randn(4, 5))
    module.build(((2,), (5,)))
    for name in frozen:
        getattr(module, name).trainable = False
    dy = torch.randn_like(module(x))
    assert module.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    module(x)
    assert [dx.shape for dx in module.backward(dy)] == [(4, 2), (4, 5)]
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name not in frozen)


@pytest.mark.parametrize("shape", [(2,), ((2,),), ((2,), ()), ((3, 2), (4, 2)), {"a": (2,)},
                                   ((2,), (2,), (2,))], ids=str)
def test_what_is_no_pair_of_shapes_alike_is_refused(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"Bilinear\(4\) expects a tuple \(x1, x2\) of shapes "
                                         r"alike but for the last axis; got .* Call it on two"):
        Bilinear(4).build(shape)


def test_forward_refuses_rows_that_only_fit_when_joined() -> None:
    module = Bilinear(4)
    module.build(((3, 2), (3, 5)))
    with pytest.raises(ValueError, match="alike but for the last axis"):
        module((torch.ones(6, 2, 2), torch.ones(4, 3, 5)))


@pytest.mark.parametrize(("shape", "shown"), [(((9,), (3,)), "2 features .* of x1; got 9"),
                                              (((2,), (9,)), "3 features .* of x2; got 9")])
def test_build_refuses_other_sizes_than_those_given(shape: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"Bilinear\(2, 3, 4\) expects {shown}\. Give it such"):
        Bilinear(2, 3, 4).build(shape)


def test_what_is_saved_is_counted_in_bytes() -> None:
    assert Bilinear(4).own_bytes(((5, 2), (5, 3))) == 4 * 5 * 2 * 4
