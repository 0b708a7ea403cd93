"""RMSprop: each step divided by the root of the mean square of the gradient."""

from typing import ClassVar, Unpack

from torch import Tensor

from kerasish.checks import check_positive, check_share
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared


class RMSprop(Optimizer):
    """Divides the gradient by its usual size, with a velocity if momentum μ is above 0.

        s ← ρ s + (1 - ρ) g²
        w ← w - α g / (√s + ε)                                 without momentum
        v ← μ v + g / (√s + ε),   w ← w - α v                  with momentum

    Centered, the variance s - ḡ² stands in the place of s, with ḡ ← ρ ḡ + (1 - ρ) g.

    Source: Tieleman & Hinton (2012), Lecture 6.5; centered: Graves (2013), eq. 38 to 45. ε is
        outside the root and the rate outside the velocity, as in torch.optim (Keras has both
        inside).
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        rho: ρ, the share of s that remains at each update, from 0 to below 1.
        momentum: μ, from 0 to below 1.
        epsilon: ε, above 0: keeps the step finite where s is 0.
        centered: whether to divide by the standard deviation.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.

    Example:
        >>> RMSprop(0.001, momentum=0.9)
        RMSprop(0.001, momentum=0.9)
    """

    formula: ClassVar[str] = "w ← w - α g / (√s + ε)"

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        centered: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        self.rho = check_share("RMSprop(rho)", rho)
        self.momentum = check_share("RMSprop(momentum)", momentum)
        self.epsilon = check_positive("RMSprop(epsilon)", epsilon, "Its usual value is 1e-8.")
        self.centered = centered

    @property
    def slots(self) -> tuple[str, ...]:
        mean, velocity = ("mean",) * self.centered, ("velocity",) * bool(self.momentum)
        return ("s", *mean, *velocity)

    def update(self, w: Tensor, g: Tensor, *slots: Tensor) -> None:
        s, *more = slots
        s.mul_(self.rho).addcmul_(g, g, value=1 - self.rho)
        if self.centered:
            mean = more[0].lerp_(g, 1 - self.rho)
            # where the gradient is constant, rounding may leave less than nothing
            size = s.addcmul(mean, mean, value=-1).clamp_min_(0).sqrt_().add_(self.epsilon)
        else:
            size = s.sqrt().add_(self.epsilon)
        if self.momentum:
            v = more[-1].mul_(self.momentum).addcdiv_(g, size)
            w.sub_(v, alpha=self.rate)
        else:
            w.addcdiv_(g, size, value=-self.rate)
