"""Which learning rate a model wants: a test in which it grows until the loss explodes."""

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Any

import torch

from kerasish.checks import check_count, check_positive, check_share
from kerasish.data import Source, source_of
from kerasish.insight.batch import require_model, train_step
from kerasish.insight.twin import twin
from kerasish.plots import save_picture, sweep
from kerasish.progress import counted
from kerasish.random import draw_seed
from kerasish.saving.errors import FilePath
from kerasish.training import mode

_EXPLODED = 3.0
"""How many times what the loss had fallen by it may rise above its lowest."""
_DONE, _BELOW = 0.9, 3
"""The trough begins where the loss has done this share of its fall; the suggestion is so many times
smaller than its middle. Both were chosen by training three nets with SGD and Adam."""
_NO_FALL = 0.01
"""The share of the loss that it must fall by, to have fallen at all."""
_CLEAR = 7.0
"""How many standard deviations of the running average it must fall by as well: with rates too small
to train, averages of 200 batches stay below that, while nets that train fall by 9 and more."""
_FEW = 10
"""Fewer losses do not tell how much they differ by chance."""
_STD = math.sqrt(2) * 0.6745
"""The median distance between two draws of a normal distribution, in standard deviations."""


class LearningRates:
    """What `lr_find` saw, step by step, and what it suggests.

    Args:
        learning_rates: of each update, growing.
        losses: of each update, before it; the last one may not be finite.
        smoothed: their running averages, as long as they are finite.
        settling: updates after which these are averages of enough.
    """

    def __init__(self, learning_rates: list[float], losses: list[float], smoothed: list[float],
                 settling: int) -> None:
        self.learning_rates, self.losses, self.smoothed = learning_rates, losses, smoothed
        self._settling = settling

    @property
    def suggestion(self) -> float | None:
        """A third of the rate in the middle of the trough; None if the loss did not fall.

        It fell if it did so by 1 % and clearly more than single batches differ. The suggestion is
        not below the first rate that was tried. The trough begins where the smoothed loss has done
        90 % of its fall, and ends where it is lowest; its middle is the geometric mean of both.
        """
        trough = self._trough()
        if trough is None:
            return None
        return max(math.sqrt(math.prod(trough)) / _BELOW, self.learning_rates[0])

    def _trough(self) -> tuple[float, float] | None:
        """The rates where it begins and ends."""
        settled, rates = self.smoothed[self._settling:], self.learning_rates[self._settling:]
        if not settled:
            return None
        lowest = min(settled)
        fall = settled[0] - lowest
        if fall <= max(_NO_FALL * abs(settled[0]), _CLEAR * self._noise(settled.index(lowest))):
            return None
        enough = settled[0] - _DONE * (settled[0] - lowest)
        begins = next(rate for rate, loss in zip(rates, settled, strict=False) if loss <= enough)
        return begins, rates[settled.index(lowest)]

    def _noise(self, lowest: int) -> float:
        """The standard deviation of the running average, by what differs from loss to loss.

        Only losses up to the lowest average, or some first ones, count: those that explode are no
        noise. With n = 1 / (1 - β), a running average of independent losses varies like a mean of
        2 n - 1.
        """
        losses = self.losses[: self._settling + max(lowest, 2 * _FEW)]
        if len(losses) < _FEW:
            return 0.0
        apart = median(abs(later - loss) for loss, later in pairwise(losses))
        return apart / _STD / math.sqrt(2 * self._settling - 1)

    def plot(self, path: FilePath | None = None) -> Any:
        """Draws the losses over the rates, and the suggestion. Nothing of pyplot's is touched.

        Raises: ImportError without matplotlib, saying how to install it; ValueError for a name of
            no picture; OSError if it cannot be written.

        Args:
            path: where to save the picture, too, "lr_find.png" or ".svg" for instance.

        Returns: a `matplotlib.figure.Figure`.
        """
        figure = sweep(self.learning_rates, self.losses, self.smoothed, self.suggestion)
        if path is not None:
            save_picture("LearningRates.plot(path)", figure, path, "lr_find.png")
        return figure

    def print(self) -> None:
        """Prints what was seen, and the suggestion."""
        print(self)

    def __str__(self) -> str:
        first, last = self.learning_rates[0], self.learning_rates[-1]
        seen = f"{len(self.losses)} updates, with rates from {first:.1e} to {last:.1e}"
        if not self.smoothed:
            return ("The loss of the first batch, before any update, is not finite: no learning "
                    "rate helps. Look for NaN and huge values in the data and the weights.")
        if self.suggestion is None:
            return (f"{seen}: the loss did not fall. Try other bounds, more steps or batches, or "
                    "look at the data.")
        begins, ends = self._trough() or (first, last)
        return (f"{seen}: the smoothed loss is lowest from {begins:.2g} to {ends:.2g}.\n"
                f"Suggested learning rate: {self.suggestion:.2g}")

    def __repr__(self) -> str:
        told = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"<LearningRates of {len(self.losses)} updates, suggestion {told}>"


