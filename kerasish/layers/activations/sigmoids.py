"""Activations that saturate on both sides. Their backward passes read y, never x."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.module import Kernels, Module

_Backward = Callable[[Tensor, Tensor], Tensor]
_tanh_backward: _Backward = torch.ops.aten.tanh_backward.default._op  # without a call around it
_sigmoid_backward: _Backward = torch.ops.aten.sigmoid_backward.default._op


def _softsign_(x: Tensor) -> Tensor:
    return x.div_(x.abs().add_(1))


def _softsign_backward(dy: Tensor, y: Tensor) -> Tensor:
    slope = y.abs().neg_().add_(1).square_()
    return slope.mul_(dy)


class Tanh(Module):
    """Squeezes into (-1, 1).

        y = tanh(x)

    Shapes: x and y (N, ...).
    Backward: dx = dy (1 - y²).

    Example:
        >>> Tanh()(torch.zeros(1, 1))
        tensor([[0.]])
    """

    formula: ClassVar[str] = "y = tanh(x)"
    backward_formula: ClassVar[str] = "dx = dy (1 - y²)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    kernels: ClassVar[Kernels | None] = (torch.tanh_, _tanh_backward)

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = torch.tanh_(x) if overwrite else torch.tanh(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _tanh_backward(dy, y)


class Sigmoid(Module):
    """Squeezes into (0, 1).

        y = 1 / (1 + exp(-x))

    Shapes: x and y (N, ...).
    Backward: dx = dy y (1 - y).

    Example:
        >>> Sigmoid()(torch.zeros(1, 1))
        tensor([[0.5000]])
    """

    formula: ClassVar[str] = "y = 1 / (1 + exp(-x))"
    backward_formula: ClassVar[str] = "dx = dy y (1 - y)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    kernels: ClassVar[Kernels | None] = (torch.sigmoid_, _sigmoid_backward)

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = torch.sigmoid_(x) if overwrite else torch.sigmoid(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _sigmoid_backward(dy, y)


class Softsign(Module):
    """Squeezes into (-1, 1), and more slowly than Tanh does.

        y = x / (1 + |x|)

    Shapes: x and y (N, ...).
    Backward: dx = dy (1 - |y|)², for 1 - |y| = 1 / (1 + |x|).
    Source: Glorot and Bengio (2010), "Understanding the Difficulty of Training Deep Feedforward
        Neural Networks", section 3.

    Example:
        >>> Softsign()(torch.tensor([[-1.0, 3.0]]))
        tensor([[-0.5000,  0.7500]])
    """

    formula: ClassVar[str] = "y = x / (1 + |x|)"
    backward_formula: ClassVar[str] = "dx = dy (1 - |y|)²"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-1.0, 1.0)
    kernels: ClassVar[Kernels | None] = (_softsign_, _softsign_backward)

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = _softsign_(x) if overwrite else x / x.abs().add_(1)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _softsign_backward(dy, y)
