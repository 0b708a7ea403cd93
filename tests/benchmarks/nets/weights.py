"""The numbers that nets start from: the same for all contestants, so that all train the same.

They come one after the other in the shapes and the order of torch's parameters, which kerasish has
as well. Those of a layer with n inputs are uniform in ±1/√n, as in torch.
"""

import math

import numpy as np

from tests.benchmarks import nets


def weights(described: tuple) -> list[np.ndarray]:
    """What the described net starts from, the same each time."""
    return Drawing().of_net(described)


class Drawing:
    """Draws for one layer after the other."""

    def __init__(self) -> None:
        self.draws = np.random.default_rng(0)

    def of_net(self, described: tuple) -> list[np.ndarray]:
        return [array for layer in described for array in self.of(layer)]

    def of(self, layer: tuple) -> list[np.ndarray]:
        match layer:
            case nets.Dense(inputs, outputs):
                return self.uniform(inputs, (outputs, inputs), (outputs,))
            case nets.Conv(inputs, outputs, size, _, bias):
                shapes = [(outputs, inputs, size, size), (outputs,)]
                return self.uniform(inputs * size**2, *shapes[: 1 + bias])
            case nets.BatchNorm(channels):
                return ones_and_zeros(channels)
            case nets.LSTM(inputs, size):
                gates = 4 * size
                return self.uniform(size, (gates, inputs), (gates, size), (gates,), (gates,))
            case nets.Encoder(size, _, hidden):
                return [*self.uniform(size, (3 * size, size), (3 * size,), (size, size), (size,)),
                        *self.uniform(size, (hidden, size), (hidden,)),
                        *self.uniform(hidden, (size, hidden), (size,)),
                        *ones_and_zeros(size), *ones_and_zeros(size)]
            case nets.Residual(body, shortcut):
                return self.of_net(body) + self.of_net(shortcut)
        return []

    def uniform(self, inputs: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        bound = 1 / math.sqrt(inputs)
        return [self.draws.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes]


def ones_and_zeros(size: int) -> list[np.ndarray]:
    return [np.ones(size, np.float32), np.zeros(size, np.float32)]
