"""Rates that go down along a cosine: slowly, fast, and slowly again."""

import math

from kerasish.checks import check_number, check_rate
from kerasish.schedules.schedule import Schedule, check_steps


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
        self.decay_steps = check_steps("CosineDecay(decay_steps)", decay_steps)
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


class CosineDecayRestarts(Schedule):
    """Takes the rate down along half a cosine, then starts again, each time for longer if asked.

        α(t) = α₀ (a + (1 - a) mⁱ (1 + cos(π t' / (s kⁱ))) / 2)

    i is the number of restarts so far and t' the updates since the last one.

    Source: Loshchilov & Hutter (2017), SGDR, eq. 5, with k as their T_mult; m as in Keras.

    Args:
        initial_learning_rate: α₀, 0 or more.
        first_decay_steps: s, updates until the first restart, above 0.
        t_mul: k, by which each period is longer than the one before, 1 or more.
        m_mul: m, by which the rate starts lower after each restart, 0 or more.
        alpha: a, the share of the rate that remains at the end of each period, 0 or more.

    Example:
        >>> [round(CosineDecayRestarts(0.1, 2)(step), 3) for step in (0, 1, 2, 4, 6)]
        [0.1, 0.05, 0.1, 0.05, 0.1]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        self.initial_learning_rate = check_rate(
            "CosineDecayRestarts(initial_learning_rate)", initial_learning_rate
        )
        self.first_decay_steps = check_steps(
            "CosineDecayRestarts(first_decay_steps)", first_decay_steps
        )
        self.t_mul = check_number("CosineDecayRestarts(t_mul)", t_mul, 1)
        self.m_mul = check_rate("CosineDecayRestarts(m_mul)", m_mul)
        self.alpha = check_rate("CosineDecayRestarts(alpha)", alpha)

    def __call__(self, step: int) -> float:
        restarts, passed = self._period(step / self.first_decay_steps)
        cosine = math.pow(self.m_mul, restarts) * (1 + math.cos(math.pi * passed)) / 2
        return self.initial_learning_rate * (self.alpha + (1 - self.alpha) * cosine)

    def _period(self, passed: float) -> tuple[int, float]:
        """How many periods are over, and which share of the current one, in first periods."""
        if self.t_mul == 1:
            return math.floor(passed), passed % 1
        # 1 + k + … + kⁱ⁻¹ = (kⁱ - 1) / (k - 1) first periods are over after i restarts; at a
        # restart itself the logarithm may fall short of i by rounding
        restarts = math.floor(math.log(1 + passed * (self.t_mul - 1), self.t_mul) + 1e-9)
        length = math.pow(self.t_mul, restarts)
        return restarts, (passed - (length - 1) / (self.t_mul - 1)) / length
