"""Runs with something on every page of TensorBoard."""

import gzip
import os
from pathlib import Path

import numpy as np
import torch

from kerasish import Model
from kerasish.callbacks import TensorBoard
from kerasish.datasets import disc
from kerasish.layers import Conv2d, Embedding, Flatten, Linear, MaxPool2d, ReLU, Tanh


def images(folder: Path) -> TensorBoard:
    """Bright halves of images: a convolutional net that sees everything there is to see."""
    torch.manual_seed(0)
    y = torch.arange(96) % 2
    x = torch.rand(96, 1, 12, 12)
    x[y == 1, :, :6] += 0.3
    model = Model(Conv2d(4, kernel_size=3), ReLU(), MaxPool2d(2), Flatten(), Linear(2),
                  device="cpu")
    model.compile("adam", loss="cross_entropy", metrics=["accuracy"])
    board = TensorBoard(folder, histogram_freq=1, write_images=True, update_freq="batch",
                        write_steps_per_second=True, profile_batch=2, hparams={"channels": 4},
                        write_mistakes=4, pr_curves=True)
    model.fit(x, y, epochs=3, seed=0, verbose=0, validation_split=0.25, callbacks=board)
    return board


def words(folder: Path) -> None:
    """Which words are in a sequence: a net with vectors of words."""
    x = torch.randint(0, 20, (64, 6), generator=torch.Generator().manual_seed(0))
    model = Model(Embedding(20, 5), Flatten(), Linear(1), device="cpu")
    model.compile("adam", loss="bce")
    board = TensorBoard(folder, embeddings_freq=1)
    model.fit(x, (x == 3).any(1), epochs=2, seed=0, verbose=0, callbacks=board)


def points(folder: Path) -> None:
    """The disc of README, long enough for its curves to say something."""
    (x, y), test = disc(train=1000, test=1000, seed=0)
    model = Model(Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(),
                  device="cpu")
    model.compile("adam", loss="mse", metrics=["accuracy"])
    board = TensorBoard(folder, histogram_freq=1, pr_curves=True, hparams={"width": 25})
    model.fit(x, y, epochs=30, seed=0, verbose=0, validation_data=test, callbacks=board)


def digits(folder: Path) -> None:
    """A small ConvNet on MNIST, from the folder `mnist` in $KERASISH_DATA."""
    x, y = mnist("train")
    model = Model(Conv2d(8, kernel_size=3), ReLU(), MaxPool2d(4), Flatten(), Linear(10),
                  device="cpu")
    model.compile("adam", loss="cross_entropy", metrics=["accuracy"])
    board = TensorBoard(folder, write_mistakes=16)
    model.fit(x, y, epochs=3, seed=0, verbose=2, validation_data=mnist("t10k"), callbacks=board)


def mnist(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 1, 28, 28) from 0 to 1, and their digits."""
    arrays = []
    for what, header in (("images-idx3", 16), ("labels-idx1", 8)):
        path = Path(os.environ["KERASISH_DATA"]) / "mnist" / f"{part}-{what}-ubyte.gz"
        arrays.append(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header))
    images = torch.tensor(arrays[0]).view(-1, 1, 28, 28)
    return images / 255, torch.tensor(arrays[1]).long()
