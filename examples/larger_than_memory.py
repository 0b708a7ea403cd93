"""Data larger than the memory that is allowed, from a mapped file.

    python examples/larger_than_memory.py

A file of 1 GB is mapped, not read: `fit` gathers it in blocks, in an order of its own for each
epoch, and reads the next block while it trains on one (`prefetch`). The script allows itself only
half of the file's size beside what Python and torch need, and would be ended if it took more.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

import resource
import tempfile
from pathlib import Path

import numpy as np
import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.layers import Linear, ReLU

PICTURE = Path(__file__).parent / "pictures" / "larger_than_memory.png"
FEATURES = 256


class Memory(Callback):
    """Memory of its own that the process holds after each batch, in MB: mapped files left aside."""

    def on_train_begin(self, logs=None):
        self.held = []

    def on_train_batch_end(self, batch, logs=None):
        self.held.append(status("RssAnon") / 1e6)


def status(field: str) -> int:
    """Bytes that the system says of this process."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{field}:")[1].split()[0])


def main(samples=1_000_000, epochs=1, limited=True, picture=PICTURE):
    """Writes the file, trains from it, says what it took, and draws that over the batches."""
    from matplotlib.figure import Figure  # pip install matplotlib

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        x = np.lib.format.open_memmap(path, "w+", np.float32, (samples, FEATURES))
        draws = np.random.default_rng(0)
        for start in range(0, samples, 50_000):
            part = x[start : start + 50_000]
            part[:] = draws.standard_normal(part.shape, np.float32)
        x.flush()
        size = path.stat().st_size
        y = np.array(x[:, 0] > x[:, 1], np.float32)
        x = np.load(path, mmap_mode="r")

        if limited:  # what is mapped from a file does not count
            allowed = status("VmData") + size // 2
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        model = Model(Linear(64), ReLU(), Linear(1), device="cpu")
        model.compile("adam", loss="bce", metrics=["accuracy"])
        memory = Memory()
        history = model.fit(x, y, batch_size=512, epochs=epochs, seed=0, verbose=2, prefetch=1,
                            callbacks=memory)
    grown = max(memory.held) - memory.held[0]
    print(f"file: {size / 1e6:,.0f} MB; memory for it: {grown:,.0f} MB; "
          f"accuracy {history.history['accuracy'][-1]:.3f}")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(memory.held, label="held by the process")
    axes.axhline(size / 1e6, color="0.6", linestyle=":", label="the file")
    axes.set(xlabel="batch", ylabel="MB", ylim=(0, None))
    axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
