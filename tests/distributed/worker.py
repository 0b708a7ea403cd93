"""One of several processes: `torchrun tests/distributed/worker.py FOLDER [NAMES]`."""

import sys
from pathlib import Path

import torch

from kerasish.distributed import exchange
from tests.distributed.cases import RUNS, all_results

if __name__ == "__main__":
    exchange.BUCKET = 200  # of nets as small as these, so that much is sent while backward goes on
    torch.set_num_threads(1)
    all_results(Path(sys.argv[1]), sys.argv[2:] or RUNS)
