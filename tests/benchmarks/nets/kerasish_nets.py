"""The nets in kerasish."""

from collections.abc import Callable
from typing import Any

from kerasish import Module, Sequential, containers, layers
from tests.benchmarks import nets

SIMPLE: dict[nets.Simple, Callable[[], Module]] = {
    nets.RELU: layers.ReLU, nets.TANH: layers.Tanh, nets.FLATTEN: layers.Flatten,
    nets.MEAN_OF_PIXELS: layers.GlobalAvgPool,
    nets.MEAN_OF_TOKENS: lambda: Sequential(layers.Permute((2, 1)), layers.GlobalAvgPool()),
}


def layer(of: Any) -> Module:
    match of:
        case nets.Dense(_, outputs):
            return layers.Linear(outputs)
        case nets.Conv(_, outputs, size, stride, bias):
            return layers.Conv2d(outputs, kernel_size=size, stride=stride, padding=size // 2,
                                 bias=bias)
        case nets.BatchNorm():
            return layers.BatchNorm2d()
        case nets.MaxPool(size):
            return layers.MaxPool2d(size)
        case nets.LSTM(_, size):
            return layers.LSTM(size)
        case nets.Encoder(_, heads, hidden):
            return layers.TransformerEncoderLayer(nhead=heads, dim_feedforward=hidden, dropout=0.0)
        case nets.Residual(body, shortcut):
            return containers.Residual(net(body), net(shortcut) if shortcut else None)
    return SIMPLE[of]()


def net(layers: tuple) -> Sequential:
    """The described net; sizes of inputs are inferred."""
    return Sequential(*map(layer, layers))
