"""The nets whose memory is planned and measured."""

from typing import Any

import torch

from kerasish import Model, Sequential
from kerasish.containers import Residual
from kerasish.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    MaxPool2d,
    PositionalEncoding,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.module import Module


def compiled(*layers: Module, optimizer: Any = "sgd", loss: str = "cross_entropy") -> Model:
    model = Model(Sequential(*layers), device="cpu")
    model.compile(optimizer, loss, metrics=["accuracy"] if loss == "cross_entropy" else None)
    return model


def mlp(optimizer: Any = "sgd") -> Model:
    return compiled(Linear(256), ReLU(), Dropout(0.2), Linear(128), ReLU(), Linear(10),
                    optimizer=optimizer)


def conv_net(optimizer: Any = "sgd") -> Model:
    body = Sequential(Conv2d(16, kernel_size=3, padding=1), BatchNorm2d(), ReLU(),
                      Conv2d(16, kernel_size=3, padding=1), BatchNorm2d())
    return compiled(Conv2d(16, kernel_size=3, padding=1), BatchNorm2d(), ReLU(), Residual(body),
                    ReLU(), MaxPool2d(2), Conv2d(32, kernel_size=3), BatchNorm2d(), ReLU(),
                    MaxPool2d(2), Flatten(), Linear(10), optimizer=optimizer)


def transformer(optimizer: Any = "sgd", dropout: float = 0.1) -> Model:
    layer = TransformerEncoderLayer(nhead=4, dim_feedforward=64, dropout=dropout)
    return compiled(Embedding(500, 32), PositionalEncoding(), TransformerEncoder(layer, 2),
                    Flatten(), Linear(10), optimizer=optimizer)


def small() -> Model:
    return compiled(Linear(3, 4), Tanh(), Linear(2), loss="mse")


def batch_for(model: Model, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.randint(10, (size,))
    if isinstance(model.module[0], Embedding):
        return torch.randint(500, (size, 24)), y
    return torch.randn(size, *((784,) if isinstance(model.module[0], Linear) else (3, 24, 24))), y
