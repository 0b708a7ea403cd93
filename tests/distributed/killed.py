"""One of several processes that train with backups; one of them is killed, or hangs, or differs.

`torchrun killed.py FOLDER WHAT`: "left alone", "killed", "hanging" or "different".
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from kerasish import Model
from kerasish.callbacks import BackupAndRestore
from kerasish.hooks import Callback
from kerasish.layers import Linear, ReLU

VICTIM = int(os.environ.get("VICTIM", "1"))
BATCH = int(os.environ.get("KILLED_AT", "17"))
folder, what = Path(sys.argv[1]), sys.argv[2]
rank = int(os.environ["RANK"])


class Fault(Callback):
    """Comes over one process, once."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.batches = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        if self.batches == BATCH and rank == VICTIM:
            if what == "killed" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "hanging":
                time.sleep(60)


torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.randn(200, 4)
model = Model(Linear(8), ReLU(), Linear(1), device="cpu")
model.compile("sgd" if what == "different" and rank == VICTIM else "adam", "mse")
history = model.fit(x, x.sum(1), batch_size=16, epochs=4, verbose=0, seed=0,
                    callbacks=[BackupAndRestore(folder / "backup", save_freq=5), Fault()])
torch.save((model.module.state_dict(), history.history), folder / f"{rank}.pt")
