"""Modules that make lines, images and volumes larger or smaller, and pad them."""

from kerasish.layers.resizing.circularpad import CircularPad1d, CircularPad2d, CircularPad3d
from kerasish.layers.resizing.constantpad import (
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from kerasish.layers.resizing.pixelshuffle import PixelShuffle, PixelUnshuffle
from kerasish.layers.resizing.replicationpad import (
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from kerasish.layers.resizing.upsample import Upsample

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
