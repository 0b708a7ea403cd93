"""How cost grows: with samples, depth, epochs, batch size, callbacks, and fits.

Run `python -m tests.benchmarks.growth`: it prints tables, and draws them into
`examples/pictures/growth.png`. All sizes of a question are timed in alternating rounds of one
process on one thread, so that a change in the speed of the machine meets all of them. Time is that
of the processor, which others on the machine disturb less; medians are kept. "Grows with the power"
p says that cost went like size ** p, by least squares over all sizes but the smallest, whose fixed
cost is not small yet: 1 is linear, 0 is flat.

Memory is that of tensors: what lives at the worst moment of an epoch, and of a training step beside
what `model.plan` said before anything ran.
"""

import argparse
import datetime
import math
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.insight.live import Live, held_by
from kerasish.layers import Linear, ReLU
from kerasish.plots.figure import COLORS, dress, new_figure, save_picture
from tests.insight.measured import measured_peak
from tests.insight.memory_nets import batch_for, conv_net

PICTURE = Path(__file__).parents[2] / "examples" / "pictures" / "growth.png"
BATCH, WIDTH = 250, 25


class Panel(NamedTuple):
    """One question: what was measured at which sizes."""

    title: str
    x: str
    y: str
    sizes: list[int]
    lines: dict[str, list[float]]
    """What was measured, by name, in the unit of y."""
    power: float | None
    """That the cost should grow with; None if it is to be so much for each one more."""


def net(depth: int = 3) -> Model:
    layers = [layer for _ in range(depth - 1) for layer in (Linear(WIDTH), ReLU())]
    model = Model(*layers, Linear(1), device="cpu")
    model.compile("sgd", "mse")
    return model


def points(count: int) -> dict[str, Any]:
    return {"x": torch.rand(count, 2), "y": torch.rand(count, 1), "batch_size": BATCH,
            "verbose": 0, "seed": 0}


def timed(runs: dict[int, Callable[[], object]], rounds: int) -> list[float]:
    """The median seconds of each; the first round only warms up."""
    times: dict[int, list[float]] = {size: [] for size in runs}
    for _ in range(rounds + 1):
        for size, run in runs.items():
            start = time.process_time()
            run()
            times[size].append(time.process_time() - start)
    return [statistics.median(each[1:]) for each in times.values()]


# ---- the questions ------------------------------------------------------------------------------


