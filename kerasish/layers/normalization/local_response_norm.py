"""Channels that damp their neighbours, as nerve cells do."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number
from kerasish.module import Module
from kerasish.types import Shape


class LocalResponseNorm(Module):
    """Divides by the size of neighbouring channels at the same place.

        y = x / s^β,    s = k + α mean(x² over `size` channels around)

    Channels outside of x count as zeros. An even window reaches one channel further back.

    Shapes: x and y (N, C, ...), with at least one axis beside the channels.
    Backward: q = dy / s^β,  dx = q - 2 α β x mean(q x / s over the channels whose window holds this
        one), which is the same window mirrored.
    Source: Krizhevsky et al. (2012), "ImageNet Classification with Deep Convolutional Neural
        Networks", section 3.3; with the mean in place of the sum, as in torch.
    Raises: ValueError if size is below 1, or if x has no axis beside the channels.

    Args:
        size: how many channels a window holds, this one included.
        alpha: α, the strength.
        beta: β, the exponent.
        k: the part of s that does not depend on x.

    Example:
        >>> LocalResponseNorm(1, alpha=1.0, beta=1.0)(torch.tensor([[[2.0]]]))
        tensor([[[0.4000]]])
    """

    formula: ClassVar[str] = "y = x / (k + α mean(x² over neighbouring channels))^β"
    backward_formula: ClassVar[str] = (
        "q = dy / s^β,  dx = q - 2 α β x mean(q x / s over neighbouring channels)")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
    ) -> None:
        self.size = check_count("LocalResponseNorm(size)", size, 1, "5 is its usual value.")
        self.alpha = check_number("LocalResponseNorm(alpha)", alpha)
        self.beta = check_number("LocalResponseNorm(beta)", beta)
        self.k = check_number("LocalResponseNorm(k)", k)

    def build(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            got = f"(N, {shape[0]})" if shape else "(N,)"
            raise ValueError(f"{self!r} expects x of shape (N, C, ...) with an axis beside the "
                             f"channels; got {got}. Give samples such an axis.")
        return shape

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        around = self._sum(wide.square(), self.size // 2)
        s = around.mul_(self.alpha / self.size).add_(self.k)
        divisor = s.pow(self.beta)
        self.save_for_backward(x, s, divisor)
        return (x / divisor).to(x.dtype)

    def backward(self, dy: Tensor) -> Tensor:
        x, s, divisor = self.saved_tensors()
        q: Tensor = dy / divisor
        around = self._sum((q * x).div_(s), (self.size - 1) // 2)
        q.addcmul_(x, around, value=-2 * self.alpha * self.beta / self.size)
        return q.to(dy.dtype)

    def _sum(self, x: Tensor, before: int) -> Tensor:
        """Sums over windows of `size` channels, which begin so many channels before."""
        total = x.clone()
        for shift in range(-before, self.size - before):
            reach = x.size(1) - abs(shift)
            if shift and reach > 0:  # pooling kernels are many times slower over few channels
                total.narrow(1, max(-shift, 0), reach).add_(x.narrow(1, max(shift, 0), reach))
        return total

    def own_bytes(self, shape: Shape) -> int:
        return 2 * torch.Size(shape).numel() * torch.get_default_dtype().itemsize
