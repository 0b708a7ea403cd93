"""Dropout for nets of SELU: it leaves mean 0 and variance 1 as they are."""

import math
from typing import ClassVar

from torch import Tensor

from kerasish.layers.noise.dropout import Dropout

_ALPHA = 1.7580993408473766
"""How far down SELU goes, which is where dropped elements are put: scale · alpha."""


class AlphaDropout(Dropout):
    """Sets elements to the floor of SELU by chance while training, and keeps mean 0 and variance 1.

        y = a (mask · (x + α) - α (1 - p))  in training, with mask ~ Bernoulli(1 - p);
        y = x  in evaluation;  a = 1 / √((1 - p) (1 + p α²)),  α = 1.7581

    Shapes: x and y (N, ...).
    Backward: dx = a · dy · mask, with the mask of the matching forward.
    Source: Klambauer et al. (2017), "Self-Normalizing Neural Networks", section 3: elements are put
        to -α, then all are scaled and moved. p = 1 gives zeros, as in torch.
    Raises: ValueError if p is outside [0, 1].

    Args:
        p: the share of elements that is dropped, 0 to 1.
        inplace: accepted for torch's sake and ignored: the container decides.

    Example:
        >>> AlphaDropout(0.5).build((2,))
        (2,)
    """

    formula: ClassVar[str] = "y = a (mask · (x + α) - α (1 - p))"
    backward_formula: ClassVar[str] = "dx = a · dy · mask"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__(p, inplace)
        self._divisor = math.sqrt((1 - self.p) * (1 + self.p * _ALPHA**2))  # 1 / a
        self._shift = _ALPHA * (1 - self.p) / self._divisor if self.p < 1 else 0.0

    def forward(self, x: Tensor) -> Tensor:
        mask = self.drawn_mask(x)
        self.save_for_backward(mask)
        return x if mask is None else (x + _ALPHA).mul_(mask).sub_(self._shift)
