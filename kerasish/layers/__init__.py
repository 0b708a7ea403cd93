"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.convolutions import Conv1d, Conv2d, Conv3d
from kerasish.layers.dropout import Dropout
from kerasish.layers.flatten import Flatten
from kerasish.layers.linear import Linear
from kerasish.layers.rectifiers import LeakyReLU, ReLU
from kerasish.layers.sigmoids import Sigmoid, Tanh
from kerasish.layers.transposed_convolutions import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "ReLU",
    "Sigmoid",
    "Tanh",
]
