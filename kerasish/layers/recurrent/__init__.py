"""Layers that walk along sequences."""

from kerasish.layers.recurrent.gru import GRU
from kerasish.layers.recurrent.lstm import LSTM
from kerasish.layers.recurrent.rnn import RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
]
