"""A run that is killed in the middle of an epoch, and ends as if nothing had happened.

    python examples/kill_and_resume.py

The script starts itself as a child that trains with BackupAndRestore, kills it with SIGKILL after a
while, and starts it again: the child goes on where its last backup was. A second run is left alone.
Both end with the same weights, to the bit.

Expected: TODO
Time: TODO on one core of an AMD EPYC.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from kerasish import Model, datasets
from kerasish.callbacks import BackupAndRestore
from kerasish.layers import Dropout, Linear, ReLU, Tanh

PICTURE = Path(__file__).parent / "pictures" / "kill_and_resume.png"


def train(folder: Path, epochs: int) -> None:
    """The whole training script: nothing in it knows whether it was killed before."""
    torch.set_num_threads(1)
    (x, y), _ = datasets.disc(train=1000, seed=0)
    model = Model(Linear(50), ReLU(), Dropout(0.1), Linear(50), ReLU(), Linear(1), Tanh(),
                  device="cpu")
    model.compile("adam", loss="mse", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=10, epochs=epochs, seed=0, verbose=0,
                        callbacks=BackupAndRestore(folder / "backup", save_freq=10))
    model.save_weights(folder / "weights.safetensors")
    history.save(folder / "history.json")


def main(epochs=30, seconds=4.0, picture=PICTURE):
    """Kills one run, leaves another alone, compares both, and draws what each has logged."""
    from kerasish.history import History

    with tempfile.TemporaryDirectory() as both:
        ended, kills = {}, 0
        for name, kill in (("killed", True), ("left alone", False)):
            folder = Path(both) / name
            folder.mkdir()
            while not (folder / "history.json").exists():
                child = subprocess.Popen([sys.executable, __file__, "--child", folder, str(epochs)])
                try:
                    child.wait(seconds if kill and kills < 1 else None)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                    kills += 1
            ended[name] = folder
        weights = [(folder / "weights.safetensors").read_bytes() for folder in ended.values()]
        same = "the same" if weights[0] == weights[1] else "not the same"
        print(f"killed {kills} time; the weights are {same} to the bit")
        History.load(ended["killed"] / "history.json").plot(picture)
        print(f"Picture: {picture}")


if __name__ == "__main__":
    if "--child" in sys.argv:
        train(Path(sys.argv[-2]), int(sys.argv[-1]))
    else:
        began = time.time()
        main()
        print(f"{time.time() - began:.0f} s")
