"""Training that comes to numbers that are not finite, in the ways that it may."""

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.layers import Linear, Tanh
from kerasish.losses import MSE
from kerasish.module import Module
from kerasish.optimizers import Adam

NAN, INF = float("nan"), float("inf")


class Breaks(Module):
    """The identity, but its gradient is another one from a given call on."""

    returns_view = False

    def __init__(self, value: float, after: int = 0) -> None:
        self.value, self.left = value, after

    def forward(self, x):
        return x * 1

    def backward(self, dy):
        self.left -= 1
        return dy * (self.value if self.left < 0 else 1.0)


class Log(Module):
    """The logarithm of what may be negative."""

    formula = "y = log(x)"

    def forward(self, x):
        self.save_for_backward(x)
        return x.log()

    def backward(self, dy):
        (x,) = self.saved_tensors()
        return dy / x


class Odd(MSE):
    """A loss that is what it is told, with good gradients."""

    def __init__(self, value: float, after: int) -> None:
        super().__init__()
        self.value, self.left = value, after

    def forward(self, y_pred, y_true, sample_weight=None):
        self.left -= 1
        loss = super().forward(y_pred, y_true, sample_weight)
        return loss * self.value if self.left < 0 else loss


def compiled(*modules: Module, optimizer=None, loss="mse") -> Model:
    model = Model(*(modules or (Linear(3), Tanh(), Linear(1))), device="cpu")
    model.compile(optimizer or Adam(0.01, weight_decay=0.1), loss)
    return model


def data(bad: float | None = None, batch: int = 3):
    """Eight batches of two; one of them holds a bad number."""
    x = torch.linspace(-1, 1, 16).view(16, 1)
    if bad is not None:
        x[2 * batch] = bad
    return x, torch.linspace(-1, 1, 16).view(16, 1)


def fit(model: Model, *callbacks: Callback, bad: float | None = NAN, **arguments):
    options = {"epochs": 3, "batch_size": 2, "shuffle": False, "verbose": 0, "seed": 0} | arguments
    return model.fit(*data(bad), callbacks=list(callbacks), **options)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr()
    assert lines.out == "" and len(lines.err.splitlines()) == 1
    return lines.err
