"""Nets of images: in pieces, in another order or in place, all is the same to the bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kerasish.containers import Sequential
from kerasish.devices import standing_for
from kerasish.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    ReLU,
)
from kerasish.layers.pieces import PIECE, pieces
from kerasish.module import Module
from tests.containers.test_sequential import assert_equal, run, run_by_hand
from tests.table import numbers

LAST = torch.channels_last
SHAPE = 41, 8, 32, 32
"""Of images that take more than one piece, the last of which is smaller."""


def images() -> Tensor:
    return numbers(*SHAPE, dtype=torch.float32).contiguous(memory_format=LAST)


class Giver(Module):
    """Makes a dx, keeps a hand on it, and declares that nobody else does."""

    backward_reads = frozenset()
    returns_view = False

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return x.clone()

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        self.made = dy.clone()
        return self.made


class Keeper(Giver):
    """Has a backward of its own, and declares nothing about it."""

    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy)


class Spread(Module):
    """A sum, whose gradient is one number in many places."""

    backward_reads = frozenset()
    returns_view = False

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x.shape)
        return x.sum((2, 3), keepdim=True)

    def backward(self, dy: Tensor) -> Tensor:
        (shape,) = self.saved_tensors()
        return (2 * dy).expand(shape)


# ---- whole nets -----------------------------------------------------------------------------

NETS: dict[str, Callable[[], list[Module]]] = {
    "pooled": lambda: [Conv2d(8, kernel_size=3, padding=1), BatchNorm2d(), ReLU(), MaxPool2d(2),
                       Conv2d(4, kernel_size=3), BatchNorm2d(), ReLU(), MaxPool2d(2), Flatten(),
                       Linear(3)],
    "mean": lambda: [Conv2d(8, kernel_size=3, stride=2), BatchNorm2d(), ReLU(),
                     Conv2d(8, kernel_size=3, padding=1), BatchNorm2d(), ReLU(), GlobalAvgPool()],
    "spread": lambda: [BatchNorm2d(), ReLU(), Spread()],
    "spread at once": lambda: [BatchNorm2d(), Spread()],
    "overlapping": lambda: [BatchNorm2d(), ReLU(), MaxPool2d(3, stride=2, padding=1), ReLU()],
    "ReLU first": lambda: [ReLU(), MaxPool2d(2)],
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_in_a_net_all_is_the_same_to_the_bit(make: Callable[[], list[Module]]) -> None:
    net, x = Sequential(*make()), images()
    dy = torch.randn_like(net(x))
    net.zero_grad()
    assert_equal(run(net, x, dy), run_by_hand(net, x, dy))
    assert torch.equal(x, images())


# ---- ReLU and pooling -----------------------------------------------------------------------


def test_relu_waits_for_the_pooling_behind_it() -> None:
    relu, x = ReLU(), numbers(4, 2, 6, 6) - 0.5
    x[0, 0] = -1.0  # ties at 0
    net = Sequential(Linear(6), relu, MaxPool2d(2))
    dy = torch.randn(4, 2, 3, 3, dtype=x.dtype)
    net.build((2, 6, 6))
    net.to(x.dtype)
    net(x)
    ((saved,),) = relu._saved
    assert saved.shape == (4, 2, 3, 3)
    net.zero_grad()
    assert_equal(run(net, x, dy), run_by_hand(net, x, dy))


class OtherPool(MaxPool2d):
    pass


class OtherReLU(ReLU):
    pass


@pytest.mark.parametrize("layers", [
    (ReLU(), OtherPool(2)), (OtherReLU(), MaxPool2d(2)), (ReLU(), Flatten())], ids=repr)
def test_a_subclass_keeps_its_place(layers: tuple[Module, ...]) -> None:
    Sequential(*layers)(torch.randn(3, 2, 4, 4))
    ((saved,),) = layers[0]._saved
    assert saved.shape == (3, 2, 4, 4)


# ---- what is written into dy ----------------------------------------------------------------


@pytest.mark.parametrize("layer", [ReLU(), BatchNorm2d()], ids=repr)
@pytest.mark.parametrize(("above", "written"), [(Giver(), True), (Keeper(), False)], ids=str)
def test_dy_is_overwritten_only_where_its_maker_forgets_it(
    layer: Module, above: Giver, written: bool
) -> None:
    net, x = Sequential(layer, above), images()
    dy = torch.randn_like(net(x))
    dx = net.backward(dy.clone())
    assert (dx.data_ptr() == above.made.data_ptr()) == written
    assert written or torch.equal(above.made, dy)


@pytest.mark.parametrize("layer", [ReLU(), BatchNorm2d()], ids=repr)
def test_what_the_container_was_given_is_not_overwritten(layer: Module) -> None:
    net, x = Sequential(layer), images()
    dy = torch.randn_like(net(x))
    given = dy.clone()
    net.backward(dy)
    layer.forward(x)
    layer.backward(dy)
    assert torch.equal(dy, given)


# ---- pieces ---------------------------------------------------------------------------------


def test_without_numbers_one_piece_stands_for_all() -> None:
    batch = torch.empty(10**9, 3, device="meta")
    assert pieces(batch, PIECE // 2) == [slice(0, 10**9)]
    with standing_for("cpu"):
        assert pieces(batch, PIECE // 2) == [slice(0, 2)]
    assert pieces(torch.ones(5, 3), PIECE // 2) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert pieces(torch.ones(2, 3), 10 * PIECE) == [slice(0, 1), slice(1, 2)]
    assert pieces(torch.ones(0, 3), 0) == [slice(0, 0)]


@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",)], ids=str)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_norm_of_many_images_is_that_of_torch(
    dtype: torch.dtype, affine: bool, frozen: tuple[str, ...]
) -> None:
    norm, twin = BatchNorm2d(affine=affine, dtype=dtype), nn.BatchNorm2d(8, affine=affine).double()
    x, dy = images().to(dtype) * 3 + 5, images().to(dtype).flip(0)
    norm.build(SHAPE[1:])
    for index, parameter in enumerate(norm.parameters()):
        parameter.data = torch.randn(8, generator=torch.Generator().manual_seed(index))
    twin.load_state_dict(norm.state_dict())
    for name, parameter in norm.named_parameters():
        parameter.trainable = name not in frozen
    exact = x.double().clone().requires_grad_()
    twin(exact).backward(dy.double())
    norm(x)
    dx = norm.backward(dy)
    assert dx.is_contiguous(memory_format=LAST)
    tolerance: Any = {"rtol": 1e-5, "atol": 2e-6} if dtype == torch.float32 else {}
    torch.testing.assert_close(dx.double(), exact.grad, **tolerance)
    for name, parameter in norm.named_parameters():
        assert parameter.grad.any() == (name not in frozen)


@pytest.mark.parametrize(("shape", "kind"), [
    ((700, 8, 16, 16), torch.uint8), ((700, 8, 17, 16), torch.int16),
    ((2, 8, 181, 181), torch.int16), ((2, 8, 182, 181), torch.int32)], ids=str)
@pytest.mark.parametrize("layout", [LAST, torch.contiguous_format], ids=str)
def test_places_are_kept_in_the_smallest_integers(
    shape: tuple[int, ...], kind: torch.dtype, layout: torch.memory_format
) -> None:
    pool, x = MaxPool2d(2), torch.randn(shape).contiguous(memory_format=layout)
    y = pool(x)
    places = pool._saved[-1][-1]
    assert places.dtype == kind and places[:1].nbytes == pool.own_bytes(shape[1:])
    exact = x.clone().requires_grad_()
    expected = nn.functional.max_pool2d(exact, 2)
    dy = torch.randn_like(y)
    expected.backward(dy)
    assert torch.equal(y, expected) and torch.equal(pool.backward(dy), exact.grad)


def test_pooling_of_volumes_and_lines_goes_in_pieces_too() -> None:
    for pool, twin, shape in [(MaxPool3d(2), nn.functional.max_pool3d, (300, 4, 8, 8, 8)),
                              (MaxPool1d(2), nn.functional.max_pool1d, (3000, 4, 40))]:
        exact = torch.randn(shape, requires_grad=True)
        expected = twin(exact, 2)
        y, dy = pool(exact.detach()), torch.randn_like(expected)
        expected.backward(dy)
        assert torch.equal(y, expected) and torch.equal(pool.backward(dy), exact.grad)
