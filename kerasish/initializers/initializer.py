"""What all initializers are: numbers for a shape, drawn on the CPU, so a device changes none."""

import math

import torch
from torch import Tensor

from kerasish.configured import Configured
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
        if torch.empty(0).is_meta:  # only shapes are inferred, there is nothing to draw
            return torch.empty(shape, dtype=dtype)
        return self.numbers(shape).to(device, dtype)


def fan_in(shape: Shape) -> int:
    """How many inputs feed one output of a weight of shape (outputs, inputs, *kernel)."""
    return math.prod(shape[1:])


def fan_out(shape: Shape) -> int:
    """How many outputs one input feeds: outputs · kernel size."""
    return math.prod(shape[:1]) * math.prod(shape[2:])
