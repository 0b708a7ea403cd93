"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.dropout import Dropout
from kerasish.layers.flatten import Flatten
from kerasish.layers.gru import GRU
from kerasish.layers.linear import Linear
from kerasish.layers.lstm import LSTM
from kerasish.layers.rectifiers import LeakyReLU, ReLU
from kerasish.layers.rnn import RNN
from kerasish.layers.sigmoids import Sigmoid, Tanh

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "ReLU",
    "Sigmoid",
    "Tanh",
]
