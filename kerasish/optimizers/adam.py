"""Adam: a rate for each weight, from running means of its gradient and of the gradient's square."""

from typing import ClassVar

from torch import Tensor

from kerasish.checks import check_positive, check_share
from kerasish.optimizers.optimizer import Optimizer, Rate


class Adam(Optimizer):
    """Scales each step by the size that the gradient usually has there.

        m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
        w ← w - α m̂ / (√v̂ + ε)           m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    Source: Kingma & Ba (2015), Algorithm 1: ε outside the bias correction, as in torch.optim (Keras
        has it inside).
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0: keeps the step finite where v is 0.

    Example:
        >>> Adam(0.01)
        Adam(0.01)
    """

    formula: ClassVar[str] = "w ← w - α m̂ / (√v̂ + ε)"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1 = check_share("Adam(beta_1)", beta_1)
        self.beta_2 = check_share("Adam(beta_2)", beta_2)
        self.epsilon = check_positive("Adam(epsilon)", epsilon, "Its usual value is 1e-8.")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        m, v = slots
        t = self.iterations + 1
        m.lerp_(g, 1 - self.beta_1)
        v.mul_(self.beta_2).addcmul_(g, g, value=1 - self.beta_2)
        m_scale, v_scale = 1 - self.beta_1**t, 1 - self.beta_2**t
        w.addcdiv_(m, v.div(v_scale).sqrt_().add_(self.epsilon), value=-self.rate / m_scale)
