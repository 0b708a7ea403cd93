"""What Adam and its kin share: running means of the gradient and of its size."""

from typing import Unpack

from kerasish.checks import check_positive, check_share
from kerasish.optimizers.optimizer import Optimizer, Rate
from kerasish.optimizers.settings import Shared


class Moments(Optimizer):
    """Base of optimizers that keep a mean m of the gradient, and a measure v of its size.

    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        beta_1: β₁, the share of m that remains at each update, from 0 to below 1.
        beta_2: β₂, the share of v that remains, from 0 to below 1.
        epsilon: ε, above 0: keeps the step finite where v is 0.
        shared: weight decay, clipping, accumulation and averages: see Optimizer.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(learning_rate, **shared)
        who = type(self).__name__
        self.beta_1 = check_share(f"{who}(beta_1)", beta_1)
        self.beta_2 = check_share(f"{who}(beta_2)", beta_2)
        self.epsilon = check_positive(f"{who}(epsilon)", epsilon, "Its usual value is 1e-8.")

    @property
    def slots(self) -> tuple[str, ...]:
        return ("m", "v")
