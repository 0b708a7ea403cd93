"""Four small files that stand for MNIST's, and the real ones where there are any."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from kerasish.datasets.idx import header

SHAPES = {"train-images-idx3-ubyte": (6, 28, 28), "train-labels-idx1-ubyte": (6,),
          "t10k-images-idx3-ubyte": (4, 28, 28), "t10k-labels-idx1-ubyte": (4,)}
KEYS = ("x_train", "y_train", "x_test", "y_test")


def arrays() -> dict[str, np.ndarray]:
    """By the names of the files."""
    numbers = np.random.default_rng(0)
    return {name: numbers.integers(0, 256 if len(shape) > 1 else 10, shape, dtype=np.uint8)
            for name, shape in SHAPES.items()}


def contents() -> dict[str, bytes]:
    """What the files hold, unzipped."""
    return {name: header(array.shape) + array.tobytes() for name, array in arrays().items()}


def sums() -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in contents().items()}


def write(folder: Path, zipped: bool = True) -> None:
    """The four files, as the mirrors have them or as people unzip them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents().items():
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)


def real_folder() -> Path | None:
    """Where the real files are."""
    own = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("KERASISH_DATA", own)) / "mnist"
    return folder if folder.is_dir() else None


needs_digits = pytest.mark.skipif(
    real_folder() is None, reason="needs MNIST's files in $KERASISH_DATA/mnist")
