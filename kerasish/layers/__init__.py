"""Leaf modules: each a formula and its derivative, one idea a file."""

from kerasish.layers.dropout import Dropout
from kerasish.layers.exponentials import CELU, ELU, SELU
from kerasish.layers.flatten import Flatten
from kerasish.layers.gates import GELU, GLU, Mish, SiLU
from kerasish.layers.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from kerasish.layers.linear import Linear
from kerasish.layers.prelu import PReLU
from kerasish.layers.rectifiers import LeakyReLU, ReLU, Threshold
from kerasish.layers.shrinking import Hardshrink, Softshrink, Tanhshrink
from kerasish.layers.sigmoids import Sigmoid, Softsign, Tanh
from kerasish.layers.softmax import LogSoftmax, Softmax, Softmin
from kerasish.layers.softplus import LogSigmoid, Softplus

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Dropout",
    "Flatten",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
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
]
