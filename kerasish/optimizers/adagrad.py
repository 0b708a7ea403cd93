"""Adagrad: the more a weight has been moved, the less it is moved."""

from collections.abc import Iterable
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from kerasish.checks import check_number, check_positive
from kerasish.optimizers.fused import late_step
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared
from kerasish.parameter import Parameter

_fused_adagrad = torch._fused_adagrad_


class Adagrad(Optimizer):
    """Divides each step by the root of the sum of all squared gradients so far.

        s ← s + g²
        w ← w - α g / (√s + ε)

    Source: Duchi et al. (2011), Figure 1 with diagonal matrices; ε outside the root and s = 0 at
        first, as in torch.optim (Keras has it inside, and s = 0.1).
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        initial_accumulator_value: s at first, 0 or more.
        epsilon: ε, above 0: keeps the step finite where s is 0.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> Adagrad(0.1)
        Adagrad(0.1)
    """

    formula: ClassVar[str] = "w ← w - α g / (√s + ε)"

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-10,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.initial_accumulator_value = check_number(
            "Adagrad(initial_accumulator_value)", initial_accumulator_value, 0)
        self.epsilon = check_positive("Adagrad(epsilon)", epsilon, "Its usual value is 1e-10.")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("s",)

    def build(self, parameters: Iterable[Parameter]) -> Optimizer:
        super().build(parameters)
        for slots in self.state.values():
            slots["s"].fill_(self.initial_accumulator_value)
        return self

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        (s,) = slots
        _fused_adagrad([w], [g], [s], [late_step(w.device)], lr=self.rate, lr_decay=0.0,
                       weight_decay=0.0, eps=self.epsilon, maximize=False)
