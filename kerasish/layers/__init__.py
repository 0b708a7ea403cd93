"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.adaptivepool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from kerasish.layers.avgpool import AvgPool1d, AvgPool2d, AvgPool3d
from kerasish.layers.circularpad import CircularPad1d, CircularPad2d, CircularPad3d
from kerasish.layers.constantpad import (
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from kerasish.layers.dropout import Dropout
from kerasish.layers.flatten import Flatten
from kerasish.layers.globalpool import GlobalAvgPool, GlobalMaxPool
from kerasish.layers.linear import Linear
from kerasish.layers.maxpool import MaxPool1d, MaxPool2d, MaxPool3d
from kerasish.layers.pixelshuffle import PixelShuffle, PixelUnshuffle
from kerasish.layers.rectifiers import LeakyReLU, ReLU
from kerasish.layers.replicationpad import (
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from kerasish.layers.sigmoids import Sigmoid, Tanh
from kerasish.layers.upsample import Upsample

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "LeakyReLU",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReLU",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Sigmoid",
    "Tanh",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
