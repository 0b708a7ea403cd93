"""Rates that go down by a formula of the number of updates: powers, ratios and stairs."""

import math
from bisect import bisect_left
from collections.abc import Sequence

from kerasish.checks import check_positive, check_rate
from kerasish.schedules.schedule import Schedule, check_steps


class StairDecay(Schedule):
    """Base of decays by a rate, which come down evenly or in steps."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
    ) -> None:
        who = type(self).__name__
        self.initial_learning_rate = check_rate(
            f"{who}(initial_learning_rate)", initial_learning_rate
        )
        self.decay_steps = check_steps(f"{who}(decay_steps)", decay_steps)
        self.decay_rate = check_rate(f"{who}(decay_rate)", decay_rate)
        self.staircase = staircase

    def passed(self, step: int) -> float:
        """How many times `decay_steps` updates have passed."""
        passed = step / self.decay_steps
        return math.floor(passed) if self.staircase else passed


class ExponentialDecay(StairDecay):
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

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * math.pow(self.decay_rate, self.passed(step))


class InverseTimeDecay(StairDecay):
    """Divides the rate by a number that grows evenly.

        α(t) = α₀ / (1 + r t / s),  with t / s rounded down if staircase

    Args:
        initial_learning_rate: α₀, 0 or more.
        decay_steps: s, updates after which the number has grown by r, above 0.
        decay_rate: r, 0 or more.
        staircase: whether the rate goes down in steps.

    Example:
        >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
        0.05
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self.passed(step))


class PolynomialDecay(Schedule):
    """Takes the rate from one value to another along a power of the time that is left.

        α(t) = (α₀ - α₁) (1 - t / s)ᵖ + α₁,  and α₁ once t ≥ s

    With cycle, s doubles, trebles and so on each time t passes it, and the rate jumps up again.

    Args:
        initial_learning_rate: α₀, 0 or more.
        decay_steps: s, above 0.
        end_learning_rate: α₁, 0 or more.
        power: p, above 0; 1 is a straight line.
        cycle: whether the decay starts again after s updates.

    Example:
        >>> PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)
        0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate = check_rate(
            "PolynomialDecay(initial_learning_rate)", initial_learning_rate
        )
        self.decay_steps = check_steps("PolynomialDecay(decay_steps)", decay_steps)
        self.end_learning_rate = check_rate("PolynomialDecay(end_learning_rate)", end_learning_rate)
        self.power, self.cycle = check_positive("PolynomialDecay(power)", power), cycle

    def __call__(self, step: int) -> float:
        decay_steps = self.decay_steps
        if self.cycle:
            decay_steps *= max(1, math.ceil(step / decay_steps))
        left = 1 - min(step / decay_steps, 1.0)
        height = self.initial_learning_rate - self.end_learning_rate
        return height * math.pow(left, self.power) + self.end_learning_rate


class PiecewiseConstantDecay(Schedule):
    """Holds one rate after another.

        α(t) = values[i] for boundaries[i - 1] < t ≤ boundaries[i]

    Raises: ValueError if the boundaries do not grow, or if there is not one value more than there
        are boundaries.

    Args:
        boundaries: the last update of each rate but the last, counted from 0.
        values: the rates, one more, each 0 or more.

    Example:
        >>> [PiecewiseConstantDecay([1, 3], [0.3, 0.2, 0.1])(step) for step in range(5)]
        [0.3, 0.3, 0.2, 0.2, 0.1]
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        who = "PiecewiseConstantDecay"
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"{who}(values) expects a rate before each boundary and one after the last, "
                f"{len(boundaries) + 1} in all; got {len(values)}. Add or remove some."
            )
        if sorted(set(boundaries)) != list(boundaries):
            raise ValueError(f"{who}(boundaries) expects numbers of updates that grow; got "
                             f"{boundaries!r}. Put them in order.")
        self.boundaries = list(boundaries)
        self.values = [check_rate(f"{who}(values)", value) for value in values]

    def __call__(self, step: int) -> float:
        return self.values[bisect_left(self.boundaries, step)]
