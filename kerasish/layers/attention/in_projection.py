"""The products that make queries, keys and values: one for each tensor that they are made of."""

from typing import NamedTuple

import torch
from torch import Tensor

from kerasish.layers.products import add_outer, affine, back
from kerasish.parameter import Parameter


class InProjection(NamedTuple):
    """Some of q, k and v that are made of one tensor, and the rows of the weight that make them.

        [q, k, v] = x Wᵀ + b, cut into heads        dx = dy W,  dW = dyᵀ x,  db = Σ dy

    Shapes: x (N, T, features), and each of q, k and v (N, heads, T, d).
    """

    part: int
    """Which of the given tensors x is: 0 the query, 1 the key, 2 the value."""
    makes: int
    """How many of q, k and v are made of it."""
    weight: Parameter
    weight_rows: slice
    bias: Parameter | None
    bias_rows: slice

    def forward(self, x: Tensor, heads: int) -> tuple[Tensor, ...]:
        """So many of q, k and v, each (N, heads, T, d), for x (N, T, features)."""
        bias = None if self.bias is None else self.bias.data[self.bias_rows]
        y = affine(x.flatten(0, 1), self.weight.data[self.weight_rows], bias)
        size = y.shape[1] // self.makes // heads
        return y.view(*x.shape[:2], self.makes, heads, size).permute(2, 0, 3, 1, 4).unbind()

    def backward(self, x: Tensor, gradients: list[Tensor], need_dx: bool) -> Tensor | None:
        """The dx for gradients of what forward gave; adds those of the rows of W and b."""
        dy = torch.stack([each.transpose(1, 2) for each in gradients], 2).flatten(2).flatten(0, 1)
        if self.weight.trainable:
            add_outer(self.weight.grad[self.weight_rows], dy.t(), x.flatten(0, 1))
        if self.bias is not None and self.bias.trainable:
            self.bias.grad[self.bias_rows].add_(dy.sum(0))
        if not need_dx:
            return None
        return back(dy, self.weight.data[self.weight_rows]).view(x.shape)
