"""What batch and instance norm share: settings, running statistics, and normalizing by them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.initializers import zeros
from kerasish.layers.normalization.affine import (
    Affine,
    BackwardKernel,
    Gradients,
    Kernel,
    laid_like,
)
from kerasish.types import Device, Shape

batch_norm: Kernel = torch.ops.aten._native_batch_norm_legit.default
batch_norm_backward: BackwardKernel = torch.ops.aten.native_batch_norm_backward.default


Normalized = tuple[Tensor, Tensor, Tensor, Tensor, Any]
"""y, and what backward goes by: see `ChannelNorm.normalized`."""


class ChannelNorm(Affine):
    """Base of norms with one weight, one bias and running statistics a channel.

    A subclass names in `sample_shapes` the shapes of a sample that it takes, by their number of
    axes, and writes `normalized` and `gradients`: the way by statistics of the batch at hand.
    """

    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    sample_shapes: ClassVar[Mapping[int, str]]
    running_mean: Tensor | None = None
    running_var: Tensor | None = None
    num_batches_tracked: Tensor | None = None

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
        **per_parameter: Any,
    ) -> None:
        super().__init__(device, dtype, **per_parameter)
        self.num_features = self.checked_channels("num_features", num_features)
        self.eps = self.checked_eps(eps)
        who = f"{type(self).__name__}(momentum)"
        self.momentum = None if momentum is None else check_number(
            who, momentum, 0, 1, "0.1 is its usual value.")
        self.affine, self.use_bias = affine, bias
        self.track_running_stats = track_running_stats

    def build(self, shape: Shape) -> Shape:
        self.check(shape)
        channels = self.num_features = shape[0]
        self.least_batch = self.least_samples(shape)
        self.make_affine((channels,), self.affine, self.use_bias)
        if self.track_running_stats:
            self.register_buffer("running_mean", zeros((channels,), self.device, self.dtype))
            variance = zeros((channels,), self.device, self.dtype).add_(1)
            self.register_buffer("running_var", variance)
            self.register_buffer("num_batches_tracked", zeros((), self.device, torch.int64))
        return shape

    def forward(self, x: Tensor) -> Tensor:
        if (x.dim() - 1 not in self.sample_shapes or x.size(1) != self.num_features
                or not x.is_floating_point()):
            x = self.mended(x)
        if not x.numel() and not self.takes_none:  # the kernels cannot divide by no elements
            self.save_for_backward(None, None, None, False)
            return torch.empty_like(x)
        if self.running_mean is None or (self.training and self.trainable):
            y, *saved = self.normalized(x)
            self.save_for_backward(*saved)
            return y
        mean, variance = self.running_mean, self.running_var
        self.save_for_backward(x, mean, variance, False)
        return batch_norm(x, *self.scales(), mean, variance, False, 0.0, self.eps)[0]

    def backward(
        self, dy: Tensor, need_dx: bool = True, overwrite: bool = False
    ) -> Tensor | None:
        x, mean, spread, of_batch = self.saved_tensors()
        if x is None:
            return torch.empty_like(dy) if need_dx else None
        dy, wanted = laid_like(x, dy), self.wanted(need_dx)
        if of_batch is False:  # the running statistics are constants
            weight, _ = self.scales()
            dx, dw, db = batch_norm_backward(
                dy, x, weight, mean, spread, mean, spread, False, self.eps, wanted)
        else:
            dx, dw, db = self.gradients(dy, x, mean, spread, of_batch, wanted, overwrite)
        self.add_gradients(dw, db)
        return dx

    def least_samples(self, shape: Shape) -> int:
        """Samples of this shape that it takes to have statistics."""
        return 1

    @property
    def takes_none(self) -> bool:
        """Whether `normalized` is to see a batch without samples, too."""
        return False

    def normalized(self, x: Tensor) -> Normalized:
        """Answers y by statistics of x, and what `gradients` needs.

        Returns: y, x, μ, 1 / √(σ² + ε), and the number of values of a channel where x has not all
            of them, else True.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a normalized(x) method. Write it.")

    def gradients(
        self, dy: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, count: Any, wanted: list[bool],
        overwrite: bool,
    ) -> Gradients:
        """dx, dγ and dβ through the statistics of x, None for what is not wanted.

        `count` is what `normalized` answered last. With `overwrite` dx may be written over dy.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a gradients method. Write it.")

    def keep_statistics(self) -> None:
        """Before they change: forwards in evaluation that wait for backward keep what they saw."""
        for place, (x, *statistics, of_batch) in enumerate(self._saved):
            if statistics[0] is self.running_mean:
                self._saved[place] = (x, *map(torch.clone, statistics), of_batch)

    def check(self, shape: Shape) -> None:
        if len(shape) not in self.sample_shapes:
            wanted = " or ".join(f"(N, {axes})" for axes in self.sample_shapes.values())
            got = f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
            raise ValueError(f"{self!r} expects x of shape {wanted}; got {got}. Choose the norm "
                             "for as many axes as x has.")
        self.check_channels(self.num_features, shape[0])
