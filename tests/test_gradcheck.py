"""check_gradients proves users' own modules: it passes right ones, and names what is wrong."""

import copy
import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kerasish import Parameter
from kerasish.containers import Sequential
from kerasish.gradcheck import GradientMismatch, check_gradients
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.losses import MSE, Loss
from kerasish.module import Module
from tests.table import numbers, seeded


class Swish(Module):
    """A user's module: y = x σ(β x) + c, with a β for each feature, learned."""

    formula = "y = x σ(β x) + c"
    backward_reads = frozenset({"input"})

    def build(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.beta = Parameter(torch.linspace(0.5, 2, shape[-1]))
        self.c = Parameter(torch.zeros(1))
        return shape

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.beta.data * x)
        self.save_for_backward(x, gate)
        return x * gate + self.c.data

    def backward(self, dy: Tensor) -> Tensor:
        x, gate = self.saved_tensors()
        slope = gate * (1 - gate)
        self.beta.grad += (dy * x * x * slope).flatten(0, -2).sum(0)
        self.c.grad += dy.sum()
        return dy * (gate + x * self.beta.data * slope)


class LogCosh(Loss):
    """A user's loss."""

    def forward(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
                ) -> Tensor:
        error = y_pred - self.matched(y_pred, y_true)
        shares = self.shares(sample_weight, error)
        self.save_for_backward(error, shares)
        return self.total(error.cosh().log(), shares)

    def backward(self) -> Tensor:
        error, shares = self.saved_tensors()
        return shares * error.tanh()


def wrong(cls: type, change: Callable[..., Tensor]) -> type:
    """The class with a change to what its backward returns."""

    class Wrong(cls):
        def backward(self, *dy: Tensor) -> Tensor:
            return change(self, super().backward(*dy))

    return Wrong


# ---- what is right passes -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
@pytest.mark.parametrize("built", [False, True])
def test_a_users_own_module_passes(shape: tuple[int, ...], built: bool) -> None:
    module = Swish()
    if built:
        module.build(shape)
    check_gradients(module, torch.randn(4, *shape))
    check_gradients(Sequential(Linear(3), module, Tanh()), torch.randn(4, *shape))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_users_own_loss_passes(weighted: bool) -> None:
    weights = [torch.tensor([0.0, 1.0, 2.0, 3.0])] if weighted else []
    check_gradients(LogCosh(), numbers(4, 3), numbers(4, 3, seed=1), *weights)


def test_noise_is_the_same_in_each_pass() -> None:
    check_gradients(Sequential(Linear(8), Dropout(0.5), Linear(2), Dropout(0.2)), numbers(4, 3))


def test_inputs_may_lie_in_memory_as_they_like() -> None:
    check_gradients(Tanh(), numbers(3, 4).t())
    check_gradients(LogCosh(), numbers(3, 4).t(), numbers(4, 3, seed=1), torch.ones(8)[::2])


def test_frozen_parameters_need_no_gradient() -> None:
    module = Linear(3)
    module.build((2,))
    module.weight.trainable = False
    check_gradients(module, numbers(4, 2))
    check_gradients(Sequential(module, Tanh(), Linear(2)), numbers(4, 2))


# ---- what is wrong is named -----------------------------------------------------------------


def test_a_wrong_dx_is_named_with_its_place_and_both_numbers() -> None:
    def one_wrong(module: Module, dx: Tensor) -> Tensor:
        dx[2, 1] += 3.0
        return dx

    module = wrong(Tanh, one_wrong)()
    with pytest.raises(GradientMismatch) as error:
        check_gradients(module, torch.zeros(4, 3))
    message = re.match(r"Wrong\(\), dx at \(2, 1\): backward gives (\S+), "
                       r"finite differences give (\S+);", str(error.value))
    got, expected = map(float, message.groups())
    assert got == pytest.approx(expected + 3)
    assert isinstance(error.value, AssertionError)


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1.0001, math.nan, math.inf])
@pytest.mark.parametrize("name", ["beta", "c"])
def test_a_wrong_gradient_of_a_parameter_is_named(name: str, factor: float) -> None:
    def scaled(module: Module, dx: Tensor) -> Tensor:
        getattr(module, name).grad *= factor
        return dx

    with pytest.raises(GradientMismatch, match=rf"Wrong\(\), gradient of {name} at \(0,\): back"):
        check_gradients(wrong(Swish, scaled)(), numbers(4, 3))
    net = Sequential(Linear(3), Sequential(wrong(Swish, scaled)()))
    with pytest.raises(GradientMismatch, match=rf"gradient of 1\.0\.{name} at"):
        check_gradients(net, numbers(4, 3))


