"""Normalizing the features of a sample, or of a step of a sequence."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.normalization.affine import BackwardKernel, Kernel
from kerasish.layers.normalization.last_axes_norm import LastAxesNorm
from kerasish.types import Device, Shape

_layer_norm: Kernel = torch.ops.aten.native_layer_norm.default
_layer_norm_backward: BackwardKernel = torch.ops.aten.native_layer_norm_backward.default


class LayerNorm(LastAxesNorm):
    """Brings the last axes to mean 0 and variance 1, then scales and shifts each element.

        y = γ (x - μ) / √(σ² + ε) + β

    μ and σ² are the mean and the biased variance over the last axes.

    Shapes: x and y (N, ..., *normalized_shape); γ and β (*normalized_shape).
    Backward: with x̂ = (x - μ) / √(σ² + ε), dγ = Σ dy x̂ and dβ = Σ dy over the leading axes;
        dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(σ² + ε), with means over the last axes.
    Source: Ba et al. (2016), "Layer Normalization", eq. 4.
    Raises: ValueError if x does not end in normalized_shape.

    Args:
        normalized_shape: the sizes of the last axes, or the size of the last one; left out, it is
            the last axis, and learned at build.
        eps: ε, 0 or more.
        elementwise_affine: whether there are γ (`weight`) and β (`bias`).
        bias: whether there is a β beside γ.
        device: where parameters are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> LayerNorm()(torch.tensor([[1.0, 3.0]]))
        tensor([[-1.0000,  1.0000]])
    """

    formula: ClassVar[str] = "y = γ (x - μ) / √(σ² + ε) + β, over the last axes"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dβ = Σ dy,  dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(σ² + ε)")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu"})

    def __init__(
        self,
        normalized_shape: int | Shape | list[int] | None = None,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(
            normalized_shape, elementwise_affine, bias, device, dtype, **per_parameter)
        self.eps = self.checked_eps(eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fitting(x)
        y, mean, rstd = _layer_norm(x, self.normalized_shape, *self.scales(), self.eps)
        self.save_for_backward(x, mean, rstd)
        return y

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        x, mean, rstd = self.saved_tensors()
        dx, dw, db = _layer_norm_backward(
            dy, x, self.normalized_shape, mean, rstd, *self.scales(), self.wanted(need_dx))
        self.add_gradients(dw, db)
        return dx

    def again(self) -> Tensor:
        """The y of the latest forward that backward has not gone through, computed once more."""
        x, *_ = self._saved[-1]
        return _layer_norm(x, self.normalized_shape, *self.scales(), self.eps)[0]

    def own_bytes(self, shape: Shape) -> int:
        return 2 * self.rows(shape) * torch.get_default_dtype().itemsize
