"""Noise against overfitting."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.module import Module
from kerasish.random import stream
from kerasish.types import Shape


def drawn_mask(like: Tensor, p: float) -> Tensor:
    """Zeros for a share p of the elements, by chance; for the rest what keeps the mean."""
    mask = torch.empty_like(like).bernoulli_(1 - p, generator=stream())
    return mask.div_(1 - p) if p < 1 else mask


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
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if not 0 <= p <= 1:
            raise ValueError(
                f"Dropout(p) expects the share to drop, from 0 to 1; got {p!r}. "
                "Dropout(0.2) drops every fifth element."
            )
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            self.save_for_backward(None)
            return x
        mask = drawn_mask(x, self.p)
        self.save_for_backward(mask)
        return x * mask

    def backward(self, dy: Tensor) -> Tensor:
        (mask,) = self.saved_tensors()
        return dy if mask is None else dy * mask

    def own_bytes(self, shape: Shape) -> int:
        return torch.Size(shape).numel() * torch.get_default_dtype().itemsize
