"""Every loss of the table trains a model: its targets are taken, and it goes down."""

import pytest
import torch
from torch import Tensor

from kerasish import Model, Module, Parameter
from kerasish.optimizers import SGD
from kerasish.types import Shape
from tests.table import LOSSES, LossRow


class Shift(Module):
    """y = x + b, for any shape."""

    def build(self, shape: Shape) -> Shape:
        self.bias = Parameter(torch.zeros(shape))
        return shape

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return x + self.bias.data

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        self.bias.grad.add_(dy.sum(0))
        return dy


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.id)
def test_a_fit_lowers_the_loss(row: LossRow) -> None:
    x, y = row.batch(7)
    model = Model(Shift(), device="cpu")
    model.compile(optimizer=SGD(1e-3), loss=row.make())
    first, second, third = model.fit(x, y, batch_size=7, epochs=3, verbose=0).history["loss"]
    assert first == pytest.approx(float(row.make()(x, y)), rel=1e-4)
    assert first > second > third
