"""A model that is saved in the simplest way: its weights, whole or not at all."""

from pathlib import Path

import safetensors.torch
import torch

from kerasish import Model
from kerasish.saving import write_whole


class Saves(Model):
    """Notes each call of `save` and `save_weights`, and fails where `fails` has something left."""

    def __init__(self, *modules, **more) -> None:
        super().__init__(*modules, **more)
        self.calls: list[tuple[str, str]] = []
        self.fails: list[Exception] = []

    def save(self, path) -> None:
        self._write("save", path)

    def save_weights(self, path) -> None:
        self._write("save_weights", path)

    def _write(self, method: str, path) -> None:
        self.calls.append((method, str(path)))
        if self.fails:
            raise self.fails.pop(0)
        write_whole(path, [safetensors.torch.save(self.module.state_dict())])


def weights(path: str | Path) -> dict[str, torch.Tensor]:
    """What such a file holds."""
    return safetensors.torch.load(Path(path).read_bytes())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
