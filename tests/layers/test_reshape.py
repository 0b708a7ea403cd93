"""What is special to Reshape, Unflatten and Permute: which shapes and axes they take."""

from typing import Any

import pytest
import torch

from kerasish.containers import Sequential
from kerasish.layers import Flatten, Permute, Reshape, Unflatten
from kerasish.module import Module


@pytest.mark.parametrize("sizes", [(2, 0), (-1, -1), (2, -2), (2.0, 3), 6, "ab", ((2,), 3)])
@pytest.mark.parametrize(("make", "name"), [
    (Reshape, r"Reshape\(target_shape\)"),
    (lambda sizes: Unflatten(1, sizes), r"Unflatten\(unflattened_size\)"),
])
def test_sizes_that_are_none_are_refused(make: Any, name: str, sizes: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} expects sizes of at least 1 in a tuple, or -1 "
                                         r"for one that follows from the rest; got .* \(3, -1\)"):
        make(sizes)


@pytest.mark.parametrize(("module", "wanted"), [
    (Reshape((4, 2)), "8 numbers"), (Reshape((5, -1)), "a multiple of 5 numbers"),
    (Unflatten(2, (4, 2)), "8 numbers"), (Unflatten(-1, (5, -1)), "a multiple of 5 numbers"),
], ids=repr)
def test_samples_that_do_not_fill_the_sizes_are_refused(module: Module, wanted: str) -> None:
    with pytest.raises(ValueError, match=rf"expects {wanted} to fill .*; got 12\. Choose sizes "
                                         r"whose product is 12\."):
        module.build((1, 12))


def test_one_module_reshapes_sequences_of_any_length() -> None:
    module = Reshape((-1, 2))
    assert module.build((3, 4)) == (6, 2) and module.build((5, 4)) == (10, 2)
    for length in (3, 5):
        x = torch.randn(2, length, 4)
        y = module(x)
        assert torch.equal(y, x.view(2, -1, 2)) and torch.equal(module.backward(y), x)


def test_a_shape_without_axes_holds_one_number() -> None:
    assert Reshape(()).build((1,)) == ()
    assert Reshape(())(torch.ones(3, 1)).shape == (3,)


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_unflatten_undoes_flatten(shape: tuple[int, ...]) -> None:
    net, x = Sequential(Flatten(), Unflatten(1, shape)), torch.randn(2, *shape)
    assert torch.equal(net(x), x) and torch.equal(net.backward(x), x)


def test_axes_go_where_they_are_named_and_come_back() -> None:
    module, x = Permute([3, 1, 2]), torch.randn(2, 3, 4, 5)
    y = module(x)
    assert (2, *module.output_shape) == y.shape == (2, 5, 3, 4)
    assert y[1, 4, 2, 3] == x[1, 2, 3, 4]
    assert torch.equal(module.backward(y), x)


@pytest.mark.parametrize("dims", [(), (0, 1), (1, 1), (1, 3), (-1, 1), 2, None, "12", (2.0, 1)])
def test_dims_that_do_not_name_each_axis_once_are_refused(dims: Any) -> None:
    with pytest.raises(ValueError, match=r"Permute\(dims\) expects each axis of a sample once, in "
                                         r"a tuple, counted from 1; got .* \(2, 1\) exchanges"):
        Permute(dims)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), ()])
def test_samples_of_another_count_of_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Permute\(\(2, 1\)\) expects samples of 2 axes"):
        Permute((2, 1)).build(shape)
