"""MNIST: 70,000 handwritten digits, of 28 by 28 grey pixels."""

import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kerasish.datasets.download import download
from kerasish.datasets.idx import header, read_idx
from kerasish.saving.errors import FilePath, check_path
from kerasish.types import Shape


class _File(NamedTuple):
    """One of the four, under its usual name, and what is known of it."""

    name: str
    key: str
    """What Keras' archive calls it."""
    shape: Shape
    sha256: str
    """Of its content, unzipped."""


_FILES = (
    _File("train-images-idx3-ubyte", "x_train", (60_000, 28, 28),
          "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    _File("train-labels-idx1-ubyte", "y_train", (60_000,),
          "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    _File("t10k-images-idx3-ubyte", "x_test", (10_000, 28, 28),
          "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    _File("t10k-labels-idx1-ubyte", "y_test", (10_000,),
          "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def mnist(
    path: FilePath | None = None,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Handwritten digits, 60,000 for training and 10,000 for testing, and which they are.

    Reads the four IDX files, gzipped or not, or Keras' `mnist.npz`. They are looked for in `path`;
    without one in the folder `mnist` in $KERASISH_DATA, then in the user's cache. What is not there
    is downloaded: beside the others, or where there are none into the first of these folders. A
    file is used only if its SHA-256 is that of the original.

    Shapes: x (60000, 1, 28, 28), bytes from 0, paper, to 255, ink; y (60000,), integers from 0 to
        9; the same for test with 10,000.
    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits" (1998).
    Raises: ValueError for a file with other content; OSError if files are missing and cannot be
        downloaded or written.

    Args:
        path: a folder, or the file `mnist.npz` itself.

    Returns: `(x, y), (x_test, y_test)`.

    Example:
        (x, y), test = mnist()
        model.fit(x / 255, y, validation_data=(test[0] / 255, test[1]))
    """
    folders = _folders(path)
    place = next(filter(_holds_some, folders), folders[0])
    archive = _archive_at(place)
    arrays = _from_archive(archive) if archive.is_file() else [
        _from_file(place, file) for file in _FILES]
    x, y, x_test, y_test = map(_tensor, arrays)
    return (x, y), (x_test, y_test)


def _folders(path: FilePath | None) -> list[Path]:
    """Where to look, the first place first."""
    if path is not None:
        return [Path(check_path("mnist(path)", path, "data/mnist")).expanduser()]
    data, cache = os.environ.get("KERASISH_DATA"), os.environ.get("XDG_CACHE_HOME")
    own = Path(cache) if cache else Path.home() / ".cache"
    return [*([Path(data, "mnist")] if data else []), own / "kerasish" / "mnist"]


def _holds_some(place: Path) -> bool:
    """Whether any of the files is there; those that are missing are downloaded beside it."""
    archive = _archive_at(place)
    if archive == place and not archive.is_file():
        raise FileNotFoundError(f"mnist(path) expects Keras' archive there; got no file {place}. "
                                "Correct the path, or give a folder to download into.")
    return archive.is_file() or any(_existing(place, file.name) for file in _FILES)


def _archive_at(place: Path) -> Path:
    return place if place.suffix == ".npz" else place / "mnist.npz"


def _existing(folder: Path, name: str) -> Path | None:
    """The file of that name, as it is or gzipped."""
    both = (folder / name, folder / f"{name}.gz")
    return next((path for path in both if path.is_file()), None)


def _from_file(folder: Path, file: _File) -> np.ndarray:
    """What a file in the folder holds, which comes from a mirror if it is not there."""

    def original(data: bytes) -> np.ndarray:
        return read_idx(data, file.shape, file.sha256)

    path = _existing(folder, file.name)
    if path is None:
        return download(f"{file.name}.gz", _MIRRORS, folder, original)
    try:
        return original(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"mnist(path) expects the original of {path}; got {error}. Remove the "
                         "file: it is downloaded then.") from error


def _from_archive(path: Path) -> list[np.ndarray]:
    """The arrays of Keras' archive, which are as sure to be the originals."""
    arrays = []
    for file in _FILES:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
                array: Any = archive[file.key]
            shape_and_all = header(array.shape) + array.tobytes()
            arrays.append(read_idx(shape_and_all, file.shape, file.sha256))
        except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"mnist(path) expects Keras' archive in {path}; got {error} for "
                             f"{file.key!r}. Remove the file, or give another one.") from error
    return arrays


def _tensor(array: np.ndarray) -> Tensor:
    """Images get the axis of their one channel; labels are integers that can count classes."""
    tensor = torch.from_numpy(array.copy())  # its own, and writable
    return tensor.unsqueeze(1) if tensor.dim() > 1 else tensor.to(torch.int64)
