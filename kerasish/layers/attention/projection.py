"""A Linear that is a part of another module, and may learn its output size from it."""

from typing import Any

import torch

from kerasish.layers.dense.linear import Linear
from kerasish.types import Device, Shape


class Projection(Linear):
    """A Linear whose output size may be left open until it is built.

        y = x Wᵀ + b

    Shapes: as those of Linear.

    Args:
        out_features: size of the last axis of y; None leaves it to `build_to`.
        bias: whether b is added.
        device: where the parameters are made.
        dtype: their type.
        per_parameter: as for Linear.

    Example:
        >>> Projection().build_to((5, 3), 4)
        (5, 4)
    """

    def __init__(
        self,
        out_features: int | None = None,
        bias: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(out_features or 1, None, bias, device, dtype, **per_parameter)
        self._open = out_features is None

    def build_to(self, shape: Shape, out_features: int) -> Shape:
        """Builds it for x of this shape, and for so many outputs."""
        self.out_features, self._open = out_features, False
        return self.build(shape)

    def __repr__(self) -> str:
        return f"Linear({'' if self._open else self.out_features})"
