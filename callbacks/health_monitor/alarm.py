"""What a health monitor says: a sentence for each thing that is wrong, and what to do about it."""

from typing import NamedTuple

from .numbers import Numbers

ADVICE = {
    "silent": "They get no gradient and stay so. Lower the learning rate and start anew, or use "
              "LeakyReLU.",
    "saturated": "Hardly any gradient comes through. Normalize what comes before it, start with "
                 "smaller weights, or lower the learning rate.",
    "vanishing": "It hardly learns. Put ReLU, normalization or Residual between them.",
    "exploding": "Lower the learning rate, clip gradients (global_clipnorm=1.0), or normalize what "
                 "comes in.",
    "not finite": "Lower the learning rate, or clip gradients. TerminateOnNaN tells the batch and "
                  "the module where it began.",
    "small updates": "It hardly learns. Raise the learning rate: 0.1 % is healthy.",
    "large updates": "It does not settle. Lower the learning rate: 0.1 % is healthy.",
}
"""What to do, by the kind of an alarm."""


class Alarm(NamedTuple):
    """Something that is wrong with a module; as text it is its sentence."""

    step: int
    """Batches that had been trained, in all fits of the model."""
    epoch: int
    """Counted from 0."""
    path: str
    kind: str
    """"silent", "saturated", "vanishing", "exploding", "not finite", "small updates" or "large
    updates"."""
    value: float
    """The share of units; how many times the gradient is as large as what it is compared with; or
    the share of the weights that an update is."""
    sentence: str

    def __str__(self) -> str:
        return self.sentence


class Finding(NamedTuple):
    """A kind of alarm of a module, whether it holds, and what would be said."""

    numbers: Numbers
    kind: str
    holds: bool
    value: float
    what: str

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do."""
        return f"{self.numbers}: {self.what}. {ADVICE[self.kind]}"


def percent(share: float) -> str:
    """A share in per cent, in two digits or more.

    Example:
        >>> percent(0.634), percent(1e-6), percent(1.0)
        ('63 %', '0.0001 %', '100 %')
    """
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"


def times(value: float) -> str:
    """A factor, in two digits.

    Example:
        >>> times(2345.6), times(1.234e-9)
        ('2,300', '1.2e-09')
    """
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if 10 <= rounded < 1e6 else f"{rounded:g}"
