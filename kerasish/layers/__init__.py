"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from kerasish.layers.dropout import Dropout
from kerasish.layers.flatten import Flatten
from kerasish.layers.group_norm import GroupNorm
from kerasish.layers.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from kerasish.layers.layer_norm import LayerNorm
from kerasish.layers.linear import Linear
from kerasish.layers.local_response_norm import LocalResponseNorm
from kerasish.layers.rectifiers import LeakyReLU, ReLU
from kerasish.layers.rms_norm import RMSNorm
from kerasish.layers.sigmoids import Sigmoid, Tanh

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Dropout",
    "Flatten",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "RMSNorm",
    "ReLU",
    "Sigmoid",
    "Tanh",
]
