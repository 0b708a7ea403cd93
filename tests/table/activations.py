"""Activations."""

from torch import nn

from kerasish.layers import LeakyReLU, ReLU, Sigmoid, Tanh
from tests.table.row import Row

ROWS = [
    Row("ReLU", ReLU, (5,), nn.ReLU),
    Row("ReLU on images", lambda: ReLU(inplace=True), (2, 3, 4), nn.ReLU),
    Row("LeakyReLU", LeakyReLU, (5,), nn.LeakyReLU),
    Row("LeakyReLU of slope 0", lambda: LeakyReLU(0.0), (5,), lambda: nn.LeakyReLU(0.0)),
    Row("LeakyReLU of slope 0.3", lambda: LeakyReLU(0.3), (2, 3, 4), lambda: nn.LeakyReLU(0.3)),
    Row("LeakyReLU of slope 1", lambda: LeakyReLU(1), (5,), lambda: nn.LeakyReLU(1)),
    Row("LeakyReLU of slope 2", lambda: LeakyReLU(negative_slope=2.0), (5,),
        lambda: nn.LeakyReLU(2.0)),
    Row("Tanh", Tanh, (5,), nn.Tanh),
    Row("Tanh on images", Tanh, (2, 3, 4), nn.Tanh),
    Row("Sigmoid", Sigmoid, (5,), nn.Sigmoid),
    Row("Sigmoid on images", Sigmoid, (2, 3, 4), nn.Sigmoid),
]

EQUIVALENT = {
    r"LeakyReLU\.backward: .*, True\) \+ .*, False\)$":
        "y has the sign of x, since the slope is not negative: both are asked for y > 0 alone",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
