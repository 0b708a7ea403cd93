"""Matrices that change no length: what goes in neither grows nor shrinks."""

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.initializers.distributions import normal
from kerasish.initializers.initializer import Initializer, fan_in
from kerasish.types import Shape


class Orthogonal(Initializer):
    """An orthogonal matrix, each as likely as any other; rows or columns of one if not square.

        w wᵀ = g² I if there are no more rows than columns, else wᵀ w = g² I

    Shapes: w (outputs, inputs, *kernel), of which the axes after the first count as columns.
    Source: Saxe et al. (2014), "Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks"; the signs after Mezzadri (2007), section 5.
    Raises: ValueError for a shape of fewer than 2 axes.

    Args:
        gain: g.

    Example:
        >>> w = Orthogonal()((2, 5))
        >>> torch.allclose(w @ w.t(), torch.eye(2), atol=1e-6)
        True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = check_number("Orthogonal(gain)", gain)

    def numbers(self, shape: Shape) -> Tensor:
        if len(shape) < 2:
            raise ValueError(f"{self!r} expects a matrix or a kernel, a shape of 2 axes or more; "
                             f"got {tuple(shape)}. Choose another initializer for vectors.")
        rows, columns = shape[0], fan_in(shape)
        drawn = normal((rows, columns), 1.0)
        q, r = torch.linalg.qr(drawn if rows >= columns else drawn.t())
        # without the signs of R some matrices are likelier than others
        w: Tensor = self.gain * q * r.diagonal().sign()
        return (w if rows >= columns else w.t()).reshape(shape).contiguous()
