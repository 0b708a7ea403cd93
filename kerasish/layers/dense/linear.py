"""The dense layer: every output sees every input."""

import math
import sys
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.products import LARGE, SMALL, affine, least_rows
from kerasish.layers.sizes import Sized
from kerasish.module import Kernels
from kerasish.trees import is_shape
from kerasish.types import Device, Shape


class Linear(Sized):
    """Multiplies the last axis by a matrix and adds a bias.

        y = x Wᵀ + b

    Shapes: x (N, ..., in_features), weight W (out_features, in_features), bias b (out_features,),
        y (N, ..., out_features).
    Backward: dx = dy W,  dW = dyᵀ x,  db = Σ dy over all rows.
    Fusion: a container may hand over the kernels of the activation that follows; y is then its
        output, and dy the gradient with respect to that.
    Source: initial weights as in He et al. (2015), eq. 10 (torch draws from a narrower uniform
        distribution); biases start at zero.
    Raises: ValueError if a size is below 1, or if x has another size than the layer was built for.

    Args:
        in_features: size of the last axis of x. Left out, it is learned at build, and a single
            size is out_features: `Linear(25)` is `Linear(out_features=25)`.
        out_features: size of the last axis of y, at least 1.
        bias: whether b is added.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> Linear(3).build((5,))
        (3,)
    """

    formula: ClassVar[str] = "y = x Wᵀ + b"
    backward_formula: ClassVar[str] = "dx = dy W,  dW = dyᵀ x,  db = Σ dy over all rows"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    fuses: ClassVar[bool] = True
    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    size_names: ClassVar[tuple[str, str]] = ("in_features", "out_features")
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)
    least_rows: int = sys.maxsize
    """Of a batch whose product with W is large; known once W is built."""

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        bias: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        self.in_features, self.out_features = self.sizes(in_features, out_features)
        self.use_bias, self.device, self.dtype = bias, device, dtype

    def build(self, shape: Shape) -> Shape:
        if not is_shape(shape):
            raise ValueError(f"{self!r} expects one tensor; got several, of shapes {shape} a "
                             "sample. Take them in with a Graph, or join them with Concat().")
        if not shape:
            raise ValueError(f"{self!r} expects x of shape (N, features); got shape (N,). Give "
                             "samples an axis of features, x[:, None] for a single one; a sample "
                             "alone is x[None].")
        *leading, features = shape
        self.learn(features, "the last axis")
        shape_of_weight = (self.out_features, features)
        self.weight, self.bias = self.weight_and_bias(shape_of_weight, self.out_features)
        self.least_rows = least_rows(self.weight.data)
        return (*leading, self.out_features)

    def forward(self, x: Tensor, activation: Kernels | None = None) -> Tensor:
        slope = None
        try:
            bias = self.bias
            rows = x if x.dim() == 2 else x.flatten(0, -2)  # leading axes count as one batch
            if large := rows.shape[0] >= self.least_rows:
                y = affine(rows, self.weight.data, None if bias is None else bias.data)
            elif bias is None:
                y = torch.mm(rows, self.weight.data_t)
            else:
                y = torch.addmm(bias.data, rows, self.weight.data_t)
        except (AttributeError, IndexError, RuntimeError):  # only now: a good x costs nothing
            return self.forward(self.mended(x), activation)
        if activation is not None:
            activate, slope = activation
            y = activate(y)
        products = LARGE if large else SMALL
        self.save_for_backward(rows, y if slope else None, slope, *products)
        return y if rows is x else y.view(*x.shape[:-1], self.out_features)

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        x, y, slope, add_outer, back = self.saved_tensors()
        weight, bias = self.weight, self.bias
        rows = dy if dy.dim() == 2 else dy.flatten(0, -2)
        if slope is not None:  # back through the fused activation first
            rows = slope(rows, y)
        rows_t = rows.t()
        if weight.trainable:
            add_outer(weight.grad, rows_t, x)
        if bias is not None and bias.trainable:
            bias.add_row_sum(rows_t)
        if not need_dx:
            return None
        dx: Tensor = back(rows, weight.data)
        return dx if dy.dim() == 2 else dx.view(*dy.shape[:-1], dx.shape[1])
