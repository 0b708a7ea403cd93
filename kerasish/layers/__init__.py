"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.adaptivepool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from kerasish.layers.alpha_dropout import AlphaDropout
from kerasish.layers.attention import MultiheadAttention
from kerasish.layers.avgpool import AvgPool1d, AvgPool2d, AvgPool3d
from kerasish.layers.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from kerasish.layers.bilinear import Bilinear
from kerasish.layers.channel_dropout import Dropout1d, Dropout2d, Dropout3d
from kerasish.layers.circularpad import CircularPad1d, CircularPad2d, CircularPad3d
from kerasish.layers.constantpad import (
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from kerasish.layers.convolutions import Conv1d, Conv2d, Conv3d
from kerasish.layers.dropout import Dropout
from kerasish.layers.embedding import Embedding
from kerasish.layers.exponentials import CELU, ELU, SELU
from kerasish.layers.flatten import Flatten
from kerasish.layers.function import Lambda
from kerasish.layers.gates import GELU, GLU, Mish, SiLU
from kerasish.layers.gaussian_noise import GaussianNoise
from kerasish.layers.globalpool import GlobalAvgPool, GlobalMaxPool
from kerasish.layers.group_norm import GroupNorm
from kerasish.layers.gru import GRU
from kerasish.layers.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from kerasish.layers.identity import Identity
from kerasish.layers.instance_norm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from kerasish.layers.layer_norm import LayerNorm
from kerasish.layers.linear import Linear
from kerasish.layers.local_response_norm import LocalResponseNorm
from kerasish.layers.lstm import LSTM
from kerasish.layers.maxpool import MaxPool1d, MaxPool2d, MaxPool3d
from kerasish.layers.permute import Permute
from kerasish.layers.pixelshuffle import PixelShuffle, PixelUnshuffle
from kerasish.layers.positions import PositionalEncoding
from kerasish.layers.prelu import PReLU
from kerasish.layers.rectifiers import LeakyReLU, ReLU, Threshold
from kerasish.layers.replicationpad import (
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
)
from kerasish.layers.reshape import Reshape, Unflatten
from kerasish.layers.rms_norm import RMSNorm
from kerasish.layers.rnn import RNN
from kerasish.layers.shrinking import Hardshrink, Softshrink, Tanhshrink
from kerasish.layers.sigmoids import Sigmoid, Softsign, Tanh
from kerasish.layers.softmax import LogSoftmax, Softmax, Softmin
from kerasish.layers.softplus import LogSigmoid, Softplus
from kerasish.layers.transformers import (
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.layers.transposed_convolutions import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from kerasish.layers.upsample import Upsample

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AlphaDropout",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Bilinear",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool",
    "GlobalMaxPool",
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
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "Permute",
    "PixelShuffle",
    "PixelUnshuffle",
    "PositionalEncoding",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
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
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
