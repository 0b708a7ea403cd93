"""Normalizing by what the samples of a batch have in common."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.devices import kind_of_device
from kerasish.joint import AddUp, joint_sum
from kerasish.layers.normalization.affine import Gradients, Kernel
from kerasish.layers.normalization.channel_norm import (
    ChannelNorm,
    Normalized,
    batch_norm,
    batch_norm_backward,
)
from kerasish.layers.normalization.whole_batch import bounded, joint_statistics, write_dx
from kerasish.layers.pieces import PIECE
from kerasish.layers.spatial import is_channels_last
from kerasish.types import Device, Shape

_batch_norm_alone: Kernel = torch.ops.aten._native_batch_norm_legit.no_stats
_ONE = torch.tensor(1, device="cpu")  # adding a tensor costs a third of adding a number


class _BatchNorm(ChannelNorm):
    """Batch norm over any number of axes."""

    formula: ClassVar[str] = "y = γ (x - μ) / √(σ² + ε) + β, a channel over the batch"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dβ = Σ dy,  dx = γ (dy - mean(dy) - x̂ mean(dy x̂)) / √(σ² + ε)")
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda"})

    def __init__(
        self,
        num_features: int | None = None,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        synchronized: bool = False,
        **per_parameter: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias, **per_parameter)
        self.synchronized = synchronized

    def least_samples(self, shape: Shape) -> int:
        return 2 if math.prod(shape[1:]) == 1 else 1

    @property
    def takes_none(self) -> bool:
        by_batch = self.running_mean is None or (self.training and self.trainable)
        return self.synchronized and by_batch and joint_sum() is not None

    def normalized(self, x: Tensor) -> Normalized:
        if self.synchronized and (add_up := joint_sum()) is not None:
            return self._normalized_jointly(x, add_up)
        if x.numel() == x.size(1):
            raise self._too_few(x)
        if self.track_running_stats:
            y, mean, rstd = self._tracked(x)
        else:
            y, mean, rstd = _batch_norm_alone(x, *self.scales(), True, 0.0, self.eps)
        return y, x, mean, rstd, True

    def gradients(
        self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, count: Any, wanted: list[bool],
        overwrite: bool,
    ) -> Gradients:
        if count is not True:
            return self._joint_gradients(dy, x, mean, rstd, count, wanted, overwrite)
        weight, _ = self.scales()
        by_hand = (wanted[0] and x.nbytes > PIECE and is_channels_last(x)
                   and x.dtype == mean.dtype and kind_of_device(x) == "cpu")
        masks = [False, True, True] if by_hand else wanted
        dx, dw, db = batch_norm_backward(
            dy, x, weight, None, None, mean, rstd, True, self.eps, masks)
        if by_hand:  # for dx the kernel takes longer, and twice the memory
            assert dw is not None and db is not None
            dx = dy if overwrite else torch.empty_like(dy)
            write_dx(dx, dy, x, mean, (rstd, weight), (dw, db), x.numel() / x.size(1))
        return dx, dw if wanted[1] else None, db if wanted[2] else None

    def _joint_gradients(
        self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, count: Tensor, wanted: list[bool],
        overwrite: bool,
    ) -> Gradients:
        add_up, (weight, _) = joint_sum(), self.scales()
        if add_up is None:
            raise RuntimeError(
                f"{self!r}.backward() expects the processes that its forward was synchronized "
                "with; got none. Go back by Model.backward where Model.forward went forward.")
        dw, db = (torch.zeros_like(mean) for _ in range(2))
        if x.numel():
            _, dw, db = batch_norm_backward(  # type: ignore[assignment]
                dy, x, weight, None, None, mean, rstd, True, self.eps, [False, True, True])
        dx = None
        if wanted[0]:
            sums = torch.stack([dw, db]).to(count.dtype)
            add_up([sums])
            dx = dy if overwrite else torch.empty_like(dy)
            write_dx(dx, dy, x, mean, (rstd, weight), (sums[0], sums[1]), count)
        return dx, dw if wanted[1] else None, db if wanted[2] else None

    def _normalized_jointly(self, x: Tensor, add_up: AddUp) -> Normalized:
        mean, variance, count = joint_statistics(x, add_up)
        if x.numel() <= x.size(1) and count <= 1:  # looked at by all processes, where it is so
            raise self._too_few(x)
        if self.track_running_stats:
            self._track(mean, variance * (count / (count - 1)))
        scales, spread = self.scales(), bounded(variance, self.eps)
        kept = next((each for each in (*scales, self.running_mean) if each is not None), x)
        mean, rstd = mean.to(kept.dtype), (spread + self.eps).rsqrt().to(kept.dtype)
        if not x.numel():
            return torch.empty_like(x), x, mean, rstd, count
        y = batch_norm(x, *scales, mean, spread.to(kept.dtype), False, 0.0, self.eps)[0]
        return y, x, mean, rstd, count

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Brings the running statistics up to date."""
        means, variances, count = self.running_mean, self.running_var, self.num_batches_tracked
        assert means is not None and variances is not None and count is not None
        if self._saved:
            self.keep_statistics()
        count.add_(_ONE)
        share: Any = self.momentum
        if share is None:
            share = count.to(means.dtype).reciprocal_()  # never read by the host
        means.lerp_(mean.to(means.dtype), share)
        variances.lerp_(variance.to(means.dtype), share)

    def _too_few(self, x: Tensor) -> ValueError:
        return ValueError(
            f"{self!r} expects more than 1 value per channel in training; got x of shape "
            f"{tuple(x.shape)}. Give it larger batches, or switch it to eval()."
        )

    def _tracked(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """y, μ and 1 / √(σ² + ε); brings the running statistics up to date."""
        means, variances, count = self.running_mean, self.running_var, self.num_batches_tracked
        assert means is not None and variances is not None and count is not None
        if self._saved:
            self.keep_statistics()
        count.add_(_ONE)
        if self.momentum is not None:
            return batch_norm(x, *self.scales(), means, variances, True, self.momentum, self.eps)
        mean, variance = torch.zeros_like(means), torch.zeros_like(variances)
        result = batch_norm(x, *self.scales(), mean, variance, True, 1.0, self.eps)
        share = count.to(means.dtype).reciprocal_()  # never read by the host
        means.lerp_(mean, share)
        variances.lerp_(variance, share)
        return result


class BatchNorm1d(_BatchNorm):
    """Batch norm of features or sequences: BatchNorm2d, which see, with other axes.

        y = γ (x - μ) / √(σ² + ε) + β

    Shapes: x and y (N, C) or (N, C, L); γ, β and the statistics (C,).

    Example:
        >>> BatchNorm1d().build((5,))
        (5,)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {1: "C", 2: "C, L"}


class BatchNorm2d(_BatchNorm):
    """Brings each channel of a batch of images to mean 0 and variance 1, then scales and shifts.

        y = γ (x - μ) / √(σ² + ε) + β

    In training μ and σ² are the mean and the biased variance of a channel over N, H and W. In
    evaluation they are the running statistics, which each batch in training moves by the share
    `momentum` towards its own mean and unbiased variance.

    Shapes: x and y (N, C, H, W); γ, β and the statistics (C,).
    Backward: with x̂ = (x - μ) / √(σ² + ε) and m values a channel, dγ = Σ dy x̂ and dβ = Σ dy;
        dx = γ / √(σ² + ε) (dy - dβ / m - x̂ dγ / m). Running statistics are constants, through
        which dx = γ / √(σ² + ε) dy.
    Source: Ioffe & Szegedy (2015), "Batch Normalization", algorithm 1.
    Raises: ValueError if x has other axes or channels, or one value a channel in training.

    Args:
        num_features: C; left out, it is learned at build.
        eps: ε, 0 or more.
        momentum: the share of a new batch in the running statistics, 0 to 1; None gives all
            batches so far the same share.
        affine: whether there are γ (`weight`) and β (`bias`).
        track_running_stats: whether there are running statistics; without them evaluation goes
            by the batch, too.
        device: where parameters and statistics are made.
        dtype: their type, torch's default type if None.
        bias: whether there is a β beside γ.
        synchronized: whether, where processes train together on rows of each batch, statistics are
            those of the whole batch: μ = Σ nᵣ μᵣ / n and σ² = Σ nᵣ (σᵣ² + (μᵣ - μ)²) / n over the
            processes r with nᵣ of the n values, and dγ and dβ above sums over all of them. It costs
            two sums over processes forward and one back. In one process it changes nothing.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> BatchNorm2d().build((3, 28, 28))
        (3, 28, 28)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {3: "C, H, W"}


class BatchNorm3d(_BatchNorm):
    """Batch norm of volumes: BatchNorm2d, which see, with one more axis.

        y = γ (x - μ) / √(σ² + ε) + β

    Shapes: x and y (N, C, D, H, W); γ, β and the statistics (C,).

    Example:
        >>> BatchNorm3d().build((3, 8, 28, 28))
        (3, 8, 28, 28)
    """

    sample_shapes: ClassVar[Mapping[int, str]] = {4: "C, D, H, W"}
