"""What the files of a run hold, and whether it is the same."""

from pathlib import Path

import torch

from kerasish.saving import read_file

State = dict[str, torch.Tensor]


def weights(path: Path) -> State:
    """What the file of a model, or of weights alone, holds of the net."""
    tensors = read_file(path, ("model", "weights")).tensors()
    return {name: each for name, each in tensors.items() if not name.startswith("optimizer:")}


def same(one: State, other: State) -> bool:
    """Whether two state dicts are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
