"""The nets in plain torch."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tests.benchmarks import nets


class LastStep(nn.LSTM):
    """An LSTM whose output is its last step."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[0][:, -1]


class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Mean(nn.Module):
    """The mean over some axes."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes)


SIMPLE: dict[nets.Simple, Callable[[], nn.Module]] = {
    nets.RELU: nn.ReLU, nets.TANH: nn.Tanh, nets.FLATTEN: nn.Flatten,
    nets.MEAN_OF_PIXELS: lambda: Mean(2, 3), nets.MEAN_OF_TOKENS: lambda: Mean(1),
}


def layer(of: Any) -> nn.Module:
    match of:
        case nets.Dense(inputs, outputs):
            return nn.Linear(inputs, outputs)
        case nets.Conv(inputs, outputs, size, stride, bias):
            return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=bias)
        case nets.BatchNorm(channels):
            return nn.BatchNorm2d(channels)
        case nets.MaxPool(size):
            return nn.MaxPool2d(size)
        case nets.LSTM(inputs, size):
            return LastStep(inputs, size, batch_first=True)
        case nets.Encoder(size, heads, hidden):
            return nn.TransformerEncoderLayer(size, heads, hidden, dropout=0.0, batch_first=True)
        case nets.Residual(body, shortcut):
            return Residual(net(body), net(shortcut))  # an empty Sequential passes x on
    return SIMPLE[of]()


def net(layers: tuple) -> nn.Sequential:
    """The described net, with torch's own initial values."""
    return nn.Sequential(*map(layer, layers))
