"""What norms share: the weight and the bias that come after normalizing, where they are wanted."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number
from kerasish.initializers import zeros
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.types import Device, Shape

Kernel = Callable[..., tuple[Tensor, Tensor, Tensor]]
"""Answers y, μ and 1 / √(σ² + ε)."""

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""dx, dγ and dβ, None for what is not wanted."""

BackwardKernel = Callable[..., Gradients]

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def dense(x: Tensor) -> Tensor:
    """The numbers without gaps in memory, as kernels read them fast; channels-last stays so."""
    if x.is_contiguous() or (x.dim() in _CHANNELS_LAST
                             and x.is_contiguous(memory_format=_CHANNELS_LAST[x.dim()])):
        return x
    return x.contiguous()


def laid_like(x: Tensor, dy: Tensor) -> Tensor:
    """Lays dy down in memory as x lies, for kernels that read both in one order."""
    return dy if dy.stride() == x.stride() else torch.empty_like(x).copy_(dy)


class Affine(Module):
    """Base of norms: weight γ, ones at first, and bias β, zeros at first, or none of them.

    A subclass says in `check` which shapes it takes, calls `make_affine` in `build`, passes
    `scales()` to its forward kernel and `wanted` to its backward kernel, and hands the gradients
    that come back to `add_gradients`.
    """

    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, device: Device | None, dtype: torch.dtype | None, **per_parameter: Any
    ) -> None:
        super().__init__(**per_parameter)
        self.device, self.dtype = device, dtype

    def check(self, shape: Shape) -> None:
        """Refuses samples of a shape that the module does not take.

        Raises: ValueError with the shape.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a check(shape) method. Write it.")

    def checked_eps(self, eps: float) -> float:
        """The number that keeps the root away from zero, if it is one."""
        who = f"{type(self).__name__}(eps)"
        return check_number(who, eps, 0, fix="1e-5 is its usual value.")

    def checked_channels(self, name: str, count: int | None) -> int | None:
        """A number of channels that may be left out, if it is one."""
        fix = "Leave it out, and it is learned at build."
        who = f"{type(self).__name__}({name})"
        return None if count is None else check_count(who, count, 1, fix)

    def check_channels(self, expected: int | None, channels: int) -> None:
        """Refuses samples with another number of channels."""
        if expected not in (None, channels):
            raise ValueError(f"{self!r} expects {expected} channels on axis 1 of x; got {channels}."
                             f" Give it such data, or make a norm for {channels}.")

    def make_affine(self, shape: Shape, weight: bool, bias: bool) -> None:
        """Makes the weight, and the bias beside it; neither decays."""
        self.weight = self.bias = None
        if weight:
            ones = zeros(shape, self.device, self.dtype).add_(1)
            self.weight = Parameter(ones, decay=False)
        if weight and bias:
            self.bias = Parameter(zeros(shape, self.device, self.dtype), decay=False)

    def scales(self) -> tuple[Tensor | None, Tensor | None]:
        """The values of weight and bias, None for one that there is not."""
        weight, bias = self.weight, self.bias
        return None if weight is None else weight.data, None if bias is None else bias.data

    def wanted(self, need_dx: bool) -> list[bool]:
        """Which of dx, dγ and dβ are to be computed."""
        weight, bias = self.weight, self.bias
        return [need_dx, weight is not None and weight.trainable,
                bias is not None and bias.trainable]

    def add_gradients(self, weight: Tensor | None, bias: Tensor | None) -> None:
        """Adds dγ and dβ to what is there; None adds nothing."""
        if self.weight is not None and weight is not None:
            self.weight.grad.add_(weight)
        if self.bias is not None and bias is not None:
            self.bias.grad.add_(bias)

    def mended(self, x: Tensor) -> Tensor:
        """Integers as floats; raises what is wrong with the shape of any other x."""
        if not self.built:
            raise RuntimeError(
                f"{self!r}.forward(x) expects a module that is built; got one that is not. Call "
                "build(shape) first, or the module itself, which builds it."
            )
        self.check(tuple(x.shape[1:]))
        if x.is_floating_point():
            return x
        return x.to(torch.get_default_dtype() if self.weight is None else self.weight.data.dtype)
