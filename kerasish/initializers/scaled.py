"""Initial values whose variance keeps the scale of a signal on its way through the layers."""

import math

import torch
from torch import Tensor

from kerasish.checks import check_choice, check_number, check_positive
from kerasish.initializers.distributions import TruncatedNormal, normal
from kerasish.initializers.initializer import Initializer, fan_in, fan_out
from kerasish.random import stream
from kerasish.types import Shape

_CUT = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))
"""The standard deviation of N(0, 1) cut off at -2 and 2."""


class VarianceScaling(Initializer):
    """Numbers whose variance is a scale over the number of connections of a unit.

        Var w = scale / fan

    Shapes: w (outputs, inputs, *kernel); fan_in is inputs · kernel size, fan_out outputs · kernel
        size.
    Raises: ValueError for settings that are not known or out of range.

    Args:
        scale: the variance of the sum of all that comes in, above 0.
        mode: the fan: "fan_in", "fan_out", or "fan_avg", their mean.
        distribution: "truncated_normal", cut off at two standard deviations, "normal" (in Keras
            "untruncated_normal"), or "uniform".

    Example:
        >>> VarianceScaling(2.0, "fan_out", "uniform")((25, 2)).shape
        torch.Size([25, 2])
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
    ) -> None:
        who = type(self).__name__
        self.scale = check_positive(f"{who}(scale)", scale)
        self.mode = check_choice(f"{who}(mode)", mode, ("fan_in", "fan_out", "fan_avg"))
        self.distribution = check_choice(
            f"{who}(distribution)", distribution,
            ("truncated_normal", "normal", "untruncated_normal", "uniform"),
        )

    def numbers(self, shape: Shape) -> Tensor:
        std = math.sqrt(self.scale / max(self._fan(shape), 1))
        if self.distribution == "uniform":
            bound = math.sqrt(3) * std
            return torch.empty(shape).uniform_(-bound, bound, generator=stream())
        if self.distribution == "truncated_normal":
            return TruncatedNormal(0.0, std / _CUT).numbers(shape)
        return normal(shape, std)

    def _fan(self, shape: Shape) -> float:
        if self.mode == "fan_avg":
            return (fan_in(shape) + fan_out(shape)) / 2
        return fan_in(shape) if self.mode == "fan_in" else fan_out(shape)


class _Kaiming(VarianceScaling):
    """What the two forms share: the scale that makes up for what the nonlinearity takes away."""

    distribution: str

    def __init__(
        self, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
    ) -> None:
        scale = squared_gain(nonlinearity, a, type(self).__name__)
        super().__init__(scale, mode, self.distribution)
        self.a, self.nonlinearity = a, nonlinearity


class KaimingNormal(_Kaiming):
    """Normal numbers whose variance keeps the scale of a signal through ReLU layers.

        w ~ N(0, g² / fan),  g² = 2 for ReLU

    Shapes: w (outputs, inputs, *kernel); fan_in is inputs · kernel size.
    Source: He et al. (2015), "Delving Deep into Rectifiers", eq. 10, and eq. 14 for fan_out. The
        numbers are not cut off, as in torch (Keras cuts them at two standard deviations).
    Raises: ValueError for a mode or a nonlinearity that is not known.

    Args:
        a: the slope below zero that follows, for "leaky_relu".
        mode: "fan_in" keeps the scale forward, "fan_out" backward.
        nonlinearity: what follows: see `squared_gain`.

    Example:
        >>> KaimingNormal()((25, 2)).shape
        torch.Size([25, 2])
    """

    distribution = "normal"


class KaimingUniform(_Kaiming):
    """Uniform numbers of the same variance as KaimingNormal's.

        w ~ U(-b, b),  b = g √(3 / fan)

    Source: He et al. (2015), "Delving Deep into Rectifiers", eq. 10.
    Raises: ValueError for a mode or a nonlinearity that is not known.

    Args:
        a: the slope below zero that follows, for "leaky_relu".
        mode: "fan_in" keeps the scale forward, "fan_out" backward.
        nonlinearity: what follows: see `squared_gain`.

    Example:
        >>> KaimingUniform(nonlinearity="tanh")((25, 2)).shape
        torch.Size([25, 2])
    """

    distribution = "uniform"


class _Xavier(VarianceScaling):
    """What the two forms share: the compromise between forward and backward."""

    distribution: str

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_positive(f"{type(self).__name__}(gain)", gain)
        super().__init__(self.gain**2, "fan_avg", self.distribution)


class XavierNormal(_Xavier):
    """Normal numbers that keep the scale both forward and backward, where slopes are about 1.

        w ~ N(0, 2 g² / (fan_in + fan_out))

    Source: Glorot & Bengio (2010), eq. 12. Not cut off, as in torch.

    Args:
        gain: g, above 0.

    Example:
        >>> XavierNormal()((25, 2)).shape
        torch.Size([25, 2])
    """

    distribution = "normal"


class XavierUniform(_Xavier):
    """Uniform numbers of the same variance as XavierNormal's: Keras' usual weights.

        w ~ U(-b, b),  b = g √(6 / (fan_in + fan_out))

    Source: Glorot & Bengio (2010), eq. 16.

    Args:
        gain: g, above 0.

    Example:
        >>> XavierUniform()((25, 2)).shape
        torch.Size([25, 2])
    """

    distribution = "uniform"


class LeCunNormal(VarianceScaling):
    """Normal numbers that give a sum of inputs of variance 1 the variance 1: for SELU.

        w ~ N(0, 1 / fan_in)

    Source: LeCun et al. (1998), "Efficient BackProp", eq. 16; Klambauer et al. (2017). Not cut off,
        other than in Keras.

    Example:
        >>> LeCunNormal()((25, 2)).shape
        torch.Size([25, 2])
    """

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "normal")


class LeCunUniform(VarianceScaling):
    """Uniform numbers of the same variance as LeCunNormal's.

        w ~ U(-b, b),  b = √(3 / fan_in)

    Source: LeCun et al. (1998), "Efficient BackProp", eq. 16.

    Example:
        >>> LeCunUniform()((25, 2)).shape
        torch.Size([25, 2])
    """

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "uniform")


def squared_gain(nonlinearity: str, a: float = 0.0, who: str = "squared_gain") -> float:
    """By how much the variance before a nonlinearity must be larger than the one after it.

    As in torch: "linear" and "sigmoid" 1, "tanh" (5/3)², "relu" 2, "leaky_relu" 2 / (1 + a²),
    "selu" (3/4)².

    Example:
        >>> squared_gain("leaky_relu", a=1.0)
        1.0
    """
    slope = check_number(f"{who}(a)", a)
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 25 / 9, "relu": 2.0,
             "leaky_relu": 2 / (1 + slope**2), "selu": 9 / 16}
    return gains[check_choice(f"{who}(nonlinearity)", nonlinearity, gains)]
