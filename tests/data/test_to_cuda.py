"""How data come to a CUDA device: through pinned memory, so that nobody waits for the copy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model, set_seed
from kerasish.data.arrays import placed, sent
from kerasish.layers import Dropout, Linear, Tanh
from tests.data.training import assert_same

SAMPLES, BATCH = 40, 8
X = torch.linspace(-1, 1, 3 * SAMPLES).view(SAMPLES, 3)
Y = X.sum(1, keepdim=True)


class Host:
    """Stands for a tensor on the host, and writes down the way it goes."""

    device = torch.device("cpu")

    def __init__(self, *way: Any) -> None:
        self.way = way

    def is_pinned(self) -> bool:
        return "pinned" in self.way

    def pin_memory(self) -> "Host":
        return Host(*self.way, "pinned")

    def to(self, device: Any, **how: Any) -> "Host":
        return Host(*self.way, device, how)


def test_from_the_host_to_cuda_it_goes_through_pinned_memory_once() -> None:
    way = ("pinned", "cuda:1", {"non_blocking": True})
    assert sent("cuda:1", Host()).way == sent("cuda:1", Host("pinned")).way == way


def test_elsewhere_it_goes_straight() -> None:
    assert sent("cpu", Host()).way == ("cpu", {})
    assert sent("cpu", X) is X


class Unwaiting(Model):
    """Raises if the host waits for the device within an epoch."""

    strict = False

    def train_epoch(self, batches: Any, run: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if self.strict else "default")
        try:
            super().train_epoch(batches, run)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def model() -> Unwaiting:
    set_seed(0)
    made = Unwaiting(Linear(4), Tanh(), Dropout(0.5), Linear(1), device="cuda")
    made.compile("adam", "mse", metrics=["mae"])
    return made


def in_file(folder: Path) -> Any:
    np.save(folder / "x.npy", X.numpy())
    return np.load(folder / "x.npy", mmap_mode="r"), Y


def loader(pin_memory: bool) -> DataLoader:
    return DataLoader(TensorDataset(X, Y), BATCH, pin_memory=pin_memory)


GIVEN: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "arrays": lambda _: (X.numpy(), Y.numpy()),
    "a file": in_file,
    "batches": lambda _: (list(zip(X.split(BATCH), Y.split(BATCH), strict=True)),),
    "a DataLoader": lambda _: (loader(False),),
    "a pinning DataLoader": lambda _: (loader(True),),
}


@pytest.mark.cuda
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", GIVEN)
def test_nobody_waits_within_an_epoch(kind, prefetch, tmp_path: Path) -> None:
    fitted, data = model(), GIVEN[kind](tmp_path)
    settings = {"epochs": 2, "verbose": 0, "seed": 0, "prefetch": prefetch}
    if len(data) == 2:
        settings["batch_size"] = BATCH
    fitted.fit(*data, **settings)
    fitted.strict = True
    fitted.fit(*data, **settings)
    assert fitted.batches_trained == 4 * SAMPLES // BATCH


@pytest.mark.cuda
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("kind", GIVEN)
def test_training_is_as_on_arrays_that_lie_there(kind, prefetch, tmp_path: Path) -> None:
    fitted, twin, data = model(), model(), GIVEN[kind](tmp_path)
    settings: dict[str, Any] = {"epochs": 3, "verbose": 0, "seed": 0}
    sizes = {"batch_size": BATCH, "shuffle": False}
    fitted.fit(*data, prefetch=prefetch, **settings, **(sizes if len(data) == 2 else {}))
    twin.fit(X.cuda(), Y.cuda(), **settings, **sizes)
    assert_same(fitted, twin)


@pytest.mark.cuda
def test_a_batch_arrives_as_it_was_but_for_its_type() -> None:
    batch = placed("cuda", torch.float32, (X.double(), X > 0, None), pinning=True)
    assert batch[0].device.type == batch[1].device.type == "cuda" and batch[2] is None
    assert torch.equal(batch[0].cpu(), X) and torch.equal(batch[1].cpu(), (X > 0).float())
