"""Noise against overfitting."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.module import Module
from kerasish.random import stream
from kerasish.types import Shape


class Dropout(Module):
    """Sets elements to zero by chance while training, and scales the rest up to keep the mean.

        y = x · mask / (1 - p)  in training, with mask ~ Bernoulli(1 - p);  y = x  in evaluation

    Shapes: x and y (N, ...).
    Backward: dx = dy · mask / (1 - p), with the mask of the matching forward.
    Source: Srivastava et al. (2014); scaled while training, so that evaluation does nothing.
    Raises: ValueError if p is outside [0, 1].

    Args:
        p: the share of elements that is dropped, 0 to 1.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> Dropout(0.5).eval()(torch.ones(1, 2))
        tensor([[1., 1.]])
    """

    formula: ClassVar[str] = "y = x · mask / (1 - p)"
    backward_formula: ClassVar[str] = "dx = dy · mask / (1 - p)"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        who = type(self).__name__
        self.p = check_number(f"{who}(p)", p, 0, 1, f"{who}(0.2) drops every fifth.")
        self._divisor = 1 - self.p

    def forward(self, x: Tensor) -> Tensor:
        mask = self.drawn_mask(x)
        self.save_for_backward(mask)
        return x if mask is None else x * mask

    def backward(self, dy: Tensor) -> Tensor:
        (mask,) = self.saved_tensors()
        return dy if mask is None else dy * mask

    def own_bytes(self, shape: Shape) -> int:
        return torch.Size(shape).numel() * torch.get_default_dtype().itemsize

    def drawn_mask(self, x: Tensor) -> Tensor | None:
        """The factors of x, in its type: a mask of bools multiplies more slowly. None is 1."""
        if not self.training or self.p == 0:
            return None
        if self.p == 1:  # torch draws nothing here
            return x.new_zeros(())
        return self._empty(x).bernoulli_(1 - self.p, generator=stream()).div_(self._divisor)

    def _empty(self, x: Tensor) -> Tensor:
        return torch.empty_like(x)
