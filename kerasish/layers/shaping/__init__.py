"""Modules that change shapes alone."""

from kerasish.layers.shaping.flatten import Flatten
from kerasish.layers.shaping.identity import Identity
from kerasish.layers.shaping.permute import Permute
from kerasish.layers.shaping.reshape import Reshape, Unflatten

__all__ = [
    "Flatten",
    "Identity",
    "Permute",
    "Reshape",
    "Unflatten",
]
