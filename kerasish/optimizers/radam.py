"""RAdam: Adam that waits with its scaling until it has seen enough to scale by."""

import math
from typing import ClassVar

from torch import Tensor

from kerasish.optimizers.moments import Moments


class RAdam(Moments):
    """Warms Adam up by itself: scales by the size of the gradient as far as that is known yet.

        m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
        w ← w - α r m̂ √(1 - β₂ᵗ) / (√v + ε)  if ρ > 5,  else  w ← w - α m̂
        r = √((ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ))
        ρ∞ = 2 / (1 - β₂) - 1,  ρ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ),  m̂ = m / (1 - β₁ᵗ)

    Source: Liu et al. (2020), "On the Variance of the Adaptive Learning Rate and Beyond",
        Algorithm 2; ρ > 5 and ε as in torch.optim.

    Example:
        >>> RAdam(0.01)
        RAdam(0.01)
    """

    formula: ClassVar[str] = "w ← w - α r m̂ / (√v̂ + ε)"

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        m, v = slots
        t, β1, β2 = self.iterations + 1, self.beta_1, self.beta_2
        m.lerp_(g, 1 - β1)
        v.mul_(β2).addcmul_(g, g, value=1 - β2)
        α = self.rate / (1 - β1**t)
        ρ_limit = 2 / (1 - β2) - 1
        ρ = ρ_limit - 2 * t * β2**t / (1 - β2**t)
        if ρ > 5:
            r = math.sqrt((ρ - 4) * (ρ - 2) * ρ_limit / ((ρ_limit - 4) * (ρ_limit - 2) * ρ))
            w.addcdiv_(m, v.sqrt().add_(self.epsilon), value=-α * r * math.sqrt(1 - β2**t))
        else:
            w.add_(m, alpha=-α)
