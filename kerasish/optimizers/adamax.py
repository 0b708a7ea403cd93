"""Adamax: Adam that measures the size of the gradient by its largest recent value."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from kerasish.optimizers.moments import Moments
from kerasish.optimizers.optimizer import Rate
from kerasish.optimizers.settings import Shared


class Adamax(Moments):
    """Scales each step by the largest gradient there, which is forgotten little by little.

        m ← β₁ m + (1 - β₁) g            u ← max(β₂ u, |g| + ε)
        w ← w - α / (1 - β₁ᵗ) · m / u

    Source: Kingma & Ba (2015), Algorithm 2, with ε beside |g| as in torch.optim.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> Adamax(0.01)
        Adamax(0.01)
    """

    formula: ClassVar[str] = "w ← w - α / (1 - β₁ᵗ) · m / u"

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "u")

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        m, u = slots
        m.lerp_(g, 1 - self.beta_1)
        torch.maximum(u.mul_(self.beta_2), g.abs().add_(self.epsilon), out=u)
        w.addcdiv_(m, u, value=-self.rate / (1 - self.beta_1 ** (self.iterations + 1)))
