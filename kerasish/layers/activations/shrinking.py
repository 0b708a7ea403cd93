"""Activations that pull x towards zero: what is small counts as noise."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.module import Module
from kerasish.types import Shape

_hardshrink: Callable[[Tensor, float], Tensor] = torch.ops.aten.hardshrink.default
_hardshrink_out: Callable[..., Tensor] = torch.ops.aten.hardshrink.out
_hardshrink_backward: Callable[[Tensor, Tensor, float], Tensor] = (
    torch.ops.aten.hardshrink_backward.default
)
_softshrink: Callable[[Tensor, float], Tensor] = torch.ops.aten.softshrink.default
_softshrink_out: Callable[..., Tensor] = torch.ops.aten.softshrink.out
_softshrink_backward: Callable[[Tensor, Tensor, float], Tensor] = (
    torch.ops.aten.softshrink_backward.default
)


class Tanhshrink(Module):
    """What tanh takes away.

        y = x - tanh(x)

    Shapes: x and y (N, ...).
    Backward: dx = dy tanh²(x), from the tanh that forward has computed.

    Example:
        >>> Tanhshrink()(torch.tensor([[0.0, 10.0]]))
        tensor([[0., 9.]])
    """

    formula: ClassVar[str] = "y = x - tanh(x)"
    backward_formula: ClassVar[str] = "dx = dy tanh²(x)"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def forward(self, x: Tensor) -> Tensor:
        tanh = torch.tanh(x)
        self.save_for_backward(tanh)
        return x - tanh

    def backward(self, dy: Tensor) -> Tensor:
        (tanh,) = self.saved_tensors()
        dx: Tensor = dy * tanh.square()
        return dx

    def own_bytes(self, shape: Shape) -> int:
        return torch.Size(shape).numel() * torch.get_default_dtype().itemsize


class Hardshrink(Module):
    """Keeps what is larger than lambd, on either side.

        y = x where |x| > lambd, else 0

    Shapes: x and y (N, ...).
    Backward: dx = dy where |y| > lambd, else 0: what was kept is still as large.
    Raises: ValueError if lambd is below 0.

    Args:
        lambd: up to where x counts as noise, at least 0 (`lambda` is a word of Python).

    Example:
        >>> Hardshrink()(torch.tensor([[-1.0, 0.3, 2.0]]))
        tensor([[-1.,  0.,  2.]])
    """

    formula: ClassVar[str] = "y = x where |x| > lambd, else 0"
    backward_formula: ClassVar[str] = "dx = dy where |y| > lambd, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = check_number("Hardshrink(lambd)", lambd, 0, fix="0.5 is the usual value.")

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        lambd = self.lambd
        y = _hardshrink_out(x, lambd, out=x) if overwrite else _hardshrink(x, lambd)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _hardshrink_backward(dy, y, self.lambd)


class Softshrink(Module):
    """Moves x towards zero by lambd, and no further than zero.

        y = sign(x) max(|x| - lambd, 0)

    Shapes: x and y (N, ...).
    Backward: dx = dy where y ≠ 0, else 0.
    Source: Donoho (1995), "De-noising by Soft-Thresholding".
    Raises: ValueError if lambd is below 0.

    Args:
        lambd: how far, at least 0 (`lambda` is a word of Python).

    Example:
        >>> Softshrink()(torch.tensor([[-1.0, 0.3, 2.0]]))
        tensor([[-0.5000,  0.0000,  1.5000]])
    """

    formula: ClassVar[str] = "y = sign(x) max(|x| - lambd, 0)"
    backward_formula: ClassVar[str] = "dx = dy where y ≠ 0, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = check_number("Softshrink(lambd)", lambd, 0, fix="0.5 is the usual value.")

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        lambd = self.lambd
        y = _softshrink_out(x, lambd, out=x) if overwrite else _softshrink(x, lambd)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _softshrink_backward(dy, y, 0)
