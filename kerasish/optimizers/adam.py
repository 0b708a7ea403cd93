"""Adam: a rate for each weight, from running means of its gradient and of the gradient's square."""

import math
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from kerasish.optimizers.fused import late_step
from kerasish.optimizers.moments import Moments
from kerasish.optimizers.optimizer import Rate
from kerasish.optimizers.settings import Shared

_fused_adam = torch._fused_adam_


class Adam(Moments):
    """Scales each step by the size that the gradient usually has there.

        m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
        w ← w - α m̂ / (√v̂ + ε)           m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    With amsgrad the greatest v so far stands in the place of v in v̂.

    Source: Kingma & Ba (2015), Algorithm 1: ε outside the bias correction, as in torch.optim (Keras
        has it inside); Reddi et al. (2018), Algorithm 2 for AMSGrad, with Adam's bias correction.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0: keeps the step finite where v is 0.
        amsgrad: whether the rate of a weight may never grow again.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

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
        amsgrad: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)
        self.amsgrad = amsgrad

    @property
    def slots(self) -> tuple[str, ...]:
        return (*super().slots, "v_max") if self.amsgrad else super().slots

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        self._descend(w, self.rate, g, *slots)

    def _descend(self, w: Tensor, rate: float, g: Tensor, *slots: Tensor) -> None:
        """The formula, with the scales of m̂ and v̂ folded into α and ε (section 2 of the paper)."""
        m, v, *v_max = slots
        t = self.iterations + 1
        m_scale, root_of_v_scale = 1 - self.beta_1**t, math.sqrt(1 - self.beta_2**t)
        _fused_adam(
            [w], [g], [m], [v], v_max, [late_step(w.device)], lr=rate * root_of_v_scale / m_scale,
            beta1=self.beta_1, beta2=self.beta_2, eps=self.epsilon * root_of_v_scale,
            weight_decay=0.0, amsgrad=self.amsgrad, maximize=False,
        )
