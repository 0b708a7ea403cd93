"""What is trained: a net, its data, the batch, the optimizer and the loss, in plain terms.

Every contestant trains the same: whatever it needs to know is here, and nothing here is of any
framework. Data are numpy arrays, images (N, C, H, W) and sequences (N, T, D).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.benchmarks import nets

CLASSES = 10


class Workload(NamedTuple):
    """One training, and how much of it is an epoch."""

    name: str
    net: tuple
    shape: tuple[int, ...]
    """Of a sample."""
    batch_size: int
    samples: int
    """Of an epoch."""
    optimizer: str = "adam"
    """"adam" with Kingma and Ba's settings, or "sgd" without momentum."""
    rate: float = 1e-3
    loss: str = "cross entropy"
    """"cross entropy" of scores and class indices, or "mse"."""
    steps_per_execution: int = 1
    """For contestants that compile steps: how many in one."""
    draw: Callable[["Workload"], tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def request(self) -> tuple[str, int, int]:
        """What a worker must know to make it."""
        return self.name, self.batch_size, self.samples

    @property
    def tiny(self) -> "Workload":
        """The same training on two batches of four."""
        return self._replace(batch_size=4, samples=8)

    @property
    def steps(self) -> int:
        """Updates an epoch; the last one may be of fewer samples."""
        return math.ceil(self.samples / self.batch_size)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """The same samples in every process."""
        return (self.draw or noise)(self)


def noise(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and classes at random: what is in them does not matter to the time."""
    draws = np.random.default_rng(0)
    x = draws.standard_normal((workload.samples, *workload.shape), dtype=np.float32)
    return x, draws.integers(CLASSES, size=workload.samples)


def points(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Points of the unit square, +1 in a disc that covers half of it, else -1."""
    x = np.random.default_rng(0).random((workload.samples, 2), dtype=np.float32)
    inside = ((x - 0.5) ** 2).sum(1, keepdims=True) < 1 / (2 * np.pi)
    return x, np.where(inside, 1, -1).astype(np.float32)


def _disc(batch_size: int, steps_per_execution: int = 1) -> Workload:
    return Workload(f"disc, batch {batch_size}", nets.disc(), (2,), batch_size, 1000, "sgd", 0.01,
                    "mse", steps_per_execution, points)


def _convnet(batch_size: int, steps: int) -> Workload:
    return Workload(f"ConvNet, batch {batch_size}", nets.convnet(), (1, 28, 28), batch_size,
                    batch_size * steps)


_made = (
    _disc(1, 200), _disc(2, 100), _disc(32, 4), _disc(250, 4),
    Workload("MLP 784-512-512-10", nets.mlp(784, 512, 512, 10), (784,), 128, 128 * 40),
    _convnet(16, 40), _convnet(100, 10), _convnet(256, 4),
    Workload("LSTM", nets.lstm_classifier(), (64, 128), 32, 32 * 20),
    Workload("Transformer", nets.transformer(), (64, 128), 32, 32 * 4),
    Workload("ResNet-18", nets.resnet18(), (3, 32, 32), 32, 32 * 2),
    Workload("MLP 4096 wide", nets.mlp(784, 4096, 4096, 10), (784,), 256, 256 * 2),
)
WORKLOADS = {each.name: each for each in _made}
