"""Normalizing within a sample, a group of channels at a time."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.devices import kind_of_device
from kerasish.layers.normalization.affine import (
    Affine,
    BackwardKernel,
    Gradients,
    Kernel,
    dense,
    laid_like,
)
from kerasish.types import Device, Shape

_group_norm: Kernel = torch.ops.aten.native_group_norm.default
_group_norm_backward: BackwardKernel = torch.ops.aten.native_group_norm_backward.default


def by_groups(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y, and what `by_groups_backward` needs: x as the kernels read it, μ, and 1 / √(σ² + ε)."""
    x = dense(x) if kind_of_device(x) == "cpu" else x.contiguous()
    samples, channels, *spatial = x.shape
    y, mean, rstd = _group_norm(
        x, weight, bias, samples, channels, math.prod(spatial), groups, eps)
    return y, x, mean, rstd


def by_groups_backward(
    dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None, groups: int,
    wanted: list[bool],
) -> Gradients:
    """dx, dγ and dβ, None for what is not wanted; dy must lie in memory as x does."""
    samples, channels, *spatial = x.shape
    return _group_norm_backward(
        dy, x, mean, rstd, weight, samples, channels, math.prod(spatial), groups, wanted)


class GroupNorm(Affine):
    """Brings each group of channels of a sample to mean 0 and variance 1, then scales and shifts.

        y = γ (x - μ) / √(σ² + ε) + β

    μ and σ² are the mean and the biased variance of C / num_groups channels of one sample; the
    batch does not matter, in training and in evaluation alike.

    Shapes: x and y (N, C, ...); γ and β (C,).
    Backward: with x̂ = (x - μ) / √(σ² + ε), dγ = Σ dy x̂ and dβ = Σ dy over samples and places;
        dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(σ² + ε), with means over the group.
    Source: Wu & He (2018), "Group Normalization", eq. 1 to 7.
    Raises: ValueError if the groups do not divide the channels, or x has other channels.

    Args:
        num_groups: how many groups the channels are divided into, in order.
        num_channels: C; left out, it is learned at build.
        eps: ε, 0 or more.
        affine: whether there are γ (`weight`) and β (`bias`).
        device: where parameters are made.
        dtype: their type, torch's default type if None.
        bias: whether there is a β beside γ.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> GroupNorm(8).build((32, 28, 28))
        (32, 28, 28)
    """

    formula: ClassVar[str] = "y = γ (x - μ) / √(σ² + ε) + β, a group of channels"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dβ = Σ dy,  dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(σ² + ε)")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu"})

    def __init__(
        self,
        num_groups: int,
        num_channels: int | None = None,
        eps: float = 1e-5,
        affine: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        **per_parameter: Any,
    ) -> None:
        super().__init__(device, dtype, **per_parameter)
        self.num_groups = check_count("GroupNorm(num_groups)", num_groups, 1)
        self.num_channels = self.checked_channels("num_channels", num_channels)
        self.eps = self.checked_eps(eps)
        self.affine, self.use_bias = affine, bias
        if num_channels is not None:
            self._check_groups(num_channels)

    def build(self, shape: Shape) -> Shape:
        self.check(shape)
        self.num_channels = shape[0]
        self.make_affine((self.num_channels,), self.affine, self.use_bias)
        return shape

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.size(1) != self.num_channels or not x.is_floating_point():
            x = self.mended(x)
        y, *saved = by_groups(x, *self.scales(), self.num_groups, self.eps)
        self.save_for_backward(*saved)
        return y

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        x, mean, rstd = self.saved_tensors()
        weight, _ = self.scales()
        dx, dw, db = by_groups_backward(
            laid_like(x, dy), x, mean, rstd, weight, self.num_groups, self.wanted(need_dx))
        self.add_gradients(dw, db)
        return dx

    def own_bytes(self, shape: Shape) -> int:
        return 2 * self.num_groups * torch.get_default_dtype().itemsize

    def check(self, shape: Shape) -> None:
        if not shape:
            raise ValueError(f"{self!r} expects x of shape (N, C, ...); got (N,). Give samples an "
                             "axis of channels.")
        self.check_channels(self.num_channels, shape[0])
        self._check_groups(shape[0])

    def _check_groups(self, channels: int) -> None:
        if channels % self.num_groups:
            raise ValueError(f"{self!r} expects a number of channels that {self.num_groups} groups "
                             f"divide; got {channels}. Choose a num_groups that divides it.")
