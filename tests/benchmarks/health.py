"""What HealthMonitor costs: the time of `fit` with it over the time without, on nets for MNIST.

Run `python -m tests.benchmarks.health`. All train the same net on the same data in one process on
one thread, in alternating rounds, so that a change in the speed of the machine meets all; time is
that of the processor, which others on the machine disturb less. Printed are the microseconds of a
step, and what the monitor adds to them:

    measured   the median with it over the median without
    by step    what looking at every step adds, divided by `every`: less noise, no windows
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

STEPS, FEW = 500, 50
"""In a fit: a window of the monitor; and where each step is looked at."""


def mlp(*sizes: int) -> Model:
    layers = [layer for size in sizes[1:-1] for layer in (Linear(size), ReLU())]
    model = Model(*layers, Linear(sizes[-1]), device="cpu")
    model.compile(Adam(1e-3), "cross_entropy")
    return model


def digits(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the shape of MNIST's: what is in them does not matter to the time."""
    count = batch_size * FEW
    return torch.randn(count, 784), torch.arange(count) % 10


def disc_net() -> Model:
    model = Model(Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), ReLU(), Linear(1),
                  device="cpu")
    model.compile(SGD(0.01), "mse")
    return model


def points(batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    train, _ = datasets.disc(train=batch_size * FEW, test=0)
    return train


def measure(make: Callable[[], Model], data, batch_size: int, rounds: int, every: int):
    """Microseconds a step without a monitor, with it, and with one that looks at each step.

    The first round only warms up.
    """
    model = make()
    contestants = [(None, STEPS), (HealthMonitor(every), STEPS), (None, FEW),
                   (HealthMonitor(1, STEPS), FEW)]
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(rounds + 1):
        for each, (monitor, steps) in zip(times, contestants, strict=True):
            start = time.process_time()
            model.fit(*data, batch_size=batch_size, epochs=steps // FEW, verbose=0,
                      callbacks=monitor)
            each.append((time.process_time() - start) / steps * 1e6)
    return [statistics.median(each[1:]) for each in times]


def show(name: str, make, data, batch_size: int, rounds: int, every: int) -> None:
    plain, watched, few, looked_at = measure(make, data, batch_size, rounds, every)
    measured, by_step = watched / plain - 1, (looked_at / few - 1) / every
    print(f"{name:<18} {batch_size:>5} {plain:>10.0f} {100 * measured:>+8.2f} % "
          f"{100 * by_step:>+8.2f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    parser.add_argument("--every", type=int, default=HealthMonitor().every)
    arguments = parser.parse_args()
    options = max(2, arguments.rounds), arguments.every
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, one thread; every {arguments.every} steps")
    print(f"{'net':<18} {'batch':>5} {'µs a step':>10} {'measured':>10} {'by step':>10}")
    for sizes in ((784, 128, 10), (784, 256, 256, 10)):
        for batch_size in (32, 128):
            show("-".join(map(str, sizes)), lambda sizes=sizes: mlp(*sizes), digits(batch_size),
                 batch_size, *options)
    for batch_size in (1, 32):
        show("disc, SGD", disc_net, points(batch_size), batch_size, *options)


if __name__ == "__main__":
    main()
