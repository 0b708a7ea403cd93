"""Initial values of parameters. They are always drawn on the CPU, so a device changes no number."""

import math
from typing import Any

import torch
from torch import Tensor

from kerasish.configured import Configured
from kerasish.random import stream
from kerasish.registry import Registry
from kerasish.types import Device, Shape


class Initializer(Configured):
    """Base of initializers: numbers for a shape.

    A subclass writes `numbers(shape)`, in torch's default type, on the CPU, drawn with
    `generator=stream()`.
    """

    def numbers(self, shape: Shape) -> Tensor:
        """The values, on the CPU."""
        raise NotImplementedError(f"{type(self).__name__} needs a numbers(shape) method. Write it.")

    def __call__(
        self, shape: Shape, device: Device | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The values on that device, in that type."""
        numbers = self.numbers(shape)  # where only shapes are inferred there is nothing to move
        return numbers.to(None if numbers.is_meta else device, dtype)


def fan_in(shape: Shape) -> int:
    """How many inputs feed one output of a weight of shape (outputs, inputs, *kernel)."""
    return math.prod(shape[1:])


class KaimingNormal(Initializer):
    """Normal numbers whose variance keeps the scale of a signal through ReLU layers.

        w ~ N(0, 2 / fan_in)

    Shapes: w (outputs, inputs, *kernel); fan_in is inputs · kernel size.
    Source: He et al. (2015), "Delving Deep into Rectifiers", eq. 10.

    Example:
        >>> KaimingNormal()((25, 2)).shape
        torch.Size([25, 2])
    """

    def numbers(self, shape: Shape) -> Tensor:
        standard_deviation = math.sqrt(2 / max(fan_in(shape), 1))
        return torch.empty(shape).normal_(0.0, standard_deviation, generator=stream())


class Zeros(Initializer):
    """Zeros: the usual start of a bias."""

    def numbers(self, shape: Shape) -> Tensor:
        return torch.zeros(shape)


kaiming_normal = KaimingNormal()
zeros = Zeros()

_named = Registry(Initializer, "weight_initializer", "weight_initializer='kaiming_normal'")
_named.add(KaimingNormal, "he_normal")
_named.add(Zeros)


def get(initializer: Any) -> Initializer:
    """The initializer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("zeros")
        Zeros()
    """
    return _named.get(initializer)
