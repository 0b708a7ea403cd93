"""Kills one of two processes again and again, and compares how each run ends with one left alone.

Run `python -m tests.distributed.killer --kills 20`: which process dies, and in which batch, is
drawn; torchrun starts both anew, and BackupAndRestore goes on.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import torch

from tests.distributed.test_faults import ended


def main(kills: int, seed: int) -> None:
    """Prints how many runs were killed, and those that ended otherwise than the one left alone."""
    draws, different = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        weights, history = ended(Path(folder) / "alone", "left alone")
        for number in range(kills):
            where = {"VICTIM": str(draws.randrange(2)), "KILLED_AT": str(draws.randint(1, 51))}
            found, logs = ended(Path(folder) / str(number), "killed", restarts=1, **where)
            if logs != history or not all(map(torch.equal, found.values(), weights.values())):
                different.append(where)
    print(json.dumps({"killed": kills, "different": different}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.kills, arguments.seed)
