"""LAMB: Adam's direction, and a step as long as the weights of each parameter allow."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from kerasish.optimizers.adam import Adam
from kerasish.optimizers.optimizer import Rate
from kerasish.optimizers.settings import Shared


class LAMB(Adam):
    """Moves each parameter by a share of its own norm, for training in very large batches.

        r = m̂ / (√v̂ + ε)                 with m̂ and v̂ as in Adam
        w ← w - α (‖w‖ / ‖r‖) r          for each parameter; the ratio is 1 if a norm is 0

    Source: You et al. (2020), "Large Batch Optimization for Deep Learning", Algorithm 2, with
        φ(z) = z. There weight decay is a part of r; here it is decoupled, as in every optimizer.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> LAMB(0.01)
        LAMB(0.01)
    """

    elementwise: ClassVar[bool] = False
    formula: ClassVar[str] = "w ← w - α (‖w‖ / ‖r‖) r,  r = m̂ / (√v̂ + ε)"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **shared)

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        r = torch.zeros_like(w)
        self._descend(r, -1.0, g, *slots)
        each_r = r.split_with_sizes(self.sizes)
        w_norms = torch.stack(torch._foreach_norm(w.split_with_sizes(self.sizes)))
        r_norms = torch.stack(torch._foreach_norm(each_r))
        ratios = torch.where((w_norms > 0) & (r_norms > 0), w_norms / r_norms, 1.0)
        torch._foreach_mul_(each_r, ratios.unbind())
        w.sub_(r, alpha=self.rate)
