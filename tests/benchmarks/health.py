"""What HealthMonitor costs: the time of `fit` with it over the time without, on nets for MNIST.

Run `python -m tests.benchmarks.health`. Both train the same net on the same data in one process on
one thread, in alternating rounds, so that a change in the speed of the machine meets both; time is
that of the processor, which others on the machine disturb less. Printed are the microseconds of a
step, and what the monitor adds: by the medians of both, and by the median of the rounds' ratios.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch

from kerasish import Model, datasets
from kerasish.callbacks import HealthMonitor
from kerasish.layers import Linear, ReLU
from kerasish.optimizers import SGD, Adam

STEPS = 500
"""In a fit: a window of the monitor."""


def mlp(*sizes: int) -> Model:
    layers = [layer for size in sizes[1:-1] for layer in (Linear(size), ReLU())]
    model = Model(*layers, Linear(sizes[-1]), device="cpu")
    model.compile(Adam(1e-3), "cross_entropy")
    return model


def digits(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the shape of MNIST's: what is in them does not matter to the time."""
    count = batch_size * STEPS // 10
    return torch.randn(count, 784), torch.arange(count) % 10


def disc_net() -> Model:
    model = Model(Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), ReLU(), Linear(1),
                  device="cpu")
    model.compile(SGD(0.01), "mse")
    return model


def points(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    train, _ = datasets.disc(train=batch_size * STEPS // 10, test=0)
    return train


def measure(make: Callable[[], Model], data, batch_size: int, rounds: int, every: int):
    """Seconds of a fit without and with a monitor, by round; the first round only warms up."""
    models = make(), make()
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for which in ((0, 1), (1, 0))[turn % 2]:
            monitor = HealthMonitor(every) if which else None
            start = time.process_time()
            models[which].fit(*data, batch_size=batch_size, epochs=10, verbose=0,
                              callbacks=monitor)
            seconds[which].append(time.process_time() - start)
    return seconds[0][1:], seconds[1][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    parser.add_argument("--every", type=int, default=HealthMonitor().every)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, one thread; every {arguments.every} steps")
    print(f"{'net':<18} {'batch':>5} {'µs a step':>10} {'medians':>8} {'pairs':>8}")
    for sizes in ((784, 128, 10), (784, 256, 256, 10)):
        for batch_size in (32, 128):
            show("-".join(map(str, sizes)), batch_size, arguments,
                 lambda sizes=sizes: mlp(*sizes), digits(batch_size))
    for batch_size in (1, 32):
        show("disc, SGD", batch_size, arguments, disc_net, points(batch_size))


def show(name: str, batch_size: int, arguments, make, data) -> None:
    plain, watched = measure(make, data, batch_size, max(2, arguments.rounds), arguments.every)
    pairs = statistics.median(with_it / without for without, with_it in zip(
        plain, watched, strict=True))
    ratio = statistics.median(watched) / statistics.median(plain)
    print(f"{name:<18} {batch_size:>5} {statistics.median(plain) / STEPS * 1e6:>10.0f} "
          f"{100 * ratio - 100:>+6.2f} % {100 * pairs - 100:>+6.2f} %", flush=True)


if __name__ == "__main__":
    main()
