"""Whole nets of known design: short to write, right in every gradient, the same in torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kerasish import Model
from kerasish.containers import Concat, Graph, Input, Residual, Sequential
from kerasish.export import to_torch
from kerasish.gradcheck import check_gradients
from kerasish.layers import (
    LSTM,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    GlobalAvgPool,
    Linear,
    MaxPool2d,
    Permute,
    PositionalEncoding,
    ReLU,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.module import Module
from tests.table import numbers, seeded


def resnet18(classes: int = 10) -> Sequential:
    """ResNet-18 for images of 32 x 32: He et al. (2016), table 1, with the stem of section 4.2."""

    def conv(channels: int, size: int, stride: int = 1) -> list[Module]:
        return [Conv2d(channels, kernel_size=size, stride=stride, padding=size // 2, bias=False),
                BatchNorm2d()]

    def block(channels: int, stride: int = 1, shortcut: bool = False) -> list[Module]:
        body = Sequential(*conv(channels, 3, stride), ReLU(), *conv(channels, 3))
        way = Sequential(*conv(channels, 1, stride)) if shortcut else None
        return [Residual(body, way), ReLU()]

    return Sequential(
        *conv(64, 3), ReLU(),
        *block(64), *block(64),
        *block(128, 2, shortcut=True), *block(128),
        *block(256, 2, shortcut=True), *block(256),
        *block(512, 2, shortcut=True), *block(512),
        GlobalAvgPool(), Linear(classes))


def lstm_classifier(words: int = 50, classes: int = 5) -> Sequential:
    """Two layers of LSTM over words; their last step decides."""
    return Sequential(Embedding(words, 16), LSTM(24, num_layers=2), Linear(classes))


def transformer(words: int = 50, classes: int = 5) -> Sequential:
    """Four encoder layers over words; the mean over positions decides."""
    layer = TransformerEncoderLayer(nhead=4, dim_feedforward=64, dropout=0.0)
    return Sequential(Embedding(words, 32), PositionalEncoding(), TransformerEncoder(layer, 4),
                      Permute((2, 1)), GlobalAvgPool(), Linear(classes))


def unet(channels: int = 4, depth: int = 3) -> Graph:
    """Down, then up again, with what was seen on the way: Ronneberger et al. (2015), fig. 1."""

    def double(width: int) -> Sequential:
        return Sequential(Conv2d(width, kernel_size=3, padding=1), ReLU(),
                          Conv2d(width, kernel_size=3, padding=1), ReLU())

    image = Input((1, 16, 16))
    x, seen = image, []
    for level in range(depth):
        x = double(channels << level)(x)
        seen.append(x)
        x = MaxPool2d(2)(x)
    x = double(channels << depth)(x)
    for level in reversed(range(depth)):
        x = ConvTranspose2d(channels << level, kernel_size=2, stride=2)(x)
        x = double(channels << level)(Concat()((seen[level], x)))
    return Graph(image, Conv2d(2, kernel_size=1)(x))


def words(batch: int) -> torch.Tensor:
    return torch.randint(50, (batch, 7), generator=torch.Generator().manual_seed(0))


NETS: dict[str, tuple[Callable[[], Module], Callable[[int], Any]]] = {
    "ResNet-18": (resnet18, lambda n: numbers(n, 3, 32, 32)),
    "LSTM classifier": (lstm_classifier, words),
    "Transformer encoder": (transformer, words),
    "U-Net": (unet, lambda n: numbers(n, 1, 16, 16)),
}
every_net = pytest.mark.parametrize("name", NETS)


def built(name: str) -> tuple[Module, Any]:
    make, batch = NETS[name]
    net, x = make(), batch(3)
    with seeded(1):  # with these values no step of a finite difference goes over a ReLU's kink
        net.build(tuple(x.shape[1:]))
    return net, x


@pytest.mark.long
@every_net
def test_every_gradient_of_the_net_is_right(name: str) -> None:
    net, x = built(name)
    check_gradients(net, x, most=1 if name == "ResNet-18" else 4)


@every_net
def test_the_net_goes_to_torch(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    net, _ = built(name)
    to_torch(net, check=True)
    gradients = 1 + len(list(net.parameters())) - ("Embedding" in repr(net))
    assert f"outputs and {gradients} gradients agree" in capsys.readouterr().out


@every_net
def test_the_net_learns_a_few_samples_by_heart(name: str) -> None:
    net, x = built(name)
    model = Model(net, device="cpu")
    model.compile("adam", "cross_entropy")
    shape = net.output_shape[1:]
    y = torch.arange(3).reshape(-1, *[1] * len(shape)).expand(3, *shape) % 2
    x = x.float() if x.is_floating_point() else x
    epochs = 8 if name == "ResNet-18" else 60
    losses = model.fit(x, y, epochs=epochs, batch_size=3, verbose=0, seed=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_resnet18_has_the_known_number_of_parameters() -> None:
    net, _ = built("ResNet-18")
    assert sum(p.data.numel() for p in net.parameters()) == 11_173_962
