"""Activations by name, for modules that take one as an argument: `activation="relu"`."""

from typing import Any

from kerasish.layers.activations.exponentials import CELU, ELU, SELU
from kerasish.layers.activations.gates import GELU, GLU, Mish, SiLU
from kerasish.layers.activations.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from kerasish.layers.activations.prelu import PReLU
from kerasish.layers.activations.rectifiers import LeakyReLU, ReLU
from kerasish.layers.activations.shrinking import Hardshrink, Softshrink, Tanhshrink
from kerasish.layers.activations.sigmoids import Sigmoid, Softsign, Tanh
from kerasish.layers.activations.softmax import LogSoftmax, Softmax, Softmin
from kerasish.layers.activations.softplus import LogSigmoid, Softplus
from kerasish.layers.shaping.identity import Identity
from kerasish.module import Module
from kerasish.registry import Registry

_named = Registry(Module, "activation", "activation='relu'")
_named.add(CELU)
_named.add(ELU)
_named.add(GELU)
_named.add(GLU)
_named.add(Hardshrink, "hard_shrink")
_named.add(Hardsigmoid, "hard_sigmoid")
_named.add(Hardswish, "hard_swish", "hard_silu")
_named.add(Hardtanh, "hard_tanh")
_named.add(Identity, "linear")
_named.add(LeakyReLU, "leaky_relu")
_named.add(LogSigmoid)
_named.add(LogSoftmax)
_named.add(Mish)
_named.add(PReLU, "prelu")
_named.add(ReLU, "relu")
_named.add(ReLU6, "relu6")
_named.add(SELU)
_named.add(SiLU, "silu", "swish")
_named.add(Sigmoid)
_named.add(Softmax)
_named.add(Softmin)
_named.add(Softplus)
_named.add(Softshrink, "soft_shrink")
_named.add(Softsign)
_named.add(Tanh)
_named.add(Tanhshrink, "tanh_shrink")


def activation(name: Any) -> Module:
    """A new activation of that name, Keras' or torch's, with its defaults; or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> activation("gelu"), activation("leaky_relu")
        (GELU(), LeakyReLU())
    """
    return _named.get(name)
