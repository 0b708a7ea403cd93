"""Every test runs on one thread and from one seed: the same numbers alone and in a suite."""

import signal

import pytest
import torch

from kerasish import set_seed

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs beside it
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["benchmarks"]  # they are programs, and may import what only they need


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    set_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
