"""Lion: the sign of a momentum, so that every weight moves equally far."""

from typing import ClassVar, Unpack

from torch import Tensor

from kerasish.checks import check_share
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared


class Lion(Optimizer):
    """Moves every weight by the rate, against the sign of a running mean of its gradient.

        w ← w - α sign(β₁ m + (1 - β₁) g)
        m ← β₂ m + (1 - β₂) g

    Source: Chen et al. (2023), "Symbolic Discovery of Optimization Algorithms", Algorithm 2. A good
        rate is 3 to 10 times smaller than Adam's, and weight decay as many times larger.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, the share of m in the step, from 0 to below 1.
        beta_2: β₂, the share of m that remains, from 0 to below 1.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> Lion(0.0001)
        Lion(0.0001)
    """

    formula: ClassVar[str] = "w ← w - α sign(β₁ m + (1 - β₁) g)"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.beta_1 = check_share("Lion(beta_1)", beta_1)
        self.beta_2 = check_share("Lion(beta_2)", beta_2)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m",)

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        (m,) = slots
        w.sub_(m.lerp(g, 1 - self.beta_1).sign_(), alpha=self.rate)
        m.lerp_(g, 1 - self.beta_2)