def test_a_parameter_without_a_gradient_is_named() -> None:
    class Forgetful(Swish):
        def backward(self, dy: Tensor) -> Tensor:
            grad = self.beta.grad.clone()
            dx = super().backward(dy)
            self.beta.grad = grad
            return dx

    with pytest.raises(GradientMismatch, match=r"gradient of beta .* backward gives 0, finite"):
        check_gradients(Forgetful(), numbers(4, 3))


@pytest.mark.parametrize("change", [
    lambda module, dx: dx.sum(0),
    lambda module, dx: dx.unsqueeze(1),
    lambda module, dx: dx[:, :1],
    lambda module, dx: dx.mT,
])
def test_a_dx_of_the_wrong_shape_is_named(change: Callable[..., Tensor]) -> None:
    got = tuple(change(None, torch.ones(4, 3)).shape)
    with pytest.raises(ValueError, match="expects dx of shape") as error:
        check_gradients(wrong(Tanh, change)(), numbers(4, 3))
    assert "(4, 3)" in str(error.value) and f"got {got}" in str(error.value)


def test_a_backward_that_returns_nothing_is_named() -> None:
    with pytest.raises(ValueError, match=r"expects dx of shape \(4, 3\); got None"):
        check_gradients(wrong(Tanh, lambda module, dx: None)(), numbers(4, 3))


def test_an_empty_batch_proves_nothing() -> None:
    with pytest.raises(ValueError, match=r"check_gradients.*got .*\(0, 3\)"):
        check_gradients(Tanh(), torch.ones(0, 3))


@pytest.mark.parametrize("change", [
    lambda loss, dy: -dy, lambda loss, dy: dy * dy.numel(), lambda loss, dy: dy * 0,
])
def test_a_wrong_loss_is_named(change: Callable[..., Tensor]) -> None:
    for cls in (LogCosh, MSE):
        with pytest.raises(GradientMismatch, match=r"Wrong\(\), dx at \(0, 0\): backward gives"):
            check_gradients(wrong(cls, change)(), numbers(4, 3), numbers(4, 3, seed=1))


def test_a_loss_with_a_gradient_of_the_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match="expects dx of shape"):
        check_gradients(wrong(MSE, lambda loss, dy: dy.sum(1))(), numbers(4, 3), numbers(4, 3))


def test_a_kink_is_found() -> None:
    check_gradients(ReLU(), numbers(4, 3))
    with pytest.raises(GradientMismatch, match="keep x away from kinks"):
        check_gradients(ReLU(), torch.zeros(4, 3))


def test_a_forward_that_depends_on_its_neighbours_is_no_excuse() -> None:
    class Centred(Module):
        formula = "y = x - mean of x over the batch"

        def forward(self, x: Tensor) -> Tensor:
            self.save_for_backward()
            return x - x.mean(0)

        def backward(self, dy: Tensor) -> Tensor:
            self.saved_tensors()
            return dy

    with pytest.raises(GradientMismatch, match="dx"):
        check_gradients(Centred(), numbers(4, 3))


# ---- settings -------------------------------------------------------------------------------


def test_the_tolerance_is_a_share_of_the_largest_gradient() -> None:
    module = wrong(Tanh, lambda module, dx: dx * 1.001)()
    x = torch.zeros(4, 3)
    check_gradients(module, x, tolerance=2e-3)
    with pytest.raises(GradientMismatch):
        check_gradients(module, x, tolerance=1e-4)


def test_at_most_so_many_elements_are_checked_evenly_spread() -> None:
    passes = []

    class Counting(Tanh):
        def forward(self, x: Tensor) -> Tensor:
            passes.append(x.detach().clone())
            return super().forward(x)

    check_gradients(Counting(), numbers(10, 10), most=7)
    moved = [int((x - passes[0]).flatten().nonzero()[0]) for x in passes[1:]]
    assert len(moved) <= 2 * 7 and moved[0] == 0 and max(moved) >= 80


def test_it_leaves_no_trace() -> None:
    module = Sequential(Linear(3), Tanh(), Dropout(0.5))
    with seeded():
        module.build((2,))
    x = numbers(4, 2, dtype=torch.float32)
    module.backward(module.forward(x))
    module.forward(x)
    before, x_before, random = copy.deepcopy(module), x.clone(), torch.get_rng_state()
    check_gradients(module, x)
    assert torch.equal(x, x_before) and torch.equal(torch.get_rng_state(), random)
    pairs = zip(module.parameters(), before.parameters(), strict=True)
    assert all(torch.equal(p.data, b.data) and torch.equal(p.grad, b.grad) for p, b in pairs)
    assert [len(part._saved) for part in module.modules()] == [
        len(part._saved) for part in before.modules()]
    unbuilt = Linear(3)
    check_gradients(unbuilt, x)
    assert not unbuilt.built
