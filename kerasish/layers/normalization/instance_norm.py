"""Normalizing each channel of each sample by itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.normalization.affine import Gradients
from kerasish.layers.normalization.channel_norm import ChannelNorm, Normalized
from kerasish.layers.normalization.group_norm import by_groups, by_groups_backward
from kerasish.types import Device, Shape


class _InstanceNorm(ChannelNorm):
    """Instance norm over any number of axes: group norm with groups of one channel."""

    formula: ClassVar[str] = "y = γ (x - μ) / √(σ² + ε) + β, a channel of a sample"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dβ = Σ dy,  dx = (γ dy - mean(γ dy) - x̂ mean(γ dy x̂)) / √(σ² + ε)")
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu"})

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        **per_parameter: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias, **per_parameter)

    def normalized(self, x: Tensor) -> Normalized:
        if x.numel() == x.size(0) * x.size(1):
            raise ValueError(
                f"{self!r} expects more than 1 value per channel of a sample in training; got x of "
                f"shape {tuple(x.shape)}. Give it larger samples, or leave the norm out."
            )
        if self.momentum and self.running_mean is not None and self.running_var is not None:
            if self._saved:
                self.keep_statistics()
            wide = x.to(self.running_mean.dtype)
            variance, mean = torch.var_mean(wide, tuple(range(2, x.dim())))  # of each sample
            self.running_mean.lerp_(mean.mean(0), self.momentum)
            self.running_var.lerp_(variance.mean(0), self.momentum)
        return *by_groups(x, *self.scales(), x.size(1), self.eps), True

    def gradients(
        self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, count: Any, wanted: list[bool],
        overwrite: bool,
    ) -> Gradients:
        weight, _ = self.scales()
        return by_groups_backward(dy, x, mean, rstd, weight, x.size(1), wanted)

    def own_bytes(self, shape: Shape) -> int:
        return 2 * shape[0] * torch.get_default_dtype().itemsize


class InstanceNorm1d(_InstanceNorm):
    """Instance norm of sequences: InstanceNorm2d, which see, with one axis less.

        y = γ (x - μ) / √(σ² + ε) + β

    Shapes: x and y (N, C, L); γ, β and the statistics (C,).

    Example:
        >>> InstanceNorm1d().build((5, 9))
        (5, 9)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {2: "C, L"}


class InstanceNorm2d(_InstanceNorm):
    """Brings each channel of each image to mean 0 and variance 1, then scales and shifts.

        y = γ (x - μ) / √(σ² + ε) + β

    μ and σ² are the mean and the biased variance of a channel of one sample over H and W. With
    `track_running_stats` each batch in training moves running statistics by the share `momentum`
    towards the average over its samples of their means and unbiased variances, and evaluation goes
    by these.

    Shapes: x and y (N, C, H, W); γ, β and the statistics (C,).
    Backward: that of GroupNorm with groups of one channel; through running statistics, which are
        constants, dx = γ / √(σ² + ε) dy.
    Source: Ulyanov et al. (2016), "Instance Normalization", eq. 2.
    Raises: ValueError if x has other axes or channels, or one value a channel of a sample.

    Args:
        num_features: C; left out, it is learned at build.
        eps: ε, 0 or more.
        momentum: the share of a new batch in the running statistics, 0 to 1; None, as in torch,
            leaves them as they are.
        affine: whether there are γ (`weight`) and β (`bias`).
        track_running_stats: whether there are running statistics, for evaluation.
        device: where parameters and statistics are made.
        dtype: their type, torch's default type if None.
        bias: whether there is a β beside γ.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> InstanceNorm2d().build((3, 28, 28))
        (3, 28, 28)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {3: "C, H, W"}


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of volumes: InstanceNorm2d, which see, with one more axis.

        y = γ (x - μ) / √(σ² + ε) + β

    Shapes: x and y (N, C, D, H, W); γ, β and the statistics (C,).

    Example:
        >>> InstanceNorm3d().build((3, 8, 28, 28))
        (3, 8, 28, 28)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {4: "C, D, H, W"}
