"""What is special to Lambda: what is said to those who write their first backward."""

from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish.containers import Sequential
from kerasish.gradcheck import GradientMismatch, check_gradients
from kerasish.layers import Identity, Lambda, Linear


def square(x: Tensor) -> Tensor:
    return x**2


def square_back(dy: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return dy * 2 * x


@pytest.mark.parametrize("backward", [None, 3])
def test_a_missing_backward_is_shown_how_to_write(backward: Any) -> None:
    with pytest.raises(TypeError, match=r"Lambda\(backward\) expects a function of \(dy, x, y\) "
                                        rf"that returns dx; got {backward!r}\. There is no auto"):
        Lambda(square, backward)


def test_a_missing_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Lambda\(forward\) expects a function of x; got 'relu'"):
        Lambda("relu", square_back)


def test_a_backward_that_returns_nothing_is_refused() -> None:
    module = Lambda(square, lambda dy, x, y: None)
    module(torch.ones(2, 3))
    with pytest.raises(TypeError, match="expects a backward that returns dx; got None"):
        module.backward(torch.ones(2, 3))


def test_a_wrong_backward_is_found() -> None:
    check_gradients(Lambda(square, square_back), torch.randn(2, 3))
    with pytest.raises(GradientMismatch):
        check_gradients(Lambda(square, lambda dy, x, y: dy * x), torch.randn(2, 3))


@pytest.mark.parametrize(("forward", "shape", "expected"), [
    (lambda x: x.flatten(1), (2, 3), (6,)),
    (lambda x: x + torch.ones(3), (3,), (3,)),
    (lambda x: x["a"] @ x["b"], {"a": (2, 3), "b": (3, 4)}, (2, 4)),
    (lambda x: (x[0], x[1].sum(1)), ((2,), (3, 4)), ((2,), (4,))),
    (lambda x: x * 2, (), ()),
])
def test_the_shape_of_y_is_inferred_without_numbers(
    forward: Any, shape: Any, expected: Any
) -> None:
    assert Lambda(forward, square_back).build(shape) == expected


def test_a_shape_that_cannot_be_inferred_must_be_said() -> None:
    def through_numpy(x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy())

    with pytest.raises(ValueError, match=r"expects a forward that runs on tensors without numbers.*"
                                         r"Say Lambda\(\.\.\., output_shape=\.\.\.\)"):
        Lambda(through_numpy, square_back).build((3,))
    module = Lambda(through_numpy, lambda dy, x, y: dy, output_shape=[3])
    assert module.build((3,)) == (3,) and torch.equal(module(torch.ones(2, 3)), torch.ones(2, 3))


def test_it_trains_what_lies_below() -> None:
    net = Sequential(Linear(2), Lambda(square, square_back))
    net.build((3,))
    x = torch.randn(4, 3)
    net(x)
    net.backward(torch.ones(4, 2))
    expected = 2 * (x @ net[0].weight.data.t())
    assert torch.allclose(net[0].weight.grad, expected.t() @ x)


def test_identity_takes_what_torchs_takes() -> None:
    x = {"a": torch.randn(2, 3)}
    for module in (Identity(), Identity(54, unused=0.1), Identity(in_features=3, bias=False)):
        assert module(x) is x and module.backward(x) is x
