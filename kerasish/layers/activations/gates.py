"""Activations that let x pass as far as a gate is open, a gate that x itself moves."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice
from kerasish.layers.axes import check_axis, place_of_axis
from kerasish.module import Module
from kerasish.types import Shape

_Backward = Callable[[Tensor, Tensor], Tensor]
_gelu: Callable[..., Tensor] = torch.ops.aten.gelu.default
_gelu_backward: Callable[..., Tensor] = torch.ops.aten.gelu_backward.default
_silu: Callable[[Tensor], Tensor] = torch.ops.aten.silu.default
_silu_backward: _Backward = torch.ops.aten.silu_backward.default
_mish: Callable[[Tensor], Tensor] = torch.ops.aten.mish.default
_mish_backward: _Backward = torch.ops.aten.mish_backward.default
_glu: Callable[[Tensor, int], Tensor] = torch.ops.aten.glu.default
_glu_backward: Callable[[Tensor, Tensor, int], Tensor] = torch.ops.aten.glu_backward.default


class GELU(Module):
    """Weighs x by how likely a normal number lies below it.

        y = x · Φ(x),  Φ(x) = (1 + erf(x / √2)) / 2

    With approximate="tanh", Φ(x) ≈ (1 + tanh(√(2 / π) (x + 0.044715 x³))) / 2.

    Shapes: x and y (N, ...).
    Backward: dx = dy (Φ(x) + x Φ'(x)), with Φ'(x) = exp(-x² / 2) / √(2 π).
    Source: Hendrycks and Gimpel (2016), "Gaussian Error Linear Units", section 2.
    Raises: ValueError for another approximation.

    Args:
        approximate: "none", or "tanh" as in the first GPT and BERT.

    Example:
        >>> GELU()(torch.tensor([[0.0, 10.0]]))
        tensor([[ 0., 10.]])
    """

    formula: ClassVar[str] = "y = x · Φ(x)"
    backward_formula: ClassVar[str] = "dx = dy (Φ(x) + x Φ'(x))"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-0.171, math.inf)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = check_choice("GELU(approximate)", approximate, ("none", "tanh"))

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _gelu(x, approximate=self.approximate)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _gelu_backward(dy, x, approximate=self.approximate)


class SiLU(Module):
    """Weighs x by its own sigmoid; also called swish.

        y = x σ(x)

    Shapes: x and y (N, ...).
    Backward: dx = dy σ(x) (1 + x (1 - σ(x))).
    Source: Elfwing et al. (2018), "Sigmoid-Weighted Linear Units for Neural Network Function
        Approximation in Reinforcement Learning"; Ramachandran et al. (2017) found it again.

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> SiLU()(torch.tensor([[0.0, 100.0]]))
        tensor([[  0., 100.]])
    """

    formula: ClassVar[str] = "y = x σ(x)"
    backward_formula: ClassVar[str] = "dx = dy σ(x) (1 + x (1 - σ(x)))"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-0.279, math.inf)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _silu(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _silu_backward(dy, x)


class Mish(Module):
    """Weighs x by the tanh of its softplus.

        y = x tanh(s),  s = ln(1 + exp(x))

    Shapes: x and y (N, ...).
    Backward: dx = dy (tanh(s) + x σ(x) (1 - tanh²(s))), since s' = σ(x).
    Source: Misra (2019), "Mish: A Self Regularized Non-Monotonic Activation Function".

    Args:
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Mish()(torch.tensor([[0.0, 100.0]]))
        tensor([[  0., 100.]])
    """

    formula: ClassVar[str] = "y = x tanh(ln(1 + exp(x)))"
    backward_formula: ClassVar[str] = (
        "dx = dy (tanh(s) + x σ(x) (1 - tanh²(s))), s = ln(1 + exp(x))")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    y_range: ClassVar[tuple[float, float] | None] = (-0.309, math.inf)

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _mish(x)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _mish_backward(dy, x)


class GLU(Module):
    """Halves an axis: the second half is the gate of the first.

        y = a σ(b),  x = [a, b]

    Shapes: x (N, ..., 2 d, ...), y (N, ..., d, ...).
    Backward: da = dy σ(b),  db = dy a σ(b) (1 - σ(b)),  dx = [da, db].
    Source: Dauphin et al. (2017), "Language Modeling with Gated Convolutional Networks", eq. 1.
    Raises: ValueError if dim is 0, the batch, or if x has an odd size there.

    Args:
        dim: the axis to halve; the batch is axis 0.

    Example:
        >>> GLU().build((8, 6))
        (8, 3)
    """

    formula: ClassVar[str] = "y = a σ(b), x = [a, b]"
    backward_formula: ClassVar[str] = "da = dy σ(b),  db = dy a σ(b) (1 - σ(b)),  dx = [da, db]"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False

    def __init__(self, dim: int = -1) -> None:
        self.dim = check_axis("GLU(dim)", dim)

    def build(self, shape: Shape) -> Shape:
        place = place_of_axis(self, self.dim, shape)
        if shape[place] % 2:
            raise ValueError(
                f"{self!r} expects an even size on axis {self.dim} of x, to halve it; got "
                f"{shape[place]}. Make it {shape[place] + 1}, for instance."
            )
        return (*shape[:place], shape[place] // 2, *shape[place + 1 :])

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return _glu(x, self.dim)

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return _glu_backward(dy, x, self.dim)
