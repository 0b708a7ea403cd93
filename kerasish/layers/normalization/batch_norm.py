"""Normalizing by what the samples of a batch have in common."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.devices import kind_of_device
from kerasish.layers.normalization.affine import Gradients, Kernel
from kerasish.layers.normalization.channel_norm import ChannelNorm, batch_norm, batch_norm_backward
from kerasish.layers.pieces import PIECE, pieces
from kerasish.layers.spatial import is_channels_last
from kerasish.types import Shape

_batch_norm_alone: Kernel = torch.ops.aten._native_batch_norm_legit.no_stats
_ONE = torch.tensor(1, device="cpu")  # adding a tensor costs a third of adding a number


class _BatchNorm(ChannelNorm):
    """Batch norm over any number of axes."""

    formula: ClassVar[str] = "y = γ (x - μ) / √(σ² + ε) + β, a channel over the batch"
    backward_formula: ClassVar[str] = (
        "dγ = Σ dy x̂,  dβ = Σ dy,  dx = γ (dy - mean(dy) - x̂ mean(dy x̂)) / √(σ² + ε)")
    own_precision: ClassVar[frozenset[str]] = frozenset({"cpu", "cuda"})

    def least_samples(self, shape: Shape) -> int:
        return 2 if math.prod(shape[1:]) == 1 else 1

    def normalized(self, x: Tensor) -> tuple[Tensor, ...]:
        if x.numel() == x.size(1):
            raise ValueError(
                f"{self!r} expects more than 1 value per channel in training; got x of shape "
                f"{tuple(x.shape)}. Give it larger batches, or switch it to eval()."
            )
        if self.track_running_stats:
            y, mean, rstd = self._tracked(x)
        else:
            y, mean, rstd = _batch_norm_alone(x, *self.scales(), True, 0.0, self.eps)
        return y, x, mean, rstd

    def gradients(
        self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, wanted: list[bool],
        overwrite: bool,
    ) -> Gradients:
        weight, _ = self.scales()
        by_hand = (wanted[0] and x.nbytes > PIECE and is_channels_last(x)
                   and x.dtype == mean.dtype and kind_of_device(x) == "cpu")
        masks = [False, True, True] if by_hand else wanted
        dx, dw, db = batch_norm_backward(
            dy, x, weight, None, None, mean, rstd, True, self.eps, masks)
        if by_hand:  # for dx the kernel takes longer, and twice the memory
            dx = dy if overwrite else torch.empty_like(dy)
            terms = _terms(x, mean, rstd, weight, dw, db)
            for rows in pieces(x, x[:1].nbytes):
                _write_dx(dx[rows], dy[rows], x[rows], *terms)
        return dx, dw if wanted[1] else None, db if wanted[2] else None

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


def _terms(
    x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None, dw: Any, db: Any
) -> list[Tensor]:
    """μ and, of dx = start + slope (x - μ) + scale dy, the three that are the same in a channel.

    Shapes: x (N, C, ...), the others (C,), results (C, 1, ...).
    """
    scale = rstd if weight is None else weight * rstd
    share = scale * (-mean.numel() / x.numel())
    terms = mean, share * db, share * rstd * dw, scale
    return [each.view(-1, *(1,) * (x.dim() - 2)) for each in terms]


def _write_dx(
    dx: Tensor, dy: Tensor, x: Tensor, mean: Tensor, start: Tensor, slope: Tensor, scale: Tensor
) -> None:
    """Fills in dx, which may be dy."""
    centred = x - mean
    torch.addcmul(start, centred, slope, out=centred)
    torch.addcmul(centred, dy, scale, out=dx)


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
