"""What TensorBoard costs an epoch of the disc net at batch 32: scalars, histograms.

Run `python -m tests.benchmarks.tensorboard`. All contestants train the same net on the same data in
one process on one thread, in alternating rounds, so that a change in the speed of the machine meets
all of them; time is that of the processor, which others on the machine disturb less. Medians are
printed, with the spread of the middle half, and their ratios.
"""

import argparse
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.callbacks import TensorBoard
from kerasish.layers import Linear, ReLU, Tanh
from kerasish.optimizers import SGD
from tests.benchmarks.step import Run, measure

BATCH_SIZE, SAMPLES = 32, 1000


def training(x, y, epochs: int, *callbacks: TensorBoard) -> Run:
    """A fit of so many epochs, of a net of its own."""
    model = Model(
        Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(), device="cpu"
    )
    model.compile(SGD(learning_rate=0.01), "mse")

    def run() -> object:
        return model.fit(x, y, batch_size=BATCH_SIZE, epochs=epochs, verbose=0,
                         callbacks=callbacks, seed=0)  # the same numbers, at the same speed

    return run


def compare(folder: Path, rounds: int, epochs: int) -> dict[str, list[float]]:
    """Microseconds an epoch, by contestant and round."""
    (x, y), _ = datasets.disc(train=SAMPLES, test=0)
    boards = {
        "without": (),
        "scalars": (TensorBoard(folder / "scalars"),),
        "histograms every 10th epoch": (TensorBoard(folder / "some", histogram_freq=10),),
        "histograms": (TensorBoard(folder / "all", histogram_freq=1),),
    }
    runs = {name: training(x, y, epochs, *board) for name, board in boards.items()}
    return measure(runs, rounds, epochs, time.process_time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="2 or more")
    parser.add_argument("--epochs", type=int, default=20, help="in a round")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rounds = max(2, options.rounds)
    print(f"disc net 2-25-25-25-1, batch {BATCH_SIZE}, {-(-SAMPLES // BATCH_SIZE)} steps an epoch, "
          f"µs an epoch: median of {rounds} rounds [middle half]")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"torch {torch.__version__}, one thread")
    with tempfile.TemporaryDirectory() as folder:
        times = compare(Path(folder), rounds, options.epochs)
    base = statistics.median(times["without"])
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name:<28} {middle:8.1f} [{low:8.1f}-{high:8.1f}]  x {middle / base:.3f}")


if __name__ == "__main__":
    main()
