"""A process of its own for a contestant: it makes workloads ready and trains when it is told to.

Requests come as lines of JSON on standard input, and each is answered by one on standard output:

    {"prepare": [name, batch size, samples of an epoch]}  →  {"value": parameters}
    {"train": epochs}                                     →  {"value": [seconds, loss]}
    whatever fails                                        →  {"error": why}

It ends when its standard input does. What libraries print goes to standard error.
"""

import gc
import importlib
import json
import os
import sys
import time
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS, Training, Unfit
from tests.benchmarks.workloads import WORKLOADS


class Service:
    """Answers requests for one contestant."""

    def __init__(self, contestant: str) -> None:
        self.file = CONTESTANTS[contestant].file
        self.training: Training | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        (what, argument), = request.items()
        try:
            return {"value": getattr(self, what)(argument)}
        except Unfit as reason:
            return {"error": str(reason)}
        except Exception as error:  # what it is belongs into the report
            return {"error": f"{type(error).__name__}: {error}".split("\n")[0]}

    def prepare(self, what: tuple[str, int, int]) -> int:
        name, batch_size, samples = what
        self.training = None
        gc.collect()  # what the workload before held
        module = importlib.import_module(f"tests.benchmarks.contestants.{self.file}")
        self.training = module.prepare(
            WORKLOADS[name]._replace(batch_size=batch_size, samples=samples))
        return self.training.parameters

    def train(self, epochs: int) -> tuple[float, float]:
        assert self.training is not None
        start = time.perf_counter()
        loss = self.training.run(epochs)
        return time.perf_counter() - start, float(loss)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    service = Service(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(service.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
