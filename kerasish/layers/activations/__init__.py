"""Activations, each a formula and its derivative."""

from kerasish.layers.activations.exponentials import CELU, ELU, SELU
from kerasish.layers.activations.gates import GELU, GLU, Mish, SiLU
from kerasish.layers.activations.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from kerasish.layers.activations.prelu import PReLU
from kerasish.layers.activations.rectifiers import LeakyReLU, ReLU, Threshold
from kerasish.layers.activations.shrinking import Hardshrink, Softshrink, Tanhshrink
from kerasish.layers.activations.sigmoids import Sigmoid, Softsign, Tanh
from kerasish.layers.activations.softmax import LogSoftmax, Softmax, Softmin
from kerasish.layers.activations.softplus import LogSigmoid, Softplus

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
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
