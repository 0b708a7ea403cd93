"""Convolutions and transposed convolutions of lines, images and volumes."""

from kerasish.layers.convolutions.plain import Conv1d, Conv2d, Conv3d
from kerasish.layers.convolutions.transposed import (
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
]
