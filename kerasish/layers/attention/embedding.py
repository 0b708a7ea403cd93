"""From whole numbers, words for instance, to vectors."""

import operator
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_built, check_count
from kerasish.initializers import Normal
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.types import Device, Shape

_standard_normal = Normal(std=1.0)


class Embedding(Module):
    """Looks up a row of a matrix for each index.

        y = W[x]

    Shapes: x (N, ...) of integers, weight W (num_embeddings, embedding_dim),
        y (N, ..., embedding_dim).
    Backward: dW[i] = Σ dy over the places where x = i; x has no gradient, so dx is None.
    Source: initial values are drawn from N(0, 1), as torch does.
    Raises: ValueError for sizes below 1 and for what is not offered; TypeError for indices that are
        no integers; IndexError for one that W has no row for.

    Args:
        num_embeddings: rows of W, at least 1; indices go from 0 to num_embeddings - 1.
        embedding_dim: size of a vector, at least 1.
        padding_idx: an index that stands for nothing: its row starts at zero and gets no gradient.
            Negative ones count from the end.
        max_norm: not offered; None.
        norm_type: of max_norm, and so without effect.
        scale_grad_by_freq: not offered; False.
        sparse: not offered; False.
        device: where the parameter is made.
        dtype: its type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint: objects, or their
            names.

    Example:
        >>> Embedding(100, 3)(torch.tensor([[7, 1], [0, 99]])).shape
        torch.Size([2, 2, 3])
    """

    formula: ClassVar[str] = "y = W[x]"
    backward_formula: ClassVar[str] = (
        "dW[i] = Σ dy over the places where x = i,  dx = none: x are integers")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    parameter_names: ClassVar[tuple[str, ...]] = ("weight",)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        self.num_embeddings = check_count("Embedding(num_embeddings)", num_embeddings, 1)
        self.embedding_dim = check_count("Embedding(embedding_dim)", embedding_dim, 1)
        self.padding_idx = None if padding_idx is None else self._row(padding_idx)
        self.norm_type, self.device, self.dtype = norm_type, device, dtype
        if max_norm is not None:
            raise ValueError(
                f"Embedding(max_norm) expects None; got {max_norm!r}. It would change weights in "
                "forward: limit them after each update, with weight_constraint."
            )
        if scale_grad_by_freq:
            raise ValueError("Embedding(scale_grad_by_freq) expects False; got True. Leave it out: "
                             "Adam evens out how often a row is met.")
        if sparse:
            raise ValueError("Embedding(sparse) expects False; got True. Leave it out: gradients "
                             "are added in place, row by row, into a dense matrix.")

    def build(self, shape: Shape) -> Shape:
        shape_of_weight = (self.num_embeddings, self.embedding_dim)
        self.weight = Parameter(_standard_normal(shape_of_weight, self.device, self.dtype))
        return (*shape, self.embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        try:
            y = torch.embedding(self.weight.data, x)
        except (AttributeError, IndexError, RuntimeError):  # only now: a good x costs nothing
            return self.forward(self._mended(x))
        self.save_for_backward(x)
        return y

    def backward(self, dy: Tensor) -> None:
        (x,) = self.saved_tensors()
        if self.weight.trainable:
            gradient, padding = self.weight.grad, self.padding_idx
            before = None if padding is None else gradient[padding].clone()
            gradient.index_add_(0, x.reshape(-1), dy.reshape(-1, self.embedding_dim))
            if before is not None:
                gradient[padding] = before

    def _finish(self) -> None:
        """The padding row is zero, whatever hangs on the weight."""
        super()._finish()
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def _row(self, index: Any) -> int:
        """The row of an index, which may count from the end."""
        rows = self.num_embeddings
        try:
            row = operator.index(index)
        except TypeError:
            row = rows
        if not -rows <= row < rows or isinstance(index, bool):
            raise ValueError(f"Embedding(padding_idx) expects a whole number from {-rows} to "
                             f"{rows - 1}; got {index!r}. 0 is usual.")
        return row % rows

    def _mended(self, x: Tensor) -> Tensor:
        """Small integers as int64; raises what is wrong with any other x."""
        check_built(self)
        if x.is_floating_point() or x.is_complex():
            raise TypeError(f"{self!r} expects x of integers; got {x.dtype}. If it holds whole "
                            "numbers, give it x.long().") from None
        if x.dtype not in (torch.int32, torch.int64):
            return x.long()
        outside = x[(x < 0) | (x >= self.num_embeddings)]
        if not outside.numel():
            raise  # torch's own error, about the device of x
        raise IndexError(
            f"{self!r} expects indices from 0 to {self.num_embeddings - 1}; got {int(outside[0])}. "
            "Give it more rows, or check how x was made."
        ) from None
