"""Layer norm without a mean: the size of the features is brought to 1, not their average to 0."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.normalization.last_axes_norm import LastAxesNorm
from kerasish.types import Device, Shape

_EPS = torch.finfo(torch.float32).eps
_EPS_OF_DOUBLES = torch.finfo(torch.float64).eps


class RMSNorm(LastAxesNorm):
    """Brings the root mean square over the last axes to 1, then scales each element.

        y = γ x / √(mean(x²) + ε)

    Shapes: x and y (N, ..., *normalized_shape); γ (*normalized_shape).
    Backward: with r = 1 / √(mean(x²) + ε) and x̂ = r x, dγ = Σ dy x̂ over the leading axes;
        dx = r (γ dy - x̂ mean(γ dy x̂)), with the mean over the last axes.
    Source: Zhang & Sennrich (2019), "Root Mean Square Layer Normalization", eq. 4; with ε as in
        torch.
    Raises: ValueError if x does not end in normalized_shape.

    Args:
        normalized_shape: the sizes of the last axes, or the size of the last one; left out, it is
            the last axis, and learned at build.
        eps: ε, 0 or more; None stands for the precision of x: 1.2e-7, or 2.2e-16 for float64.
        elementwise_affine: whether there is γ (`weight`).
        device: where γ is made.
        dtype: its type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer and weight_constraint: objects, or
            their names.

    Example:
        >>> RMSNorm()(torch.tensor([[1.0, 7.0]]))
        tensor([[0.2000, 1.4000]])
    """

    formula: ClassVar[str] = "y = γ x / √(mean(x²) + ε)"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dx = r (γ dy - x̂ mean(γ dy x̂)), r = 1 / √(mean(x²) + ε)")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda"})
    parameter_names: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(
        self,
        normalized_shape: int | Shape | list[int] | None = None,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(
            normalized_shape, elementwise_affine, False, device, dtype, **per_parameter)
        self.eps = None if eps is None else self.checked_eps(eps)

    def build(self, shape: Shape) -> Shape:
        shape = super().build(shape)
        self._count = math.prod(self.normalized_shape or ())
        return shape

    def forward(self, x: Tensor) -> Tensor:
        x, eps, count = self.fitting(x), self.eps, self._count
        if eps is None:
            eps = _EPS_OF_DOUBLES if x.dtype == torch.float64 else _EPS
        rows = x.reshape(-1, count)
        wide = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(rows, 2, 1, True, dtype=wide)
        mean_square = norm.square_().div_(count)
        r = mean_square.add_(eps).rsqrt_()
        self.save_for_backward(rows, r)
        y: Tensor = rows * r
        if self.weight is not None:
            y.mul_(self.weight.data.view(-1))
        return y.view(x.shape).to(x.dtype)

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        (rows, r), weight = self.saved_tensors(), self.weight
        scaled, normal = dy.reshape(rows.shape), rows * r
        product = scaled * normal
        if weight is not None and weight.trainable:
            weight.grad.add_(product.sum(0).view(weight.shape))
        if not need_dx:
            return None
        if weight is None:
            along = product.sum(1, True)
        else:
            scale = weight.data.view(-1).to(product.dtype)
            scaled, along = scaled * scale, torch.mv(product, scale).unsqueeze(1)
        dx = torch.addcmul(scaled, normal, along, value=-1 / self._count).mul_(r)
        return dx.view_as(dy).to(dy.dtype)

    def own_bytes(self, shape: Shape) -> int:
        return self.rows(shape) * torch.get_default_dtype().itemsize
