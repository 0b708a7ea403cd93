"""Two inputs that multiply: each output weighs all their products."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.initializers import kaiming_normal, zeros
from kerasish.layers.products import add_outer, affine, back
from kerasish.layers.sizes import Sized
from kerasish.parameter import Parameter
from kerasish.types import Device, Shape


class Bilinear(Sized):
    """Weighs the products of the features of two inputs, and adds a bias.

        y_o = Σ_ij x1_i W_oij x2_j + b_o = x1 · u_o + b_o,  u_o = W_o x2

    Shapes: x a tuple of x1 (N, ..., in1_features) and x2 (N, ..., in2_features), weight W
        (out_features, in1_features, in2_features), bias b (out_features,),
        y (N, ..., out_features).
    Backward: dx1 = Σ_o dy_o u_o,  du_o = dy_o x1,  dx2 = Σ_o W_oᵀ du_o,  dW_o = Σ du_o x2ᵀ and
        db = Σ dy over all rows.
    Source: initial weights as in He et al. (2015), eq. 10, with a fan-in of in1_features ·
        in2_features (torch draws from a uniform distribution); biases start at zero.
    Raises: ValueError if a size is below 1, or if x has other sizes than the layer was built for.

    Args:
        in1_features: size of the last axis of x1. Left out, it is learned at build, and a single
            size is out_features: `Bilinear(4)` is `Bilinear(out_features=4)`.
        in2_features: the same of x2.
        out_features: size of the last axis of y, at least 1.
        bias: whether b is added.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> Bilinear(4).build(((2,), (3,)))
        (4,)
    """

    formula: ClassVar[str] = "y_o = x1ᵀ W_o x2 + b_o"
    backward_formula: ClassVar[str] = (
        "dx1 = Σ_o dy_o W_o x2,  dx2 = Σ_o dy_o W_oᵀ x1,  dW_o = Σ dy_o x1 x2ᵀ,  db = Σ dy "
        "over all rows")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    size_names: ClassVar[tuple[str, str]] = ("in1_features", "out_features")

    def __init__(
        self,
        in1_features: int | None = None,
        in2_features: int | None = None,
        out_features: int | None = None,
        bias: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        if in2_features is not None:
            fix = "Write Bilinear(2, 3, 4), or out_features=4 alone."
            check_count("Bilinear(in2_features)", in2_features, 1, fix)
            check_count("Bilinear(out_features)", out_features, 1, fix)
        self.in1_features, self.out_features = self.sizes(in1_features, out_features)
        self.in2_features = in2_features
        self.use_bias, self.device, self.dtype = bias, device, dtype

    def build(self, shape: Any) -> Shape:
        first, second = self._checked(shape)
        self.in1_features, self.in2_features = first[-1], second[-1]
        shape_of_weight = (self.out_features, first[-1], second[-1])
        self.weight = Parameter(kaiming_normal(shape_of_weight, self.device, self.dtype))
        self.bias: Parameter | None = None
        if self.use_bias:
            bias = zeros((self.out_features,), self.device, self.dtype)
            self.bias = Parameter(bias, decay=False)
        return (*first[:-1], self.out_features)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        (*leading, _), weight = x[0].shape, self.weight.data
        if leading != [*x[1].shape[:-1]]:  # joined, they might have as many rows
            self._checked(tuple(tuple(each.shape) for each in x))
        x1, x2 = (each.flatten(0, -2) for each in x)  # leading axes count as one batch
        u = affine(x2, weight.flatten(0, 1)).view(-1, *weight.shape[:2])
        if self.bias is None:
            y = torch.bmm(u, x1.unsqueeze(2))
        else:
            y = torch.baddbmm(self.bias.data.unsqueeze(1), u, x1.unsqueeze(2))
        self.save_for_backward(x1, x2, u, [each.shape for each in x])
        return y.view(*leading, self.out_features)

    def backward(self, dy: Tensor, need_dx: bool = True) -> tuple[Tensor, Tensor] | None:
        x1, x2, u, shapes = self.saved_tensors()
        weight, bias = self.weight, self.bias
        rows = dy.flatten(0, -2)
        if bias is not None and bias.trainable:
            bias.add_row_sum(rows.t())
        du = (rows.unsqueeze(2) * x1.unsqueeze(1)).flatten(1)
        if weight.trainable:
            add_outer(weight.grad.flatten(0, 1), du.t(), x2)
        if not need_dx:
            return None
        dx1 = torch.bmm(rows.unsqueeze(1), u)
        dx2 = back(du, weight.data.flatten(0, 1))
        return dx1.view(shapes[0]), dx2.view(shapes[1])

    def own_bytes(self, shape: Any) -> int:
        first, _ = shape
        numbers = torch.Size(first).numel() * self.out_features  # u
        return numbers * torch.get_default_dtype().itemsize

    def _checked(self, shape: Any) -> tuple[Shape, Shape]:
        pair = isinstance(shape, tuple) and len(shape) == 2 and all(
            isinstance(each, tuple) and each for each in shape)
        if not pair or shape[0][:-1] != shape[1][:-1]:
            raise ValueError(f"{self!r} expects a tuple (x1, x2) of shapes alike but for the last "
                             f"axis; got {shape}. Call it on two tensors, (N, ..., features).")
        for name, each in zip(("in1_features", "in2_features"), shape, strict=True):
            if getattr(self, name) not in (None, each[-1]):
                raise ValueError(
                    f"{self!r} expects {getattr(self, name)} features on the last axis of "
                    f"x{name[2]}; got {each[-1]}. Give it such data, or make a layer for them.")
        return shape[0], shape[1]
