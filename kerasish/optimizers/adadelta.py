"""Adadelta: steps as large as the steps before, whatever the scale of the gradient."""

from typing import ClassVar, Unpack

from torch import Tensor

from kerasish.checks import check_positive, check_share
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared


class Adadelta(Optimizer):
    """Scales the gradient by the ratio of the usual step to the usual gradient.

        s ← ρ s + (1 - ρ) g²
        Δ = √(d + ε) / √(s + ε) · g
        d ← ρ d + (1 - ρ) Δ²,   w ← w - α Δ

    Source: Zeiler (2012), Algorithm 1, with a rate α, which is 1 there.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        rho: ρ, the share of s and d that remains at each update, from 0 to below 1.
        epsilon: ε, above 0: it decides how large the first steps are.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> Adadelta(rho=0.9)
        Adadelta(rho=0.9)
    """

    formula: ClassVar[str] = "w ← w - α √(d + ε) / √(s + ε) · g"

    def __init__(
        self,
        learning_rate: Rate = 1.0,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.rho = check_share("Adadelta(rho)", rho)
        self.epsilon = check_positive("Adadelta(epsilon)", epsilon, "Its usual value is 1e-6.")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("s", "d")

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        s, d = slots
        s.mul_(self.rho).addcmul_(g, g, value=1 - self.rho)
        Δ = d.add(self.epsilon).div_(s.add(self.epsilon)).sqrt_().mul_(g)
        d.mul_(self.rho).addcmul_(Δ, Δ, value=1 - self.rho)
        w.sub_(Δ, alpha=self.rate)
