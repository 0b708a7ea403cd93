"""The processes of contestants, as seen from the one that measures: asked, waited for, ended."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A contestant did not do what it was asked to; the text says why."""


class Worker:
    """The process of one contestant. Use it in a `with` block, which ends it.

    Args:
        contestant: its name in the table.
        threads: how many it may compute with.
        patience: seconds that an answer is waited for at most.
    """

    def __init__(self, contestant: str, threads: int, patience: float = 400) -> None:
        self.contestant, self.threads, self.patience = contestant, threads, patience
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Worker":
        self.errors = tempfile.TemporaryFile("w+")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.errors.close()

    def ask(self, **request: Any) -> Any:
        """What the process answers; to prepare something, one is started if there is none.

        Raises: Failed if a package is missing, or it refuses, ends or takes too long.
        """
        if self.process is None:
            self._start()
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        answer = json.loads(self._line())
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]

    def _start(self) -> None:
        if reason := CONTESTANTS[self.contestant].absent:
            raise Failed(reason)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", self.contestant], bufsize=0,
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env=os.environ | environment(self.contestant, self.threads))

    def _line(self) -> bytes:
        line, deadline = b"", time.monotonic() + self.patience
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self._end()
                raise Failed(f"was not ready after {self.patience:g} s")
            part = self.process.stdout.read(4096)
            if not part:
                raise self._ended()
            line += part
        return line

    def _ended(self) -> Failed:
        """It is gone: its last words are the best guess why."""
        self._end()
        self.errors.seek(0)
        words = self.errors.read().strip().splitlines() or ["without a word"]
        return Failed(f"its process ended: {words[-1]}")

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def environment(contestant: str, threads: int) -> dict[str, str]:
    """What each library reads, when it is imported, about how many threads it may start."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")  # XLA: NPROC
    return dict.fromkeys(names, str(threads)) | dict(CONTESTANTS[contestant].environment) | {
        "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextmanager
def running(contestants: list[str], threads: int) -> Iterator[list[Worker]]:
    """The processes of all of these; they are ended with the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(Worker(name, threads)) for name in contestants]