def by_samples(rounds: int) -> Panel:
    sizes = [1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    model = net()
    runs = {size: partial(model.fit, **points(size)) for size in sizes}
    return Panel("Samples", "samples", "seconds an epoch", sizes,
                 {"an epoch": timed(runs, rounds)}, 1)


def by_depth(rounds: int) -> Panel:
    sizes = [10, 30, 100, 300, 1000]
    models = {depth: net(depth) for depth in sizes}
    epoch, start = (
        timed({depth: partial(model.fit, **points(steps * BATCH))
               for depth, model in models.items()}, rounds) for steps in (10, 1))
    return Panel("Depth", "layers", "seconds", sizes,
                 {"an epoch of ten steps": epoch, "a fit of one step": start}, 1)


class Memory(Callback):
    """The bytes of tensors that live after each epoch, and at most in it."""

    def __init__(self, live: Live) -> None:
        self.live, self.sizes, self.peaks = live, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.live.begin()

    def on_epoch_end(self, epoch, logs=None):
        self.sizes.append(self.live.size)
        self.peaks.append(self.live.peak.size)


def by_epochs(epochs: int = 100) -> Panel:
    model, data = net(), points(4 * BATCH)
    model.build((2,))
    with Live("cpu", held_by(model)) as live:
        memory = Memory(live)
        model.fit(**data, epochs=epochs, callbacks=memory)
    lines = {"at most in the epoch": memory.peaks, "after it": memory.sizes}
    return Panel("Epochs", "epochs", "KiB of tensors", list(range(1, epochs + 1)),
                 {name: [size / 2**10 for size in sizes] for name, sizes in lines.items()}, 0)


def by_batch() -> Panel:
    sizes, model = [1, 4, 16, 64, 256, 1024], conv_net("adam")
    model.build((3, 24, 24))
    planned = [model.plan(size).peak / 2**20 for size in sizes]
    measured = [measured_peak(model, *batch_for(model, size)) / 2**20 for size in sizes]
    return Panel("Batch size", "samples a batch", "peak MiB of a step", sizes,
                 {"measured": measured, "as model.plan said": planned}, 1)


class Listens(Callback):
    """Is told of every batch, and reads nothing."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def by_callbacks(rounds: int) -> Panel:
    sizes, steps = [0, 1, 3, 10, 30, 100], 40
    model, data = net(), points(steps * BATCH)
    lines = {}
    for name, kind in (("idle", Callback), ("told of each batch", Listens)):
        called = {size: [kind() for _ in range(size)] for size in sizes}
        runs = {size: partial(model.fit, **data, callbacks=called[size]) for size in sizes}
        lines[name] = [each / steps * 1e6 for each in timed(runs, rounds)]
    return Panel("Callbacks", "callbacks", "µs a step", sizes, lines, None)


def by_fits(count: int = 1000, every: int = 100) -> Panel:
    model, data = net(), points(BATCH)
    made, again = [], []
    for run, times in ((lambda: net().fit(**data), made), (lambda: model.fit(**data), again)):
        for _ in range(count // every):
            start = time.process_time()
            for _ in range(every):
                run()
            times.append((time.process_time() - start) / every * 1e3)
    return Panel("Fits", "fits in a loop", "ms a fit of one step",
                 list(range(every, count + 1, every)),
                 {"of a new model": made, "of the same model": again}, 0)


# ---- what is shown ------------------------------------------------------------------------------


def power(sizes: list[int], costs: list[float]) -> float:
    """The slope of log cost over log size, without the smallest size."""
    x, y = ([math.log(value) for value in values[1:]] for values in (sizes, costs))
    return statistics.linear_regression(x, y).slope


def growth(panel: Panel, costs: list[float]) -> str:
    """How the costs grow, in words."""
    if panel.power is None:
        slope = statistics.linear_regression(panel.sizes, costs).slope
        return f"{slope:+.2f} for each one more"
    return f"grows with the power {power(panel.sizes, costs):.2f}; {panel.power:g} expected"


def show(panel: Panel) -> None:
    print(f"\n{panel.title}: {panel.y}")
    chosen = [i for i, size in enumerate(panel.sizes)
              if len(panel.sizes) <= 10 or size in (1, 2, 3, 10, 30, 100)]
    width = max(map(len, [panel.x, *panel.lines]))
    print(f"{panel.x:<{width}}  " + " ".join(f"{panel.sizes[i]:>9,}" for i in chosen))
    for name, costs in panel.lines.items():
        cells = " ".join(f"{costs[i]:>9.4g}" for i in chosen)
        print(f"{name:<{width}}  {cells}   {growth(panel, costs)}", flush=True)


def draw(panels: list[Panel], path: Path) -> None:
    figure = new_figure(10.5, 6.2)
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        for (name, costs), color, style in zip(panel.lines.items(), COLORS, "-:", strict=False):
            axes.plot(panel.sizes, costs, color=color, label=name, marker="o", markersize=3,
                      linestyle=style if panel.title == "Batch size" else "-")
        if panel.power == 1:
            axes.set_xscale("log")
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.4 * max(map(max, panel.lines.values())))
        axes.set_title(panel.title, color="#404040", fontsize=11)
        dress(axes, panel.x, panel.y)
    save_picture("growth(out)", figure, path, "growth.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="2 or more")
    parser.add_argument("--out", type=Path, default=PICTURE, help="where the picture goes")
    options = parser.parse_args()
    rounds = max(2, options.rounds)
    torch.set_num_threads(1)
    print(f"{datetime.date.today()}, {platform.processor() or platform.machine()}, Python "
          f"{platform.python_version()}, torch {torch.__version__}, one thread; processor time, "
          f"medians of {rounds} rounds")
    print(f"net of Linear({WIDTH}) and ReLU, 3 layers deep where it is not said, SGD, batches of "
          f"{BATCH}; for batch sizes the convolutional net of tests.insight.memory_nets, Adam")
    panels = []
    for ask in (lambda: by_samples(rounds), lambda: by_depth(rounds), by_epochs, by_batch,
                lambda: by_callbacks(rounds), by_fits):
        panels.append(ask())
        show(panels[-1])
    draw(panels, options.out)


if __name__ == "__main__":
    main()