def lr_find(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    start_lr: float = 1e-6,
    end_lr: float = 10.0,
    num_steps: int = 200,
    smoothing: float = 0.9,
) -> LearningRates:
    """Suggests a learning rate: a copy of the model is trained with one that grows until it fails.

        αᵢ = start (end / start)^(i / (n - 1))        sᵢ = β sᵢ₋₁ + (1 - β) Lᵢ, over 1 - βⁱ

    The suggestion is a third of the rate in the middle of the trough: from where s has done 90 % of
    its fall to where it is lowest. The test ends early where s has risen above its lowest by three
    times what it had fallen by, or than it is large, and where a loss is not finite. With gradient
    accumulation all batches of an update have one rate and L is the mean of their losses. A
    schedule is left aside.

    The model is as before to the bit, the optimizer, random states and counters too, also if this
    is broken off. Only what cannot be gone through twice, a generator, is used up as far as it was
    read.

    Source: Smith (2017), "Cyclical Learning Rates for Training Neural Networks", section 3.3, which
    raises the rate linearly and reads the accuracy; here it grows by a factor.
    Raises: RuntimeError before compile; ValueError or TypeError for arguments and data that do not
        fit.

    Args:
        model: a compiled one, built or not, at any point of its training.
        x: the samples, or what brings batches, as `fit` takes it; begun anew when it ends.
        y: the targets.
        sample_weight: one weight a sample.
        batch_size: samples a batch, 32 if None. The suggestion is for this size.
        start_lr: the first rate, above 0.
        end_lr: the last one, above the first.
        num_steps: updates, 20 or more.
        smoothing: β, from 0 to below 1.

    Returns: what was seen, with the `suggestion`: print it, or draw it with `plot(path)`.

    Example:
        >>> from kerasish import Model
        >>> from kerasish.layers import Linear, Tanh
        >>> model = Model(Linear(8), Tanh(), Linear(1), device="cpu")
        >>> model.compile("sgd", loss="mse")
        >>> x = torch.linspace(-1, 1, 64).view(64, 1)
        >>> found = lr_find(model, x, x ** 2)
        >>> 1e-3 < found.suggestion < 1
        True
        >>> model.optimizer.learning_rate = found.suggestion
    """
    require_model("lr_find", model)
    start = check_positive("lr_find(start_lr)", start_lr)
    end = check_positive("lr_find(end_lr)", end_lr)
    if end <= start:
        raise ValueError(f"lr_find(end_lr) expects a rate above start_lr, which is {start:g}; got "
                         f"{end:g}. 10.0 is a usual end.")
    steps = check_count("lr_find(num_steps)", num_steps, 20, "200 are usual.")
    smoothing = check_share("lr_find(smoothing)", smoothing)
    rates = [start * (end / start) ** (step / (steps - 1)) for step in range(steps)]
    with twin(model) as copied:
        source = source_of(x, y, sample_weight, who="lr_find", batch_size=batch_size,
                           seed=draw_seed(), shuffle=True)
        copied._make_ready("lr_find", source)
        losses = counted(_losses(copied, copied._placed(source), rates), "Learning rates", steps)
        return _until_it_explodes(rates, losses, smoothing)


def _losses(model: Any, source: Source, rates: list[float]) -> Iterator[float]:
    """Trains with one rate after the other; the loss of each update."""
    each = model.optimizer.gradient_accumulation_steps or 1
    batches = source.epoch(0, each * len(rates))
    for rate in rates:
        model.optimizer.learning_rate = rate
        losses = []
        with mode(model.module.modules(), training=True):
            for _ in range(each):
                batch = next(batches)
                with torch.inference_mode():
                    outcome = train_step(model, batch)
                losses.append(float(outcome["loss"] if isinstance(outcome, dict) else outcome[0]))
        yield sum(losses) / each


def _until_it_explodes(
    rates: list[float], losses: Iterator[float], smoothing: float
) -> LearningRates:
    average, seen, smoothed = 0.0, [], []
    for step, loss in enumerate(losses, 1):
        seen.append(loss)
        average = smoothing * average + (1 - smoothing) * loss
        if not math.isfinite(average):
            break
        smoothed.append(average / (1 - smoothing**step))
        if _exploded(smoothed):
            break
    return LearningRates(rates[: len(seen)], seen, smoothed, round(1 / (1 - smoothing)))


def _exploded(smoothed: list[float]) -> bool:
    lowest = min(smoothed)
    usual = max(abs(lowest), smoothed[0] - lowest)
    return smoothed[-1] - lowest > _EXPLODED * usual
