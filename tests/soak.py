"""Predicts and fits over and over, and prints as JSON what that leaves behind.

    python -m tests.soak predict 5000

Linux only: it reads what the kernel says of the process.
"""

import ctypes
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model
from kerasish.callbacks import BackupAndRestore, CSVLogger, EarlyStopping, TensorBoard
from kerasish.layers import Dropout, Linear, Tanh


def held() -> dict[str, int]:
    """Bytes of memory of its own, threads and open files of this process."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {"bytes": int(status["RssAnon"].split()[0]) * 1024, "threads": int(status["Threads"]),
            "files": len(os.listdir("/proc/self/fd"))}


def compiled() -> Model:
    model = Model(Linear(16), Tanh(), Dropout(0.1), Linear(1), device="cpu")
    model.compile("adam", "mse", metrics=["mae"])
    return model


def predicting() -> Callable[[int], None]:
    model, x = compiled(), torch.rand(50, 4)
    model.build((4,))
    return lambda _: model.predict(x, verbose=0)


def fitting(folder: Path) -> Callable[[int], None]:
    x, y = torch.rand(40, 4), torch.rand(40, 1)
    loader = DataLoader(TensorDataset(x, y), 8, shuffle=True)

    def fit(number: int) -> None:
        callbacks = [EarlyStopping("loss", restore_best_weights=True),
                     CSVLogger(folder / "log.csv"), BackupAndRestore(folder / "backup"),
                     TensorBoard(folder / f"runs{number % 3}")]
        compiled().fit(loader if number % 2 else x, None if number % 2 else y, epochs=2,
                       verbose=0, callbacks=callbacks)

    return fit


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        act = predicting() if kind == "predict" else fitting(Path(folder))
        for number in range(count // 5):
            act(number)
        before = held()
        for number in range(count):
            act(number)
        after = held()
    print(json.dumps({name: after[name] - before[name] for name in after}))


if __name__ == "__main__":
    main()
