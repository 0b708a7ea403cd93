"""Nadam: Adam that looks ahead as Nesterov's momentum does."""

import math
from typing import ClassVar, Unpack

from torch import Tensor

from kerasish.checks import check_number
from kerasish.optimizers.moments import Moments
from kerasish.optimizers.optimizer import Rate
from kerasish.optimizers.settings import Shared


class Nadam(Moments):
    """Takes Adam's step from where the running mean of the gradient leads next.

        m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
        m̂ = μₜ₊₁ m / (1 - Π μᵢ, i ≤ t+1) + (1 - μₜ) g / (1 - Π μᵢ, i ≤ t)
        w ← w - α m̂ / (√v̂ + ε)           μₜ = β₁ (1 - 0.96^(t ψ) / 2),  v̂ = v / (1 - β₂ᵗ)

    Source: Dozat (2016), "Incorporating Nesterov Momentum into Adam", Algorithm 2 and the schedule
        of μ in its appendix, as in torch.optim.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0.
        momentum_decay: ψ, how fast μ grows from β₁ / 2 towards β₁, 0 or more.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> Nadam(0.01)
        Nadam(0.01)
    """

    formula: ClassVar[str] = "w ← w - α m̂ / (√v̂ + ε),  m̂ one step ahead"

    def __init__(
        self,
        learning_rate: Rate = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 0.004,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)
        self.momentum_decay = check_number("Nadam(momentum_decay)", momentum_decay, 0)
        self._product = (0, 1.0)

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        m, v = slots
        t, α = self.iterations + 1, self.rate
        μ, μ_next, product = self._μ(t), self._μ(t + 1), self._product_up_to(t)
        m.lerp_(g, 1 - self.beta_1)
        v.mul_(self.beta_2).addcmul_(g, g, value=1 - self.beta_2)
        scale = v.div(1 - self.beta_2**t).sqrt_().add_(self.epsilon)
        w.addcdiv_(g, scale, value=-α * (1 - μ) / (1 - product))
        w.addcdiv_(m, scale, value=-α * μ_next / (1 - product * μ_next))

    def _μ(self, t: int) -> float:
        return self.beta_1 * (1 - math.pow(0.96, t * self.momentum_decay) / 2)

    def _product_up_to(self, t: int) -> float:
        """Π μᵢ for i ≤ t, from the latest one known: it follows from t, so it is not saved."""
        known, product = self._product if self._product[0] <= t else (0, 1.0)
        for i in range(known + 1, t + 1):
            if product < 1e-20:
                break  # 1 less the product is 1 from here on
            product *= self._μ(i)
        self._product = (t, product)
        return product
