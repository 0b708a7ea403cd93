"""What is special to Flatten: which axes it takes, and that the batch stays an axis of its own."""

from typing import Any

import pytest
import torch

from kerasish.layers import Flatten


def test_numbers_without_axes_become_one_feature() -> None:
    module = Flatten()
    assert module.build(()) == (1,)
    y = module(torch.arange(3.0))
    assert torch.equal(y, torch.tensor([[0.0], [1.0], [2.0]]))
    assert torch.equal(module.backward(y), torch.arange(3.0))


def test_the_batch_is_never_joined() -> None:
    with pytest.raises(ValueError, match=r"Flatten\(start_dim\) expects 1 or more.*; got 0\."):
        Flatten(0)
    with pytest.raises(ValueError, match=r"Flatten\(-3\) expects x with axes"):
        Flatten(-3).build((2, 3))
    with pytest.raises(ValueError, match=r"Flatten\(1, 0\) expects x with axes"):
        Flatten(1, 0).build((2, 3))


@pytest.mark.parametrize("dims", [(3, -1), (1, 3), (2, 1), (-1, -2), (-9, -1), (2, -2)], ids=str)
def test_axes_that_x_does_not_have_are_refused(dims: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"got shape \(N, 2, 3\)\. Choose axes that x has"):
        Flatten(*dims).build((2, 3))


@pytest.mark.parametrize("module", [Flatten(2), Flatten(1, 2), Flatten(-2)], ids=repr)
def test_numbers_without_axes_have_no_others_to_join(module: Any) -> None:
    with pytest.raises(ValueError, match="Choose axes that x has"):
        module.build(())


def test_a_gradient_in_any_layout_finds_its_place() -> None:
    module, x = Flatten(), torch.randn(4, 2, 3)
    module(x)
    dy = torch.randn(6, 4).t()
    assert torch.equal(module.backward(dy), dy.reshape(4, 2, 3))


def test_an_axis_of_size_zero_is_an_axis() -> None:
    module = Flatten()
    assert module.build((0, 3)) == (0,)
    assert module(torch.ones(4, 0, 3)).shape == (4, 0)
    assert module.backward(torch.ones(4, 0)).shape == (4, 0, 3)
