"""Large products are oneDNN's: the same numbers, whatever the shapes and layouts."""

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import set_seed
from kerasish.layers import GRU, RNN, Bilinear, Linear, MultiheadAttention, products
from kerasish.layers.pieces import PIECE
from kerasish.layers.products import LEAST, add_outer, affine, back, least_rows
from kerasish.trees import leaves, mapped, mapped_shapes, shape_of


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that oneDNN is asked for."""
    found, onednn = [], products.ONEDNN

    def counted(rows: Tensor, weight: Tensor, *more: Any) -> Tensor:
        found.append((*rows.shape, len(weight)))
        return onednn(rows, weight, *more)

    monkeypatch.setattr(products, "ONEDNN", counted)
    return found


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def assert_near(value: Tensor, exact: Tensor, summed: int) -> None:
    """Within what float32 rounds in sums of so many products."""
    allowed = max(summed, 100) * torch.finfo(torch.float32).eps
    assert (value - exact).abs().amax() < allowed * exact.abs().amax()


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda each: each,
    "by columns": lambda each: each.t().contiguous().t(),
    "every second row": lambda each: each.repeat_interleave(2, 0)[::2],
    "every second column": lambda each: each.repeat_interleave(2, 1)[:, ::2],
    "one row, again and again": lambda each: each[:1].expand_as(each),
    "one column, again and again": lambda each: each[:, :1].expand_as(each),
}


@pytest.mark.parametrize("lay", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("rows", "features", "out"), [
    (129, 300, 100), (3000, 100, 70), (70, 640, 513), (9, 640, 513)])
def test_products_are_those_of_float64(
    rows: int, features: int, out: int, lay: Callable[[Tensor], Tensor], calls: list[Any]
) -> None:
    x, dy, weight = lay(drawn(rows, features)), lay(drawn(rows, out)), drawn(out, features)
    bias, grad = drawn(out), drawn(out, features)
    before = [each.clone() for each in (x, dy, weight, bias)]
    exact = x.double() @ weight.double().t()
    assert_near(affine(x, weight), exact, features)
    assert_near(affine(x, weight, bias), exact + bias, features)
    assert_near(affine(x, weight.t().contiguous().t(), bias), exact + bias, features)
    assert_near(back(dy, weight), dy.double() @ weight.double(), out)
    expected = grad.double() + dy.double().t() @ x.double()
    add_outer(grad, dy.t(), x)
    assert_near(grad, expected, rows)
    assert all(map(torch.equal, (x, dy, weight, bias), before))
    assert len(calls) >= 5 and not products.least_rows(weight) > rows
    pieces = calls[4:]
    assert sum(m * n * k for m, k, n in pieces) == rows * features * out
    assert len(pieces) > 1 or max(out * features, out * rows) * 4 <= PIECE


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types_stay_with_torch(dtype: torch.dtype, calls: list[Any]) -> None:
    x, weight = drawn(100, 300, dtype=dtype), drawn(200, 300, dtype=dtype)
    assert torch.equal(affine(x, weight), torch.mm(x, weight.t()))
    assert torch.equal(back(x, weight.t()), torch.mm(x, weight.t()))
    add_outer(weight, x[:, :200].t(), x)
    assert not calls


def test_small_products_stay_with_torch(calls: list[Any]) -> None:
    linear, x = Linear(64), drawn(LEAST // 64 // 64 - 1, 64)
    linear.build((64,))
    assert least_rows(linear.weight.data) == len(x) + 1
    linear.backward(linear.forward(x))
    assert not calls
    linear.backward(linear.forward(drawn(LEAST // 64 // 64, 64)))
    assert len(calls) == 3


LAYERS: dict[str, tuple[Callable[[], Any], tuple[tuple[int, ...], ...], int]] = {
    "Linear": (lambda: Linear(256), ((128, 128),), 3),
    "Linear of steps": (lambda: Linear(256, bias=False), ((8, 16, 128),), 3),
    "attention": (lambda: MultiheadAttention(num_heads=4), ((32, 20, 128),), 6),
    "RNN": (lambda: RNN(128), ((32, 20, 128),), 4),
    "GRU": (lambda: GRU(128, bias=False), ((32, 20, 128),), 4),
    "Bilinear": (lambda: Bilinear(64), ((128, 64), (128, 64)), 3),
}


def results(layer: Any, x: Any) -> list[Tensor]:
    """y, dx and the gradients of the parameters."""
    layer.zero_grad()
    y = layer.forward(x)
    return [y, *leaves(layer.backward(torch.cos(y))), *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.parametrize(("make", "shapes", "products_in_all"), LAYERS.values(), ids=LAYERS)
def test_layers_use_them_and_are_as_exact_as_with_torch(
    make: Any, shapes: Any, products_in_all: int, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_seed(0)
    layer, several = make(), tuple(drawn(*each) for each in shapes)
    x = several if len(several) > 1 else several[0]
    layer.build(mapped_shapes(lambda shape: shape[1:], shape_of(x)))
    ours = results(layer, x)
    assert len(calls) >= products_in_all
    monkeypatch.setattr(products, "LEAST", sys.maxsize)
    layer.least_rows = sys.maxsize
    theirs, asked = results(layer, x), len(calls)
    exact = results(copy.deepcopy(layer).to(dtype=torch.float64), mapped(Tensor.double, x))
    assert asked == len(calls)
    for our, their, value in zip(ours, theirs, exact, strict=True):
        ulp = torch.finfo(torch.float32).eps * value.abs().amax()
        allowed = 2 * (their - value).abs().amax() + 4 * ulp
        assert (our - value).abs().amax() <= allowed


def test_a_gradient_is_the_same_whether_or_not_others_are_asked_for() -> None:
    linear, x, dy = Linear(256), drawn(128, 128), drawn(128, 256)
    linear.build((128,))
    found = []
    for need_dx in (True, False):
        linear.zero_grad()
        linear.forward(x)
        linear.backward(dy, need_dx=need_dx)
        found.append(linear.weight.grad.clone())
    assert torch.equal(*found)
