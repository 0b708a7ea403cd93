"""The rectifier that learns how much of the negative side passes."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.types import Device, Shape

_prelu: Callable[[Tensor, Tensor], Tensor] = torch.ops.aten._prelu_kernel.default
_prelu_backward: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] = (
    torch.ops.aten._prelu_kernel_backward.default
)


class PReLU(Module):
    """Keeps what is positive, and learns the slope of the rest.

        y = x where x > 0, else w · x

    Shapes: x and y (N, C, ...), slopes w (num_parameters,): one for each channel, or one for all.
    Backward: dx = dy where x > 0, else w · dy;  dw = Σ dy · min(x, 0), over all that w meets.
    Source: He et al. (2015), "Delving Deep into Rectifiers", eq. 1. Slopes do not decay, as there:
        that would pull them towards ReLU.
    Raises: ValueError if num_parameters is neither 1 nor the number of channels.

    Args:
        num_parameters: 1, or the size of axis 1 of x.
        init: the first value of each slope.
        device: where the slopes are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint: objects, or their
            names.

    Example:
        >>> PReLU()(torch.tensor([[-4.0, 2.0]]))
        tensor([[-1.,  2.]])
    """

    formula: ClassVar[str] = "y = x where x > 0, else w · x"
    backward_formula: ClassVar[str] = "dx = dy where x > 0, else w · dy,  dw = Σ dy · min(x, 0)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    parameter_names: ClassVar[tuple[str, ...]] = ("weight",)
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        self.num_parameters = check_count("PReLU(num_parameters)", num_parameters, 1,
                                          "Give 1, or the number of channels.")
        self.init = check_number("PReLU(init)", init, fix="0.25 is the usual value.")
        self.device, self.dtype = device, dtype

    def build(self, shape: Shape) -> Shape:
        if self.num_parameters not in (1, *shape[:1]):
            raise ValueError(f"{self!r} expects {self.num_parameters} channels on axis 1 of x; got "
                             f"shape (N, {', '.join(map(str, shape))}). Give it such data, or "
                             "PReLU() with one slope for all.")
        slopes = torch.full((self.num_parameters,), self.init)
        device = None if slopes.is_meta else self.device  # only shapes are inferred then
        self.weight = Parameter(slopes.to(device, self.dtype), decay=False)
        return shape

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _prelu(x, self._slopes(x))

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        (x,) = self.saved_tensors()
        dx, dw = _prelu_backward(dy, x, self._slopes(x))
        if self.weight.trainable:
            self.weight.grad.add_(dw.sum_to_size(self._slopes(x).shape).flatten())
        return dx if need_dx else None

    def _slopes(self, x: Tensor) -> Tensor:
        """The slopes as they meet x: (C, 1, ...) beside (N, C, ...)."""
        return self.weight.data.view(-1, *[1] * (x.dim() - 2))
