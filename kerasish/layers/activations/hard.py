"""Activations of straight lines between two bends: the cheap stand-ins for smooth ones."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.module import Kernels, Module

_Backward = Callable[[Tensor, Tensor], Tensor]
_hardtanh: Callable[[Tensor, float, float], Tensor] = torch.ops.aten.hardtanh.default
_hardtanh_: Callable[[Tensor, float, float], Tensor] = torch.ops.aten.hardtanh_.default
_hardtanh_backward: Callable[[Tensor, Tensor, float, float], Tensor] = (
    torch.ops.aten.hardtanh_backward.default
)
_hardsigmoid: Callable[[Tensor], Tensor] = torch.ops.aten.hardsigmoid.default
_hardsigmoid_backward: _Backward = torch.ops.aten.hardsigmoid_backward.default
_hardswish: Callable[[Tensor], Tensor] = torch.ops.aten.hardswish.default
_hardswish_backward: _Backward = torch.ops.aten.hardswish_backward.default


def _relu6_(x: Tensor) -> Tensor:
    return _hardtanh_(x, 0, 6)


def _relu6_backward(dy: Tensor, y: Tensor) -> Tensor:
    return _hardtanh_backward(dy, y, 0, 6)


class ReLU6(Module):
    """Keeps what lies between 0 and 6.

        y = min(max(x, 0), 6)

    Shapes: x and y (N, ...).
    Backward: dx = dy where 0 < y < 6, else 0.
    Source: Krizhevsky (2010), "Convolutional Deep Belief Networks on CIFAR-10".

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> ReLU6()(torch.tensor([[-1.0, 2.0, 7.0]]))
        tensor([[0., 2., 6.]])
    """

    formula: ClassVar[str] = "y = min(max(x, 0), 6)"
    backward_formula: ClassVar[str] = "dx = dy where 0 < y < 6, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (0.0, 6.0)
    kernels: ClassVar[Kernels | None] = (_relu6_, _relu6_backward)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = _relu6_(x) if overwrite else _hardtanh(x, 0, 6)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _relu6_backward(dy, y)


class Hardtanh(Module):
    """Keeps what lies between two bounds.

        y = min(max(x, min_val), max_val)

    Shapes: x and y (N, ...).
    Backward: dx = dy where min_val < y < max_val, else 0.
    Source: Collobert (2004), "Large Scale Machine Learning".
    Raises: ValueError unless min_val is below max_val.

    Args:
        min_val: the lower bound.
        max_val: the upper bound.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Hardtanh()(torch.tensor([[-3.0, 0.5, 2.0]]))
        tensor([[-1.0000,  0.5000,  1.0000]])
    """

    formula: ClassVar[str] = "y = min(max(x, min_val), max_val)"
    backward_formula: ClassVar[str] = "dx = dy where min_val < y < max_val, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> None:
        if not min_val < max_val:
            raise ValueError(
                f"Hardtanh(min_val, max_val) expects a lower and an upper bound; got {min_val!r} "
                f"and {max_val!r}. Hardtanh(-1, 1) keeps what lies between -1 and 1."
            )
        self.min_val, self.max_val = min_val, max_val
        self.y_range = (float(min_val), float(max_val))  # type: ignore[misc]

    def forward(self, x: Tensor, overwrite: bool = False) -> Tensor:
        y = (_hardtanh_ if overwrite else _hardtanh)(x, self.min_val, self.max_val)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _hardtanh_backward(dy, y, self.min_val, self.max_val)


class Hardsigmoid(Module):
    """A sigmoid of three straight lines.

        y = min(max(x + 3, 0), 6) / 6

    Shapes: x and y (N, ...).
    Backward: dx = dy / 6 where -3 < x < 3, else 0.
    Source: Howard et al. (2019), "Searching for MobileNetV3", section 5.2.

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Hardsigmoid()(torch.tensor([[-4.0, 0.0, 4.0]]))
        tensor([[0.0000, 0.5000, 1.0000]])
    """

    formula: ClassVar[str] = "y = min(max(x + 3, 0), 6) / 6"
    backward_formula: ClassVar[str] = "dx = dy / 6 where -3 < x < 3, else 0"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _hardsigmoid(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _hardsigmoid_backward(dy, x)


class Hardswish(Module):
    """SiLU with a sigmoid of three straight lines.

        y = x · min(max(x + 3, 0), 6) / 6

    Shapes: x and y (N, ...).
    Backward: dx = dy (2 x + 3) / 6 where -3 < x < 3; dy above, 0 below.
    Source: Howard et al. (2019), "Searching for MobileNetV3", section 5.2.

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Hardswish()(torch.tensor([[-1.0, 0.0, 3.0]]))
        tensor([[-0.3333,  0.0000,  3.0000]])
    """

    formula: ClassVar[str] = "y = x · min(max(x + 3, 0), 6) / 6"
    backward_formula: ClassVar[str] = "dx = dy (2 x + 3) / 6 where -3 < x < 3; dy above, 0 below"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-0.375, math.inf)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _hardswish(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _hardswish_backward(dy, x)
