"""AdamW: Adam with weight decay, which is decoupled here in every optimizer."""

from typing import ClassVar, Unpack

from kerasish.optimizers.adam import Adam
from kerasish.optimizers.optimizer import Rate
from kerasish.optimizers.settings import SharedButDecay


class AdamW(Adam):
    """Adam whose weights shrink a little before each step, where they are under weight decay.

        w ← w - α λ w
        w ← w - α m̂ / (√v̂ + ε)           with m̂ and v̂ as in Adam

    Source: Loshchilov & Hutter (2019), "Decoupled Weight Decay Regularization", Algorithm 2, with λ
        scaled by α as in torch.optim. Biases and norms, `parameter.decay` False, are left out.
    Raises: ValueError for settings out of range.

    Args:
        learning_rate: α, 0 or more, or a schedule.
        weight_decay: λ, 0 or more; second, as in Keras.
        beta_1: β₁, from 0 to below 1.
        beta_2: β₂, from 0 to below 1.
        epsilon: ε, above 0.
        amsgrad: whether the rate of a weight may never grow again.
        shared: clipping, accumulation and averages: see Optimizer.

    Example:
        >>> AdamW(0.001, weight_decay=0.05).weight_decay
        0.05
    """

    formula: ClassVar[str] = "w ← w - α λ w,  w ← w - α m̂ / (√v̂ + ε)"

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        **shared: Unpack[SharedButDecay],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad,
                         weight_decay=weight_decay, **shared)
