"""Trains in children that are killed at random moments and started again, until each run ends.

    python -m tests.resuming.killer --kills 60 --seed 0

Children are forks of this process, so that starting one costs nothing. The last line printed is
JSON: how many were killed, and the kinds of training that did not end as undisturbed ones do.
"""

import argparse
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch

from tests.resuming.runs import KINDS, Kind, digest, train


def start(kind: Kind, folder: Path) -> int:
    """Starts the training in a child; it leaves its digest in the folder."""
    child = os.fork()
    if child:
        return child
    sys.stderr = io.StringIO()  # each says that it goes on
    try:
        text = digest(train(kind, folder), folder)
        (folder / "digest.part").write_text(text)
        (folder / "digest.part").rename(folder / "digest")
        os._exit(0)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)


def wait(child: int) -> int:
    """Waits for the child's end; returns its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def undisturbed(kind: Kind, folder: Path) -> tuple[str, float]:
    """What the training ends in if it is left alone, and how many seconds it takes."""
    began = time.monotonic()
    if wait(start(kind, folder)):
        raise SystemExit(f"{kind} fails undisturbed.")
    return (folder / "digest").read_text(), time.monotonic() - began


def killed(kind: Kind, folder: Path, seconds: float, kills: int, chance: random.Random) -> int:
    """Kills the training up to so many times, and lets it end; returns how often it was killed."""
    done = 0
    while not (folder / "digest").exists():
        child = start(kind, folder)
        if done < kills:
            time.sleep(chance.uniform(0, 0.6 * seconds))
            os.kill(child, signal.SIGKILL)  # not waited for yet, so the id is still its own
        status = wait(child)
        if status > 0:
            raise SystemExit(f"{kind} fails when it is started again.")
        done += status == -signal.SIGKILL
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60, help="at least so many")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chance, total, different = random.Random(arguments.seed), 0, []
    expected: dict[Kind, tuple[str, float]] = {}
    while total < arguments.kills:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as name:
                if kind not in expected:
                    expected[kind] = undisturbed(kind, Path(name))
            with tempfile.TemporaryDirectory() as name:
                digest, seconds = expected[kind]
                total += killed(kind, Path(name), seconds, 4, chance)
                if (Path(name) / "digest").read_text() != digest:
                    different.append(kind)
    print(json.dumps({"killed": total, "kinds": len(expected), "different": different}))


if __name__ == "__main__":
    main()
