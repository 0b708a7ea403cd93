"""Arrays in files: read block by block, never all at once, and the same training."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kerasish.data.arrays
from kerasish import Model, set_seed
from kerasish.containers import Concat, Graph, Input
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD
from kerasish.trees import leaves
from tests.data.training import assert_same

SAMPLES, FEATURES, BATCH = 40, 6, 8


def loaded(path: Path, array: np.ndarray) -> np.ndarray:
    np.save(path, array)
    return np.load(f"{path}.npy", mmap_mode="r")


def mapped(path: Path, array: np.ndarray) -> np.ndarray:
    array.tofile(path)
    return np.memmap(path, array.dtype, "r+", shape=array.shape)


def viewed(path: Path, array: np.ndarray) -> np.ndarray:
    return np.asarray(loaded(path, np.concatenate([array, array])))[len(array):]


OPENED: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {
    "np.load": loaded, "np.memmap": mapped, "a view of np.load": viewed,
}


def numbers(dtype: Any, samples: int = SAMPLES, features: int = FEATURES) -> np.ndarray:
    return (100 * np.sin(np.arange(samples * features)).reshape(samples, features) ** 2
            ).astype(dtype)


def model(*modules: Any, rate: float = 1e-4) -> Model:
    set_seed(0)
    made = Model(*(modules or (Linear(4), Tanh(), Linear(1))), device="cpu")
    made.compile(SGD(rate), "mse", metrics=["mae"])
    return made


SETTINGS: dict[str, dict[str, Any]] = {
    "shuffled": {},
    "in order": {"shuffle": False},
    "split": {"validation_split": 0.25},
    "weighed": {"sample_weight": np.linspace(0, 1, SAMPLES)},
    "classes": {"class_weight": {0: 2.0, 100: 0.5}},
    "steps": {"steps_per_epoch": 7},
    "a few": {"overfit_batches": 2},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8], ids=lambda t: t.__name__)
@pytest.mark.parametrize("how", OPENED)
def test_training_is_as_in_memory(how, dtype, settings, tmp_path: Path) -> None:
    x, y = numbers(dtype), numbers(dtype, features=1)
    x_file, y_file = OPENED[how](tmp_path / "x", x), OPENED[how](tmp_path / "y", y)
    fitted, twin = model(), model()
    for each, *data in ((fitted, x_file, y_file), (twin, x, y)):
        each.fit(*data, BATCH, 3, 0, seed=0, **SETTINGS[settings])
    assert_same(fitted, twin)
    assert fitted.evaluate(x_file, y_file, verbose=0) == twin.evaluate(x, y, verbose=0)
    assert np.array_equal(fitted.predict(x_file, verbose=0), twin.predict(x, verbose=0))
    assert np.array_equal(x_file, x), "the file is as it was"


# ---- never copied whole -------------------------------------------------------------------------


@pytest.fixture
def largest(monkeypatch) -> list[int]:
    """Rows of the largest block that was placed, with blocks of two batches at most."""
    monkeypatch.setattr(kerasish.data.arrays, "_BLOCK_BATCHES", 2)
    rows = [0]
    placed = kerasish.data.arrays.placed

    def watched(device: Any, dtype: Any, batch: Any, **how: Any) -> Any:
        rows[0] = max(rows[0], *map(len, leaves(batch)))
        return placed(device, dtype, batch, **how)

    monkeypatch.setattr(kerasish.data.arrays, "placed", watched)
    return rows


@pytest.mark.parametrize("method", ["fit", "split", "weighed", "evaluate", "predict", "validation"])
@pytest.mark.parametrize("how", OPENED)
def test_no_more_than_a_block_is_read_at_once(how, method, largest, tmp_path: Path) -> None:
    x, y = numbers(np.float64), numbers(np.float64, features=1)
    made, opened = model(), OPENED[how](tmp_path / "x", x)
    settings = {"split": {"validation_split": 0.5}, "weighed": {"class_weight": {0: 2.0}}}
    if method in ("fit", "split", "weighed"):
        made.fit(opened, y, BATCH, 2, 0, **settings.get(method, {}))
    elif method == "validation":
        made.fit(opened[:BATCH], y[:BATCH], BATCH, 2, 0, validation_data=(opened, y))
    elif method == "evaluate":
        made.evaluate(opened, y, BATCH, 0)
    else:
        made.predict(opened, BATCH, 0)
    assert largest == [2 * BATCH]


@pytest.mark.parametrize("names", [True, False], ids=["a dict", "a tuple"])
def test_one_of_several_inputs_may_be_a_file(names: bool, largest, tmp_path: Path) -> None:
    def net() -> Graph:
        a, b = Input((FEATURES,)), Input((2,))
        out = Linear(1)(Concat()((Linear(3)(a), b)))
        return Graph({"a": a, "b": b} if names else (a, b), out)

    first, second = numbers(np.uint8), numbers(np.float64, features=2)
    y = numbers(np.float64, features=1)

    def form(a: Any, b: Any) -> Any:
        return {"a": a, "b": b} if names else (a, b)

    fitted, twin = model(net(), rate=1e-6), model(net(), rate=1e-6)
    fitted.fit(form(loaded(tmp_path / "a", first), second), y, BATCH, 2, 0, seed=0)
    assert largest == [2 * BATCH]
    twin.fit(form(first, second), y, BATCH, 2, 0, seed=0)
    assert_same(fitted, twin)


PROGRAM = """
import sys
import numpy as np, torch
from kerasish import Model
from kerasish.layers import Linear
import kerasish.data.arrays
torch.set_num_threads(1)
kerasish.data.arrays._BLOCK_BYTES = 2**20

def anonymous():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024

x = np.load(sys.argv[1], mmap_mode="r")
y = np.zeros((len(x), 1), np.float32)
model = Model(Linear(1), device="cpu")
model.compile("sgd", "mse")
few = {"batch_size": 32, "verbose": 0}
model.fit(x[:64], y[:64], **few)
model.evaluate(x[:64], y[:64], **few)
model.predict(x[:64], **few)
from kerasish.callbacks import Callback
class Peak(Callback):
    most = 0
    def on_train_batch_end(self, batch, logs=None):
        Peak.most = max(Peak.most, anonymous())
    on_test_batch_end = on_predict_batch_end = on_train_batch_end
before = anonymous()
model.fit(x, y, callbacks=Peak(), validation_data=(x, y), **few)
model.evaluate(x, y, callbacks=Peak(), **few)
model.predict(x, callbacks=Peak(), **few)
print(Peak.most - before, x.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("dtype", [np.float64, np.uint8], ids=lambda t: t.__name__)
def test_a_large_file_takes_little_memory(dtype: Any, tmp_path: Path) -> None:
    features = 64 * 2**20 // (1024 * np.dtype(dtype).itemsize)
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", dtype, (1024, features)).flush()
    # What is freed goes back at once, so that holes in the heap are not counted.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    answer = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "x.npy")], check=True,
                            capture_output=True, text=True, env=environment).stdout
    more, size = map(int, answer.split())
    assert size == 64 * 2**20
    assert more < size / 2, f"{more / 2**20:.0f} MiB for a file of {size / 2**20:.0f} MiB"
