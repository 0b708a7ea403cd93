"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.attention import MultiheadAttention
from kerasish.layers.dropout import Dropout
from kerasish.layers.embedding import Embedding
from kerasish.layers.flatten import Flatten
from kerasish.layers.linear import Linear
from kerasish.layers.positions import PositionalEncoding
from kerasish.layers.rectifiers import LeakyReLU, ReLU
from kerasish.layers.sigmoids import Sigmoid, Tanh

__all__ = [
    "Dropout",
    "Embedding",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "MultiheadAttention",
    "PositionalEncoding",
    "ReLU",
    "Sigmoid",
    "Tanh",
]
