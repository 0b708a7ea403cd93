"""Points in a square, labelled by a disc: small enough to train on in seconds."""

import math

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.random import check_seed

RADIUS = 1 / math.sqrt(2 * math.pi)
"""The disc covers half of the unit square, so that both labels are equally likely."""


def disc(
    train: int = 1000, test: int = 1000, seed: int = 0
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Points drawn uniformly from the unit square, and whether they lie in a disc in its middle.

        y = +1 where |x - (0.5, 0.5)| < 1 / √(2π), else -1

    Shapes: x (train, 2) and y (train, 1), floats; the same for test.

    Args:
        train: number of training points, 0 or more.
        test: number of test points, 0 or more.
        seed: decides the points; it does not touch other random numbers.

    Returns: `(x, y), (x_test, y_test)`.

    Example:
        >>> (x, y), (x_test, y_test) = disc(train=3, test=2)
        >>> x.shape, y_test.shape
        (torch.Size([3, 2]), torch.Size([2, 1]))
    """
    train, test = check_count("disc(train)", train), check_count("disc(test)", test)
    generator = torch.Generator().manual_seed(check_seed("disc", seed))
    x = torch.rand(train + test, 2, generator=generator)
    inside = (x - 0.5).square().sum(1, keepdim=True) < RADIUS**2
    y = torch.where(inside, 1.0, -1.0)
    return (x[:train], y[:train]), (x[train:], y[train:])
