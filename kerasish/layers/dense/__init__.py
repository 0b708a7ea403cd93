"""Modules in which every output sees every input, and modules from functions."""

from kerasish.layers.dense.bilinear import Bilinear
from kerasish.layers.dense.function import Lambda
from kerasish.layers.dense.linear import Linear

__all__ = [
    "Bilinear",
    "Lambda",
    "Linear",
]
