"""What is to be said of tensors as they go by: their size, and whether a number is not finite."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.trees import leaves, shape_of

_FEW = 8


class Sight(NamedTuple):
    """One tensor, or several that belong together, when it was made."""

    path: str
    """Of the module; "" for the whole, and for what is not in the net."""
    module: str
    """Its class and settings; the loss, or which part of the data it is."""
    direction: str
    """"forward", "backward" (the gradient of its input, and of a loss that of the predictions),
    "gradient of weight", "weight before the step", "weight after the update", "loss" or "data"."""
    shape: Any
    norm: float
    """√Σx² of the values that are finite, as are the next two."""
    smallest: float
    largest: float
    not_finite: int
    """How many values are NaN or infinite."""
    samples: tuple[int, ...]
    """Which samples of the batch have such values, counted from 0, where that can be told."""

    @property
    def place(self) -> str:
        """The module, and where it is."""
        return f"{self.path!r} {self.module}" if self.path else self.module

    @property
    def words(self) -> str:
        """The place and the direction."""
        return f"{self.place}, {self.direction}"


def seen(path: str, module: str, direction: str, tree: Any, samples: int | None = None) -> Sight:
    """Looks at a tensor or several; `samples` is the length of the axis 0 that is the batch."""
    parts = list(leaves(tree))
    finite = [part[part.isfinite()].double() for part in parts]
    line = torch.cat(finite) if finite else torch.empty(0)
    low, high = map(float, line.aminmax()) if line.numel() else (float("nan"),) * 2
    missing = sum(part.numel() for part in parts) - line.numel()
    bad = set().union(*(rows(part) for part in parts if missing and len(part.shape) > 0
                        and len(part) == samples))
    return Sight(path, module, direction, shape_of(tree), float(line.square().sum().sqrt()), low,
                 high, missing, tuple(sorted(bad)))


def rows(tensor: Tensor) -> list[int]:
    """Along axis 0, where values are not finite.

    Example:
        >>> rows(torch.tensor([[1.0, 2.0], [float("nan"), 0.0]]))
        [1]
    """
    bad = tensor.isfinite().logical_not().reshape(len(tensor), -1).any(1)
    return [int(row) for row in bad.nonzero()]


def listed(samples: Iterable[int]) -> str:
    """Numbers of samples in words; "" for none.

    Example:
        >>> listed([4]), listed([4, 17]), listed(range(20))
        ('sample 4', 'samples 4 and 17', 'samples 0, 1, 2, 3, 4, 5, 6, 7 and 12 more')
    """
    numbers = list(map(str, samples))
    if not numbers:
        return ""
    if len(numbers) == 1:
        return f"sample {numbers[0]}"
    if len(numbers) > _FEW:
        numbers = [*numbers[:_FEW], f"{len(numbers) - _FEW} more"]
    return f"samples {', '.join(numbers[:-1])} and {numbers[-1]}"
