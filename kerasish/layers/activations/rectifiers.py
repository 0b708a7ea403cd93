"""Activations with a kink below which little or nothing passes."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.module import Kernels, Module

_threshold_backward: Callable[[Tensor, Tensor, float], Tensor] = (
    torch.ops.aten.threshold_backward.default._op  # without a call around it
)
_threshold_backward_: Callable[..., Tensor] = torch.ops.aten.threshold_backward.grad_input
_threshold: Callable[[Tensor, float, float], Tensor] = torch.ops.aten.threshold.default
_leaky_relu: Callable[[Tensor, float], Tensor] = torch.ops.aten.leaky_relu.default
_leaky_relu_: Callable[[Tensor, float], Tensor] = torch.ops.aten.leaky_relu_.default
_leaky_relu_backward: Callable[[Tensor, Tensor, float, bool], Tensor] = (
    torch.ops.aten.leaky_relu_backward.default
)


def _relu_backward(dy: Tensor, y: Tensor) -> Tensor:
    return _threshold_backward(dy, y, 0)


def _relu_backward_(dy: Tensor, y: Tensor) -> Tensor:
    """The same, with dx written over dy."""
    return _threshold_backward_(dy, y, 0, grad_input=dy)


class ReLU(Module):
    """Keeps what is positive.

        y = max(x, 0)

    Shapes: x and y (N, ...).
    Backward: dx = dy where y > 0, else 0 (at x = 0, too).

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> ReLU()(torch.tensor([[-1.0, 2.0]]))
        tensor([[0., 2.]])
    """

    formula: ClassVar[str] = "y = max(x, 0)"
    backward_formula: ClassVar[str] = "dx = dy where y > 0, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (0.0, math.inf)

    kernels: ClassVar[Kernels | None] = (torch.relu_, _relu_backward)
    overwriting_backward: ClassVar[Callable[[Tensor, Tensor], Tensor]] = _relu_backward_
    """The second kernel in a form that writes dx over dy, for a container that may."""

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = torch.relu_(x) if overwrite else torch.relu(x)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor, overwrite: bool = False) -> Tensor:
        (y,) = self.saved_tensors()
        if overwrite and dy.stride() == y.stride():  # a gradient spread out may lie in one place
            return _relu_backward_(dy, y)
        return _relu_backward(dy, y)


class LeakyReLU(Module):
    """Keeps what is positive and lets a little of the rest through.

        y = x where x > 0, else slope · x

    Shapes: x and y (N, ...).
    Backward: dx = dy where y > 0, else slope · dy; y has the sign of x, since slope ≥ 0.
    Source: Maas et al. (2013), "Rectifier Nonlinearities Improve Neural Network Acoustic Models".
    Raises: ValueError if negative_slope is below 0.

    Args:
        negative_slope: slope where x is negative, at least 0.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> LeakyReLU(0.5)(torch.tensor([[-1.0, 2.0]]))
        tensor([[-0.5000,  2.0000]])
    """

    formula: ClassVar[str] = "y = x where x > 0, else slope · x"
    backward_formula: ClassVar[str] = "dx = dy where y > 0, else slope · dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = check_number("LeakyReLU(negative_slope)", negative_slope, 0,
                                           fix="Its usual value is 0.01.")

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        leaky_relu = _leaky_relu_ if overwrite else _leaky_relu
        y = leaky_relu(x, self.negative_slope)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _leaky_relu_backward(dy, y, self.negative_slope, True)


class Threshold(Module):
    """Keeps what is above a threshold and puts a value in place of the rest.

        y = x where x > threshold, else value

    Shapes: x and y (N, ...).
    Backward: dx = dy where x > threshold, else 0. It asks x: value may lie above the threshold.
    Raises: ValueError if threshold or value is no finite number.

    Args:
        threshold: above it x is kept.
        value: stands in place of what is not.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Threshold(1.0, -5.0)(torch.tensor([[0.5, 2.0]]))
        tensor([[-5.,  2.]])
    """

    formula: ClassVar[str] = "y = x where x > threshold, else value"
    backward_formula: ClassVar[str] = "dx = dy where x > threshold, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        fix = "Threshold(0, 0) is ReLU."
        self.threshold = check_number("Threshold(threshold)", threshold, fix=fix)
        self.value = check_number("Threshold(value)", value, fix=fix)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _threshold(x, self.threshold, self.value)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _threshold_backward(dy, x, self.threshold)
