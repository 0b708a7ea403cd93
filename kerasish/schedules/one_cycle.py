"""One rise to a high rate and one long descent, for fast training."""

import math

from kerasish.checks import check_choice, check_count, check_number, check_positive
from kerasish.schedules.schedule import Schedule


class OneCycle(Schedule):
    """Goes up from a low rate to the highest one, and down again to almost nothing.

        α₀ = α / d  →  α  →  α₀ / f                 or, in three phases,
        α₀ = α / d  →  α  →  α₀  →  α₀ / f

    Update number n - 1 has the lowest rate, and so have all after it. The numbers are those of
    torch's OneCycleLR, which cycles the momentum, too; this is the rate alone.

    Source: Smith & Topin (2018), "Super-Convergence"; three phases as they have it, a cosine and
        two phases after Howard's fastai.
    Raises: ValueError for settings out of range.

    Args:
        max_learning_rate: α, above 0.
        total_steps: n, the updates of the whole training.
        pct_start: the share of them that goes up, from 0 to 1; in three phases, down as well.
        anneal_strategy: "cos", along half cosines, or "linear".
        div_factor: d, above 0.
        final_div_factor: f, above 0.
        three_phase: whether the way down takes as long as the way up, before a last descent.

    Example:
        >>> [round(OneCycle(1.0, total_steps=10)(step), 3) for step in (0, 2, 5, 9)]
        [0.04, 1.0, 0.611, 0.0]
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        self.max_learning_rate = check_positive(
            "OneCycle(max_learning_rate)", max_learning_rate, "0.1 is a usual one for SGD."
        )
        self.total_steps = check_count("OneCycle(total_steps)", total_steps, 1,
                                       "Epochs times batches an epoch is what it should be.")
        self.pct_start = check_number("OneCycle(pct_start)", pct_start, 0, 1)
        self.anneal_strategy = check_choice("OneCycle(anneal_strategy)", anneal_strategy,
                                            ("cos", "linear"))
        self.div_factor = check_positive("OneCycle(div_factor)", div_factor)
        self.final_div_factor = check_positive("OneCycle(final_div_factor)", final_div_factor)
        self.three_phase = three_phase

    def __call__(self, step: int) -> float:
        start, rate = 0.0, self.max_learning_rate / self.div_factor
        for end, next_rate in self._phases():
            if start < end and step <= end:
                return self._between(rate, next_rate, (step - start) / (end - start))
            start, rate = end, next_rate
        return rate

    def _phases(self) -> list[tuple[float, float]]:
        """The last update of each phase, and the rate that it leads to."""
        up = self.pct_start * self.total_steps - 1
        initial = self.max_learning_rate / self.div_factor
        middle = [(2 * up, initial)] if self.three_phase else []
        last = (self.total_steps - 1.0, initial / self.final_div_factor)
        return [(up, self.max_learning_rate), *middle, last]

    def _between(self, first: float, last: float, passed: float) -> float:
        left = (1 + math.cos(math.pi * passed)) / 2 if self.anneal_strategy == "cos" else 1 - passed
        return last + (first - last) * left
