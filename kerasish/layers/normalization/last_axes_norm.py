"""What layer norm and RMS norm share: they normalize the last axes of x, whatever they are."""

import math
from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.layers.normalization.affine import Affine
from kerasish.types import Device, Shape


class LastAxesNorm(Affine):
    """Base of norms over the last axes, one if their shape is left out."""

    normalized_shape: Shape | None

    def __init__(
        self,
        normalized_shape: int | Shape | list[int] | None,
        elementwise_affine: bool,
        bias: bool,
        device: Device | None,
        dtype: torch.dtype | None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(device, dtype, **per_parameter)
        if normalized_shape is not None:
            normalized_shape = self._sizes(normalized_shape)
        self.normalized_shape = normalized_shape
        self.elementwise_affine, self.use_bias = elementwise_affine, bias

    def build(self, shape: Shape) -> Shape:
        self.check(shape)
        self.normalized_shape = self.normalized_shape or shape[-1:]
        self.make_affine(self.normalized_shape, self.elementwise_affine, self.use_bias)
        return shape

    def fitting(self, x: Tensor) -> Tensor:
        """Hands x back if it can be normalized, else mended."""
        sizes = self.normalized_shape
        if sizes is None or x.shape[-len(sizes):] != sizes or not x.is_floating_point():
            return self.mended(x)
        return x

    def rows(self, shape: Shape) -> int:
        """How often a sample of this shape is normalized: the elements of its leading axes."""
        return math.prod(shape) // math.prod(self.normalized_shape or shape[-1:])

    def check(self, shape: Shape) -> None:
        sizes = self.normalized_shape or shape[-1:]
        if not shape or shape[-len(sizes):] != sizes:
            wanted = ", ".join(map(str, self.normalized_shape or ["features"]))
            got = f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
            raise ValueError(f"{self!r} expects x of shape (N, ..., {wanted}); got {got}. Give it "
                             "such data, or leave out normalized_shape for the last axis.")

    def _sizes(self, value: int | Shape | list[int]) -> Shape:
        """The shape of the last axes, for which a number stands as well."""
        sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
        who = f"{type(self).__name__}(normalized_shape)"
        if not sizes:
            raise ValueError(f"{who} expects the size of at least one axis; got {value!r}. Leave "
                             "it out for the last axis.")
        return tuple(check_count(who, size, 1, "It is the size of an axis.") for size in sizes)
