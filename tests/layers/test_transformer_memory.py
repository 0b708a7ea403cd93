"""What a transformer's layer does not keep for backward, and makes again: it changes no bit."""

from typing import Any

import pytest
import torch

from kerasish.layers import Linear
from kerasish.layers.attention.projection import Projection
from kerasish.trees import leaves
from kerasish.watching import Watch
from tests.layers.test_transformers import PAIR, built, decoder, layer
from tests.table import numbers, seeded


def everything(module: Any, x: Any, dy: torch.Tensor) -> list[torch.Tensor]:
    """y, the gradients of what it was given, and those of all parameters, of two steps at once."""
    module.zero_grad()
    with seeded():
        ys = [module.forward(x), module.forward(x)]
    dxs = [module.backward(dy), module.backward(dy)]
    dxs = [part for dx in dxs for part in (dx if isinstance(dx, tuple) else (dx,))]
    return [*ys, *dxs, *(each.grad.clone() for each in module.parameters())]


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("make", "x"), [
    (layer, numbers(3, 4, 8)), (decoder, (numbers(3, 4, 8), numbers(3, 3, 8)))])
def test_what_is_made_again_and_written_over_changes_no_bit(
    make: Any, x: Any, norm_first: bool, dropout: float, activation: str
) -> None:
    module = built(make(norm_first=norm_first, dropout=dropout, activation=activation),
                   (4, 8) if make is layer else PAIR)
    dy = numbers(3, 4, 8)
    kept = dy.clone()
    fast = everything(module, x, dy)
    with Watch(module):
        slow = everything(module, x, dy)
    assert all(map(torch.equal, fast, slow))
    assert torch.equal(dy, kept)
    assert not any(part._saved for part in module.modules())


@pytest.mark.parametrize(("given", "wanted"), [
    ({"activation": "relu"}, 1 + 1 + 3 + 1 + 1),
    ({"activation": "relu", "norm_first": True}, 1 + 1 + 3 + 1 + 1),
    ({"activation": "gelu"}, 1 + 1 + 2 * 3 + 1 + 1)])
def test_a_layer_keeps_its_input_and_few_tensors_besides(given: Any, wanted: int) -> None:
    """x, what attention gives, the inside of the net, and what goes into each norm."""
    module = layer(dim_feedforward=3 * 128, **given)
    module.build((64, 128))
    x = torch.randn(8, 64, 128)
    module.forward(x)
    memories = {}
    for part in module.modules():
        for each in leaves([*part._saved]):
            if isinstance(each, torch.Tensor):
                memories[each.untyped_storage().data_ptr()] = each.untyped_storage().nbytes()
    assert sum(memories.values()) / x.nbytes == pytest.approx(wanted, rel=0.02)
    module.backward(torch.randn(8, 64, 128))


def test_a_watch_that_begins_between_forward_and_backward_changes_no_bit() -> None:
    module, x, dy = built(layer()), numbers(3, 4, 8), numbers(3, 4, 8)
    y, *_ = fast = everything(module, x, dy)
    module.zero_grad()
    for _ in range(2):
        assert torch.equal(module.forward(x), y)
    with Watch(module):
        dxs = [module.backward(dy), module.backward(dy)]
    found = [y, y, *dxs, *(each.grad for each in module.parameters())]
    assert all(map(torch.equal, fast, found))


def test_the_gradient_that_a_part_of_ones_own_gave_is_not_written_over() -> None:
    class Keeping(Projection):
        def backward(self, dy: torch.Tensor, need_dx: bool = True) -> torch.Tensor | None:
            self.dx = super().backward(dy, need_dx)
            self.copy = None if self.dx is None else self.dx.clone()
            return self.dx

    module, x, dy = built(layer()), numbers(3, 4, 8), numbers(3, 4, 8)
    expected = everything(module, x, dy)
    module.linear2.__class__ = Keeping
    assert all(map(torch.equal, expected, everything(module, x, dy)))
    assert torch.equal(module.linear2.dx, module.linear2.copy)


def test_what_one_forward_kept_is_exchanged_for_the_next_backward() -> None:
    module, x, dy = built(Linear(3), (4,)), numbers(2, 4), numbers(2, 3)
    module.forward(3 * x)
    module.forward(x)
    assert torch.equal(module.exchange_saved(0, None), x)
    assert module.exchange_saved(0, 2 * x) is None
    module.backward(dy)
    assert torch.equal(module.weight.grad, dy.t() @ (2 * x))
    assert torch.equal(module.exchange_saved(0, None), 3 * x)


def test_a_layer_without_backward_is_unwound() -> None:
    for activation in ("relu", "gelu"):
        module, x, dy = built(layer(activation=activation)), numbers(3, 4, 8), numbers(3, 4, 8)
        module.forward(x)
        module.forward(x)
        module.unwind()
        module.backward(dy)
        assert not any(part._saved for part in module.modules())


def test_a_forward_without_backward_takes_nothing_from_a_watched_one_before_it() -> None:
    module, x, dy = built(layer()), numbers(3, 4, 8), numbers(3, 4, 8)
    with Watch(module):
        module.forward(x)
    module.forward(x)
    module.unwind()
    module.backward(dy)
    assert not any(part._saved for part in module.modules())
