"""Learning rates that change with the number of updates; any function of it is one, too."""

import math

from kerasish.checks import check_rate
from kerasish.configured import Configured


class Schedule(Configured):
    """Base of schedules: a function from the number of updates so far to a learning rate."""

    def __call__(self, step: int) -> float:
        """The learning rate of the update with this number, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(step) method. Write it.")


class ExponentialDecay(Schedule):
    """Multiplies the rate by the same factor again and again.

        α(t) = α₀ rᵗ⸍ˢ,  with t / s rounded down if staircase

    Args:
        initial_learning_rate: α₀, 0 or more.
        decay_steps: s, updates after which the factor has been applied once, above 0.
        decay_rate: r, the factor, 0 or more.
        staircase: whether the rate goes down in steps.

    Example:
        >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
        0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        self.initial_learning_rate = check_rate(
            "ExponentialDecay(initial_learning_rate)", initial_learning_rate
        )
        self.decay_steps = _check_steps("ExponentialDecay", decay_steps)
        self.decay_rate = check_rate("ExponentialDecay(decay_rate)", decay_rate)
        self.staircase = staircase

    def __call__(self, step: int) -> float:
        exponent = step / self.decay_steps
        if self.staircase:
            exponent = math.floor(exponent)
        return self.initial_learning_rate * math.pow(self.decay_rate, exponent)


class CosineDecay(Schedule):
    """Takes the rate down along half a cosine, after a straight warm-up if asked.

        α(t) = α₀ (a + (1 - a) (1 + cos(π t / s)) / 2),  and α₀ a once t ≥ s

    Source: Loshchilov & Hutter (2017), SGDR, eq. 5, without restarts.

    Args:
        initial_learning_rate: α₀, 0 or more; with a warm-up, the rate that it starts from.
        decay_steps: s, updates that the cosine takes, above 0.
        alpha: a, the share of the rate that remains at the end, 0 or more.
        warmup_target: the rate at the end of the warm-up; None for no warm-up.
        warmup_steps: updates that the warm-up takes, before the cosine.

    Example:
        >>> round(CosineDecay(0.1, decay_steps=100)(50), 6)
        0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = check_rate(
            "CosineDecay(initial_learning_rate)", initial_learning_rate
        )
        self.decay_steps = _check_steps("CosineDecay", decay_steps)
        self.alpha = check_rate("CosineDecay(alpha)", alpha)
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps
        if warmup_target is not None:
            check_rate("CosineDecay(warmup_target)", warmup_target)

    def __call__(self, step: int) -> float:
        peak = self.initial_learning_rate
        if self.warmup_target is not None:
            start, peak = peak, self.warmup_target
            if step < self.warmup_steps:
                return start + (peak - start) * step / self.warmup_steps
            step -= self.warmup_steps
        passed = min(step / self.decay_steps, 1.0)
        cosine = (1 + math.cos(math.pi * passed)) / 2
        return peak * (self.alpha + (1 - self.alpha) * cosine)


def _check_steps(who: str, steps: float) -> float:
    if not steps > 0:
        raise ValueError(f"{who}(decay_steps) expects a number of updates above 0; got {steps!r}. "
                         "Epochs times batches an epoch is a usual choice.")
    return steps
