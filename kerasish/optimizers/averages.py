"""Running averages of the weights: smoother than the weights of any single update."""

from collections.abc import Container, Mapping, Sequence

from torch import Tensor

from kerasish.optimizers.flat import FlatParameters
from kerasish.optimizers.shares import Shares, overlap, within
from kerasish.parameter import Parameter

Pairs = list[tuple[Tensor, Tensor]]
"""Stretches of weights, each with its averages."""


class Averages:
    """The averages that an optimizer keeps: copies at the first update, means from then on.

        w̄ ← μ w̄ + (1 - μ) w

    Source: Polyak & Juditsky (1992), with weights that fade, as in Keras.

    Args:
        pairs: all stretches of weights with their averages, frozen ones too: thawed later, they go
            on from what they were.
        trainable: the stretches that may be set to their averages.
        momentum: μ, the share of the average that remains.
        frequency: updates after which the weights are set to their averages; None for never.
    """

    def __init__(
        self, pairs: Pairs, trainable: Pairs, momentum: float, frequency: int | None
    ) -> None:
        self.pairs, self.trainable = pairs, trainable
        self.momentum, self.frequency = momentum, frequency

    def update(self, iterations: int) -> None:
        """Takes in the weights of one more update, after so many earlier ones."""
        for w, average in self.pairs:
            if iterations:
                average.lerp_(w, 1 - self.momentum)
            else:
                average.copy_(w)
        if self.frequency and (iterations + 1) % self.frequency == 0:
            self.overwrite()

    def overwrite(self) -> None:
        """Sets the weights to their averages."""
        for w, average in self.trainable:
            w.copy_(average)

    def swap(self) -> None:
        """Exchanges the weights and their averages."""
        for w, average in self.trainable:
            weights = w.clone()
            w.copy_(average)
            average.copy_(weights)


def averaged(
    flats: Sequence[FlatParameters],
    state: Mapping[FlatParameters, Mapping[str, Tensor]],
    wanted: Container[Parameter],
    shares: Shares,
) -> Pairs:
    """The weights of these parameters, stretch by stretch, with their averages if any are kept."""
    runs = ((flat, shares[flat], overlap(run, shares[flat]))
            for flat in flats if "average" in state[flat] for run in flat.runs(wanted))
    return [(flat.data[run], state[flat]["average"][within(share, run)])
            for flat, share, run in runs]
