"""Noise against overfitting."""

from kerasish.layers.noise.alpha_dropout import AlphaDropout
from kerasish.layers.noise.channel_dropout import Dropout1d, Dropout2d, Dropout3d
from kerasish.layers.noise.dropout import Dropout
from kerasish.layers.noise.gaussian_noise import GaussianNoise

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "GaussianNoise",
]
