"""Initial values of parameters. They are always drawn on the CPU, so a device changes no number."""

import math

import torch
from torch import Tensor

from kerasish.random import stream
from kerasish.types import Device, Shape


def fan_in(shape: Shape) -> int:
    """How many inputs feed one output of a weight of shape (outputs, inputs, *kernel)."""
    return math.prod(shape[1:])


def kaiming_normal(
    shape: Shape, device: Device | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """Normal numbers whose variance keeps the scale of a signal through ReLU layers.

        w ~ N(0, 2 / fan_in)

    Shapes: w (outputs, inputs, *kernel); fan_in is inputs · kernel size.
    Source: He et al. (2015), "Delving Deep into Rectifiers", eq. 10.

    Example:
        >>> kaiming_normal((25, 2)).shape
        torch.Size([25, 2])
    """
    standard_deviation = math.sqrt(2 / max(fan_in(shape), 1))
    numbers = torch.empty(shape).normal_(0.0, standard_deviation, generator=stream())
    return _placed(numbers, device, dtype)


def zeros(
    shape: Shape, device: Device | None = None, dtype: torch.dtype | None = None
) -> Tensor:
    """Zeros: the usual start of a bias."""
    return _placed(torch.zeros(shape), device, dtype)


def _placed(numbers: Tensor, device: Device | None, dtype: torch.dtype | None) -> Tensor:
    """On that device, in that type; where only shapes are inferred there is nothing to move."""
    return numbers.to(None if numbers.is_meta else device, dtype)
