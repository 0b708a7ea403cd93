"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.alpha_dropout import AlphaDropout
from kerasish.layers.attention import MultiheadAttention
from kerasish.layers.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from kerasish.layers.bilinear import Bilinear
from kerasish.layers.channel_dropout import Dropout1d, Dropout2d, Dropout3d
from kerasish.layers.dropout import Dropout
from kerasish.layers.embedding import Embedding
from kerasish.layers.exponentials import CELU, ELU, SELU
from kerasish.layers.flatten import Flatten
from kerasish.layers.function import Lambda
from kerasish.layers.gates import GELU, GLU, Mish, SiLU
from kerasish.layers.gaussian_noise import GaussianNoise
from kerasish.layers.group_norm import GroupNorm
from kerasish.layers.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from kerasish.layers.identity import Identity
from kerasish.layers.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from kerasish.layers.layer_norm import LayerNorm
from kerasish.layers.linear import Linear
from kerasish.layers.local_response_norm import LocalResponseNorm
from kerasish.layers.permute import Permute
from kerasish.layers.positions import PositionalEncoding
from kerasish.layers.prelu import PReLU
from kerasish.layers.rectifiers import LeakyReLU, ReLU, Threshold
from kerasish.layers.reshape import Reshape, Unflatten
from kerasish.layers.rms_norm import RMSNorm
from kerasish.layers.shrinking import Hardshrink, Softshrink, Tanhshrink
from kerasish.layers.sigmoids import Sigmoid, Softsign, Tanh
from kerasish.layers.softmax import LogSoftmax, Softmax, Softmin
from kerasish.layers.softplus import LogSigmoid, Softplus
from kerasish.layers.transformers import (
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "AlphaDropout",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GroupNorm",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "Lambda",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "Permute",
    "PositionalEncoding",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
]
