"""Initial values of parameters. They are always drawn on the CPU, so a device changes no number."""

from typing import Any

from kerasish.initializers.constants import Constant, Identity, Ones, Zeros
from kerasish.initializers.distributions import Normal, TruncatedNormal, Uniform
from kerasish.initializers.initializer import Initializer, fan_in, fan_out
from kerasish.initializers.orthogonal import Orthogonal
from kerasish.initializers.scaled import (
    KaimingNormal,
    KaimingUniform,
    LeCunNormal,
    LeCunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
    squared_gain,
)
from kerasish.registry import Registry

__all__ = [
    "Constant",
    "Identity",
    "Initializer",
    "KaimingNormal",
    "KaimingUniform",
    "LeCunNormal",
    "LeCunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "XavierNormal",
    "XavierUniform",
    "Zeros",
    "fan_in",
    "fan_out",
    "get",
    "kaiming_normal",
    "squared_gain",
    "zeros",
]

kaiming_normal = KaimingNormal()
zeros = Zeros()

_named = Registry(Initializer, "weight_initializer", "weight_initializer='kaiming_normal'")
_named.add(KaimingNormal, "he_normal")
_named.add(KaimingUniform, "he_uniform")
_named.add(XavierNormal, "glorot_normal")
_named.add(XavierUniform, "glorot_uniform")
_named.add(LeCunNormal, "lecun_normal")
_named.add(LeCunUniform, "lecun_uniform")
_named.add(VarianceScaling)
_named.add(Orthogonal)
_named.add(Normal, "random_normal")
_named.add(Uniform, "random_uniform")
_named.add(TruncatedNormal, "trunc_normal")
_named.add(Constant)
_named.add(Identity, "eye")
_named.add(Ones)
_named.add(Zeros)


def get(initializer: Any) -> Initializer:
    """The initializer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("zeros")
        Zeros()
    """
    return _named.get(initializer)
