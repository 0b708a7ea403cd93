"""Stochastic gradient descent, plain, with momentum, or with Nesterov's look ahead."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from kerasish.checks import check_share
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared

_fused_sgd = torch._fused_sgd_


class SGD(Optimizer):
    """Goes down the gradient, with a velocity if momentum μ is above 0.

        w ← w - α g                                            without momentum
        v ← μ v + g,   w ← w - α v                             with momentum
        v ← μ v + g,   w ← w - α (g + μ v)                     with Nesterov's momentum

    Source: Sutskever et al. (2013), with the rate outside the velocity, as in torch.optim: a change
        of rate acts at once on the whole step.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        momentum: μ, from 0 to below 1.
        nesterov: whether to look ahead; needs momentum.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> SGD(learning_rate=0.1, momentum=0.9)
        SGD(learning_rate=0.1, momentum=0.9)
    """

    formula: ClassVar[str] = "v ← μ v + g,  w ← w - α v"

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.momentum = check_share("SGD(momentum)", momentum)
        if nesterov and not momentum:
            raise ValueError(
                "SGD(nesterov=True) expects a momentum above 0; got 0. Write momentum=0.9, too."
            )
        self.nesterov = nesterov

    @property
    def slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        if not slots:  # one operation is faster than the kernel
            w.add_(g, alpha=-self.rate)
            return
        _fused_sgd([w], [g], list(slots), lr=self.rate, momentum=self.momentum,
                   nesterov=self.nesterov, weight_decay=0.0, dampening=0.0, maximize=False,
                   is_first_step=False)
