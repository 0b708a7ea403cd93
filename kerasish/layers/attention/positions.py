"""What tells attention where a token stands."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.sizes import size_or_none
from kerasish.module import Module
from kerasish.types import Shape


class PositionalEncoding(Module):
    """Adds waves to the features, of another length for each pair of them.

        y[t] = x[t] + p[t],    p[t, 2i] = sin(t / 10000^(2i/D)),  p[t, 2i+1] = cos(t / 10000^(2i/D))

    Positions that are learned are an `Embedding` of `torch.arange(T)`. Nothing is kept in the state
    dict: the waves follow from the size.

    Shapes: x and y (N, T, D), for any T up to max_len.
    Backward: dx = dy.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.5; without its dropout,
        which is a `Dropout` after this.
    Raises: ValueError if x has other axes, another D than d_model, or more than max_len positions.

    Args:
        d_model: D; left out, it is learned at build.
        max_len: the largest T; None allows any.

    Example:
        >>> PositionalEncoding()(torch.zeros(1, 2, 2))
        tensor([[[0.0000, 1.0000],
                 [0.8415, 0.5403]]])
    """

    formula: ClassVar[str] = "y[t] = x[t] + p[t], waves of the position t"
    backward_formula: ClassVar[str] = "dx = dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True  # of dy

    def __init__(self, d_model: int | None = None, max_len: int | None = None) -> None:
        self.d_model = size_or_none("PositionalEncoding(d_model)", d_model)
        self.max_len = size_or_none("PositionalEncoding(max_len)", max_len)
        self._tables: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def build(self, shape: Shape) -> Shape:
        self._check(shape)
        self.d_model = shape[-1]
        return shape

    def forward(self, x: Tensor) -> Tensor:
        length, table = x.shape[1], self._tables.get((x.dtype, x.device))
        if table is None or len(table) < length or x.shape[2:] != table.shape[1:]:
            self._check(tuple(x.shape[1:]))
            table = self._tables[x.dtype, x.device] = self._table(x)
        self.save_for_backward()
        return x + table[:length]

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy

    def _table(self, x: Tensor) -> Tensor:
        """The waves for as many positions as x has, in its type and on its device."""
        if not x.is_floating_point():
            raise TypeError(f"{self!r} expects x of floating type; got {x.dtype}. "
                            "Put an Embedding before it.")
        with torch.inference_mode(False):  # it outlives the step
            position = torch.arange(x.shape[1], dtype=torch.float64).unsqueeze(1)
            feature = torch.arange(x.shape[2], dtype=torch.float64)
            even = feature - feature % 2
            angle = position / 10000 ** (even / x.shape[2])
            return torch.where(feature == even, angle.sin(), angle.cos()).to(x.device, x.dtype)

    def _check(self, shape: Shape) -> None:
        if len(shape) != 2 or self.d_model not in (None, shape[-1]):
            wanted = "D" if self.d_model is None else self.d_model
            raise ValueError(f"{self!r} expects x of shape (N, T, {wanted}); got (N, "
                             f"{', '.join(map(str, shape))}). Bring it to that shape.")
        if self.max_len is not None and shape[0] > self.max_len:
            raise ValueError(f"{self!r} expects at most {self.max_len} positions; got {shape[0]}. "
                             "Raise max_len, or cut the sequences.")
