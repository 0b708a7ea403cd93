"""From scores to shares of 1 along an axis. Their backward passes read y, never x."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.axes import check_axis, place_of_axis
from kerasish.module import Module
from kerasish.types import Shape

_Backward = Callable[[Tensor, Tensor, int, torch.dtype], Tensor]
_softmax_backward: _Backward = torch.ops.aten._softmax_backward_data.default
_log_softmax_backward: _Backward = torch.ops.aten._log_softmax_backward_data.default


class _AlongAxis(Module):
    """Base of those that compare the elements along an axis; its default holds the classes."""

    backward_reads: ClassVar[frozenset[str]] = frozenset({"output"})
    returns_view: ClassVar[bool] = False

    def __init__(self, dim: int | None = None) -> None:
        self.dim = 1 if dim is None else check_axis(f"{type(self).__name__}(dim)", dim)

    def build(self, shape: Shape) -> Shape:
        place_of_axis(self, self.dim, shape)
        return shape


class Softmax(_AlongAxis):
    """Turns scores into shares: positive, with the sum 1.

        y_i = exp(x_i) / Σ_j exp(x_j)

    Shapes: x and y (N, ...).
    Backward: dx_i = y_i (dy_i - Σ_j y_j dy_j).
    Source: Bridle (1990), "Probabilistic Interpretation of Feedforward Classification Network
        Outputs". Before a cross entropy it is left out: the losses here take the scores.
    Raises: ValueError if dim is 0, the batch, or an axis that x does not have.

    Args:
        dim: the axis along which the sum is 1; the batch is axis 0. None is axis 1, where classes
            lie. (torch guesses it from the number of axes, and takes the batch if there are 3.)

    Example:
        >>> Softmax()(torch.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    formula: ClassVar[str] = "y_i = exp(x_i) / Σ_j exp(x_j)"
    backward_formula: ClassVar[str] = "dx_i = y_i (dy_i - Σ_j y_j dy_j)"
    y_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.softmax(x, self.dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _softmax_backward(dy, y, self.dim, y.dtype)


class LogSoftmax(_AlongAxis):
    """The logarithms of the shares that Softmax gives, without its underflow.

        y_i = x_i - ln Σ_j exp(x_j)

    Shapes: x and y (N, ...).
    Backward: dx_i = dy_i - exp(y_i) Σ_j dy_j.
    Raises: ValueError if dim is 0, the batch, or an axis that x does not have.

    Args:
        dim: the axis along which the sum is taken; the batch is axis 0, and None is axis 1.

    Example:
        >>> LogSoftmax()(torch.zeros(1, 4))
        tensor([[-1.3863, -1.3863, -1.3863, -1.3863]])
    """

    formula: ClassVar[str] = "y_i = x_i - ln Σ_j exp(x_j)"
    backward_formula: ClassVar[str] = "dx_i = dy_i - exp(y_i) Σ_j dy_j"
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.log_softmax(x, self.dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _log_softmax_backward(dy, y, self.dim, y.dtype)


class Softmin(_AlongAxis):
    """Softmax of -x: the smallest has the largest share.

        y_i = exp(-x_i) / Σ_j exp(-x_j)

    Shapes: x and y (N, ...).
    Backward: dx_i = -y_i (dy_i - Σ_j y_j dy_j).
    Raises: ValueError if dim is 0, the batch, or an axis that x does not have.

    Args:
        dim: the axis along which the sum is 1; the batch is axis 0, and None is axis 1.

    Example:
        >>> Softmin()(torch.tensor([[0.0, 1.0]]))
        tensor([[0.7311, 0.2689]])
    """

    formula: ClassVar[str] = "y_i = exp(-x_i) / Σ_j exp(-x_j)"
    backward_formula: ClassVar[str] = "dx_i = -y_i (dy_i - Σ_j y_j dy_j)"
    y_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.softmax(-x, self.dim)
        self.save_for_backward(y)
        return y

    def backward(self, dy: Tensor) -> Tensor:
        (y,) = self.saved_tensors()
        return _softmax_backward(dy, y, self.dim, y.dtype).neg_()
