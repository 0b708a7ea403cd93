"""Microseconds a training step on the disc net: plain torch, bare kernels, and `Model.fit`.

Run `python -m tests.benchmarks.step`. All contestants train the same net on the same data with the
same optimizer in one process on one thread, in alternating rounds, so that a change in the speed of
the machine meets all of them. The medians are printed, with the spread of the middle half.
"""

import argparse
import os
import platform
import pty
import statistics
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from itertools import pairwise
from typing import TextIO

import torch

from kerasish import Model, datasets
from kerasish.layers import Linear, ReLU, Tanh
from kerasish.optimizers import SGD

WIDTHS = (2, 25, 25, 25, 1)
RATE = 0.01
SAMPLES = 1000
Run = Callable[[], object]


def plain_torch(x, y, batch_size: int, epochs: int) -> Run:
    """As most people write it: nn.Sequential, autograd, optim.SGD, a running loss."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Linear(2, 25), nn.ReLU(), nn.Linear(25, 25), nn.ReLU(), nn.Linear(25, 25), nn.Tanh(),
        nn.Linear(25, 1), nn.Tanh(),
    )
    optimizer, criterion = torch.optim.SGD(net.parameters(), lr=RATE), nn.MSELoss()

    def run() -> float:
        for _ in range(epochs):
            order, total = torch.randperm(len(x)), 0.0
            for start in range(0, len(x), batch_size):
                rows = order[start : start + batch_size]
                optimizer.zero_grad()
                loss = criterion(net(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
        return total / len(x)

    return run


def bare_kernels(x, y, batch_size: int, epochs: int) -> Run:
    """The kernels that kerasish calls, in one flat function without any framework."""
    sizes = list(pairwise(WIDTHS))
    flat = torch.randn(sum(i * o + o for i, o in sizes)) * 0.3
    gradient = torch.zeros_like(flat)
    weights, biases, weight_gradients, bias_gradients, at = [], [], [], [], 0
    for i, o in sizes:
        for vector, matrices, rows in (
            (flat, weights, biases), (gradient, weight_gradients, bias_gradients)
        ):
            matrices.append(vector[at : at + i * o].view(o, i))
            rows.append(vector[at + i * o : at + i * o + o])
        at += i * o + o
    w2, w3, w4 = weights[1:]
    t1, t2, t3, t4 = (w.t() for w in weights)
    b1, b2, b3, b4 = biases
    gw1, gw2, gw3, gw4 = weight_gradients
    gb1, gb2, gb3, gb4 = bias_gradients
    addmm, mm, relu_, tanh_, dot, sub = (
        torch.addmm, torch.mm, torch.relu_, torch.tanh_, torch.dot, torch.sub
    )
    relu_back = torch.ops.aten.threshold_backward.default._op
    tanh_back = torch.ops.aten.tanh_backward.default._op
    total = torch.zeros((), dtype=torch.float64)
    sizes_of_batches = {batch_size, len(x) % batch_size or batch_size}
    all_ones = {rows: torch.ones(rows) for rows in sizes_of_batches}
    shares = {rows: torch.tensor(rows ** -0.5) for rows in sizes_of_batches}
    twice = {rows: torch.tensor(2 * rows ** -0.5) for rows in sizes_of_batches}

    def epoch() -> None:
        order = torch.randperm(len(x))
        losses = []
        for xb, yb in zip(x[order].split(batch_size), y[order].split(batch_size), strict=True):
            y1 = relu_(addmm(b1, xb, t1))
            y2 = relu_(addmm(b2, y1, t2))
            y3 = tanh_(addmm(b3, y2, t3))
            y4 = tanh_(addmm(b4, y3, t4))
            rows = xb.shape[0]
            ones = all_ones[rows]
            error = sub(y4, yb)
            line = error.mul_(shares[rows]).reshape(-1)
            losses.append(dot(line, line))
            d = tanh_back(error.mul_(twice[rows]), y4)
            d_t = d.t()
            gw4.addmm_(d_t, y3)
            gb4.addmv_(d_t, ones)
            d = tanh_back(mm(d, w4), y3)
            d_t = d.t()
            gw3.addmm_(d_t, y2)
            gb3.addmv_(d_t, ones)
            d = relu_back(mm(d, w3), y2, 0)
            d_t = d.t()
            gw2.addmm_(d_t, y1)
            gb2.addmv_(d_t, ones)
            d = relu_back(mm(d, w2), y1, 0)
            d_t = d.t()
            gw1.addmm_(d_t, xb)
            gb1.addmv_(d_t, ones)
            flat.add_(gradient, alpha=-RATE)
            gradient.zero_()
        total.copy_(torch.stack(losses).sum(dtype=torch.float64))

    def run() -> float:
        with torch.inference_mode():
            for _ in range(epochs):
                epoch()
        return float(total) / -(-len(x) // batch_size)

    return run


def kerasish_fit(x, y, batch_size: int, epochs: int, verbose: int = 0) -> Run:
    """`Model.fit`, as the README has it."""
    model = Model(
        Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(), device="cpu"
    )
    model.compile(SGD(learning_rate=RATE), "mse")

    def run() -> object:
        return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=verbose)

    return run


@contextmanager
def terminal():
    """Standard output on a pseudo-terminal, read by a process of its own as a real one is."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 100))
    with subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as screen:
        os.close(reader)
        try:
            with os.fdopen(writer, "w") as file:
                yield file
        finally:
            screen.terminate()


def measure(contestants: dict[str, Run], rounds: int, steps: int) -> dict[str, list[float]]:
    """Microseconds a step, by contestant and round; the first round only warms up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) / steps * 1e6)
    return {name: values[1:] for name, values in times.items()}


def compare(batch_size: int, rounds: int, epochs: int) -> dict[str, list[float]]:
    """Measures all contestants at one batch size."""
    (x, y), _ = datasets.disc(train=SAMPLES, test=0)
    data = (x, y, batch_size, epochs)
    with terminal() as screen:
        shown = kerasish_fit(*data, verbose=1)
        return measure({
            "plain torch": plain_torch(*data),
            "bare kernels": bare_kernels(*data),
            "fit": kerasish_fit(*data),
            "fit with bar": lambda: shown_on(screen, shown),
        }, rounds, epochs * -(-SAMPLES // batch_size))


def shown_on(screen: TextIO, run: Run) -> object:
    """Runs with standard output there."""
    with redirect_stdout(screen):
        return run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="2 or more")
    rounds = max(2, parser.parse_args().rounds)
    torch.set_num_threads(1)
    print(f"disc net 2-25-25-25-1, SGD, µs a step: median of {rounds} rounds [middle half]")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, one thread")
    print(f"{'batch':>5}  {'plain torch':>19} {'bare kernels':>19} {'fit':>19} {'fit with bar':>19}"
          f"  {'plain/fit':>9} {'fit/bare':>8} {'bar/fit':>7}")
    for batch_size, epochs in ((1, 1), (2, 2), (32, 20), (250, 60)):
        times = compare(batch_size, rounds, epochs)
        cells = []
        for values in times.values():
            low, _, high = statistics.quantiles(values, n=4)
            cells.append(f"{statistics.median(values):6.1f} [{low:5.1f}-{high:5.1f}]")
        plain, bare, fit, bar = (statistics.median(values) for values in times.values())
        print(f"{batch_size:>5}  {' '.join(f'{cell:>19}' for cell in cells)}"
              f"  {plain / fit:>9.2f} {fit / bare:>8.2f} {bar / fit:>7.2f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
