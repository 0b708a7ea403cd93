"""All that TensorBoard shows, from one run.

    python examples/tensorboard_tour.py && tensorboard --logdir runs/tour

A small ConvNet learns MNIST for three epochs with every page switched on: scalars of each layer,
histograms of weights, gradients and outputs, the graph forward and backward, filters and the worst
mistakes as images, precision-recall curves, settings to compare runs by, and a trace of one step.
TensorFlow is not needed.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

from collections import Counter
from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.callbacks import TensorBoard
from kerasish.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU

PICTURE = Path(__file__).parent / "pictures" / "tensorboard_tour.png"


def main(samples=10_000, epochs=3, folder="runs/tour", picture=PICTURE):
    """Trains, counts what was written, and draws the curves that the first page shows."""
    torch.set_num_threads(1)
    (x, y), (x_test, y_test) = datasets.mnist()
    x, y, test = x[:samples] / 255, y[:samples], (x_test[:1000] / 255, y_test[:1000])
    model = Model(Conv2d(8, kernel_size=5), ReLU(), MaxPool2d(2), Conv2d(16, kernel_size=3), ReLU(),
                  MaxPool2d(2), Flatten(), Linear(10), device="cpu")
    model.compile("adam", loss="cross_entropy", metrics=["accuracy"])
    board = TensorBoard(folder, histogram_freq=1, write_images=True, write_mistakes=True,
                        pr_curves=True, profile_batch=5, hparams={"filters": 8},
                        write_steps_per_second=True)
    history = model.fit(x, y, batch_size=50, epochs=epochs, validation_data=test, seed=0,
                        verbose=2, callbacks=board)

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    for run in sorted({path.parent for path in Path(folder).rglob("events.out*")}):
        tags = EventAccumulator(str(run)).Reload().Tags()
        kinds = Counter({kind: len(names) for kind, names in tags.items()
                         if isinstance(names, list) and names})
        print(f"{run.name}: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    history.plot(picture)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
