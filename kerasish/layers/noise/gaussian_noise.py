"""Noise that is added: no two epochs see the same samples."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.module import Module
from kerasish.random import stream


class GaussianNoise(Module):
    """Adds normal numbers of mean 0 while training.

        y = x + ε  in training, with ε ~ N(0, stddev²);  y = x  in evaluation

    Shapes: x and y (N, ...).
    Backward: dx = dy.
    Source: Bishop (1995), "Training with Noise is Equivalent to Tikhonov Regularization".
    Raises: ValueError if stddev is below 0.

    Args:
        stddev: standard deviation of the noise, at least 0.

    Example:
        >>> GaussianNoise(0.1).eval()(torch.ones(1, 2))
        tensor([[1., 1.]])
    """

    formula: ClassVar[str] = "y = x + ε, ε ~ N(0, stddev²)"
    backward_formula: ClassVar[str] = "dx = dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, stddev: float) -> None:
        self.stddev = check_number("GaussianNoise(stddev)", stddev, 0,
                                   fix="0.1 suits inputs of variance 1.")

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        if not self.training or self.stddev == 0:
            return x
        return torch.empty_like(x).normal_(0, self.stddev, generator=stream()).add_(x)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy
