"""One of several processes that train with backups; one of them is killed, or hangs, or differs.

`torchrun killed.py FOLDER WHAT`: "left alone", "killed", "hanging" or "different". $DATA may be
"loader", for samples from a DataLoader; with $NOISE there is dropout.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model
from kerasish.callbacks import BackupAndRestore
from kerasish.hooks import Callback
from kerasish.layers import Dropout, Linear, ReLU
from kerasish.optimizers import SGD, Adam

VICTIM = int(os.environ.get("VICTIM", "1"))
BATCH = int(os.environ.get("KILLED_AT", "17"))
WAY, ACCUMULATE = os.environ.get("DISTRIBUTE", "auto"), os.environ.get("ACCUMULATE")


class Fault(Callback):
    """Comes over one process, once."""

    def __init__(self, what: str) -> None:
        self.what, self.batches = what, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        if self.batches == BATCH:
            if self.what == "killed" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "hanging":
                time.sleep(60)


def main(folder: Path, what: str, rank: int) -> None:
    """Trains, and saves what this process ended with."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    noise = [Dropout(0.3)] if "NOISE" in os.environ else []
    model = Model(Linear(8), ReLU(), *noise, Linear(1), device="cpu", distribute=WAY)
    optimizer = SGD() if what == "different" and rank == VICTIM else Adam(
        gradient_accumulation_steps=int(ACCUMULATE) if ACCUMULATE else None)
    model.compile(optimizer, "mse")
    faults = [Fault(what)] if rank == VICTIM else []
    given: Any = {"x": x, "y": x.sum(1), "batch_size": 16}
    if os.environ.get("DATA") == "loader":
        given = {"x": DataLoader(TensorDataset(x, x.sum(1)), 16, shuffle=True)}
    history = model.fit(**given, epochs=4, verbose=0, seed=0,
                        callbacks=[BackupAndRestore(folder / "backup", save_freq=5), *faults])
    torch.save((model.module.state_dict(), history.history), folder / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(os.environ["RANK"]))
