"""Nets as plain descriptions, and one file for each framework that makes them come true.

A net is a tuple of these layers, one after the other. Sizes of inputs are written out, so that a
framework that does not infer them needs no more than this. Images are described as (C, H, W).
"""

from itertools import pairwise
from typing import NamedTuple


class Dense(NamedTuple):
    """y = x Wᵀ + b."""

    inputs: int
    outputs: int


class Conv(NamedTuple):
    """A square convolution whose padding keeps the size of the image, divided by the stride."""

    inputs: int
    outputs: int
    size: int = 3
    stride: int = 1
    bias: bool = True


class BatchNorm(NamedTuple):
    """Over images: ε = 1e-5, a new batch moves the running statistics by a tenth."""

    channels: int


class MaxPool(NamedTuple):
    """Of squares that do not overlap."""

    size: int = 2


class LSTM(NamedTuple):
    """One layer and direction, whose last step is the output."""

    inputs: int
    size: int


class Encoder(NamedTuple):
    """A layer of a transformer: norms after the shortcuts, ReLU inside, no dropout, ε = 1e-5."""

    size: int
    heads: int
    hidden: int


class Residual(NamedTuple):
    """body(x) + shortcut(x); an empty shortcut passes x on."""

    body: tuple
    shortcut: tuple = ()


class Simple(NamedTuple):
    """A layer without settings, known by its name."""

    name: str


RELU, TANH, FLATTEN = Simple("relu"), Simple("tanh"), Simple("flatten")
MEAN_OF_PIXELS, MEAN_OF_TOKENS = Simple("mean of pixels"), Simple("mean of tokens")


def mlp(*sizes: int) -> tuple:
    """Dense layers with ReLU between them."""
    pairs = list(pairwise(sizes))
    hidden = [layer for pair in pairs[:-1] for layer in (Dense(*pair), RELU)]
    return (*hidden, Dense(*pairs[-1]))


def disc() -> tuple:
    """The net of examples/disc.py."""
    return (Dense(2, 25), RELU, Dense(25, 25), RELU, Dense(25, 25), TANH, Dense(25, 1), TANH)


def convnet() -> tuple:
    """Two blocks of convolution, batch norm, ReLU and pooling on 1 x 28 x 28, then two layers."""
    return (Conv(1, 32), BatchNorm(32), RELU, MaxPool(), Conv(32, 64), BatchNorm(64), RELU,
            MaxPool(), FLATTEN, Dense(64 * 7 * 7, 128), RELU, Dense(128, 10))


def lstm_classifier() -> tuple:
    """One LSTM, whose last step decides."""
    return (LSTM(128, 128), Dense(128, 10))


def transformer() -> tuple:
    """Four layers of 128 features, the mean over tokens decides."""
    return (*(Encoder(128, heads=4, hidden=512) for _ in range(4)), MEAN_OF_TOKENS, Dense(128, 10))


def resnet18() -> tuple:
    """ResNet-18 for 3 x 32 x 32: He et al. (2016), table 1, with the stem of their section 4.2."""

    def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> tuple:
        return Conv(inputs, outputs, size, stride, bias=False), BatchNorm(outputs)

    def block(inputs: int, outputs: int) -> tuple:
        stride = outputs // inputs
        body = (*conv(inputs, outputs, 3, stride), RELU, *conv(outputs, outputs))
        return Residual(body, conv(inputs, outputs, 1, stride) if stride > 1 else ()), RELU

    sizes = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    blocks = (layer for pair in pairwise(sizes) for layer in block(*pair))
    return (*conv(3, 64), RELU, *blocks, MEAN_OF_PIXELS, Dense(512, 10))
