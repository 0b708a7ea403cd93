"""The same script on one process or on several, with the same result.

    python examples/data_parallel.py
    torchrun --nproc-per-node=2 examples/data_parallel.py

Under torchrun each process computes its part of every batch, gradients are added up, and the first
process alone prints and writes. Batch size, order of the samples, losses and weights are those of
one process, but for rounding; what is trained does not ask how many there are.

Expected: a loss of 0.165 either way; what float32 rounds differently grows in the weights.
Time: 4 seconds on one core of an AMD EPYC.
"""

import os
from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from kerasish.optimizers import Adam

PICTURE = Path(__file__).parent / "pictures" / "data_parallel.png"


def main(samples=10_000, epochs=3, picture=PICTURE):
    """Trains, and says how far it came; the first process draws the curves."""
    torch.set_num_threads(1)
    (x, y), (x_test, y_test) = datasets.mnist()
    x, y, x_test, y_test = x[:samples] / 255, y[:samples], x_test[:2000] / 255, y_test[:2000]
    model = Model(Conv2d(16, kernel_size=3), ReLU(), MaxPool2d(2), Conv2d(32, kernel_size=3),
                  ReLU(), MaxPool2d(2), Flatten(), Linear(10), device="cpu")
    model.compile(Adam(0.002), loss="cross_entropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=250, epochs=epochs, validation_data=(x_test, y_test),
                        seed=0, verbose=2)
    if os.environ.get("RANK", "0") == "0":
        print(f"{os.environ.get('WORLD_SIZE', '1')} process(es): loss "
              f"{history.history['loss'][-1]:.6f}, sum of weights "
              f"{sum(float(p.data.double().sum()) for p in model.module.parameters()):.5f}")
        history.plot(picture)
        print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
