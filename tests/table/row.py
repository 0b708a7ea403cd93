"""What a row of the table says: how a module or a loss is made, what it is fed with, its twin."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kerasish.losses import Loss
from kerasish.module import Module


def shown(made: Any) -> str:
    """A name for a test: the same in every process, where repr of a function is not.

    Example:
        >>> shown([max, seeded])
        '[<built-in function max>, seeded]'
    """
    return re.sub(r"<function (\S+) at 0x[0-9a-f]+>", r"\1", repr(made))


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Starts torch's global generator at a seed inside the block, and leaves no trace of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers pushed 0.1 away from zero, where rectifiers have their kink."""
    x = torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return x + 0.1 * x.sign()


def tree_of(make: Callable[[tuple[int, ...], int], Any], shape: Any, seed: int) -> Any:
    """What is made for each shape in a tuple or dict of shapes; each has a seed of its own."""
    if isinstance(shape, dict):
        return {name: tree_of(make, part, seed + 100 * i)
                for i, (name, part) in enumerate(shape.items())}
    if shape and not isinstance(shape[0], int):
        return tuple(tree_of(make, part, seed + 100 * i) for i, part in enumerate(shape))
    return make(shape, seed)


class Row(NamedTuple):
    """A module as it is proved."""

    id: str
    make: Callable[[], Module]
    shape: Any
    """Of x, without the batch axis; a tuple or dict of shapes for several inputs."""
    twin: Callable[[], nn.Module]
    """Takes a tuple of inputs one by one."""
    random: bool = False
    """Whether it draws random numbers while training, the same ones as its twin."""
    mixes: bool = False
    """Whether the samples of a batch meet, in batch statistics: the declared exception."""
    kinks: tuple[float, ...] = ()
    """Where it has no derivative, besides zero: its inputs keep away from there."""
    draw: Callable[[tuple[int, ...], int], Tensor] | None = None
    """Makes x from its shape, batch axis included, and a seed, where normal numbers will not do:
    integers for instance. A float is cast."""
    differs: Mapping[str, str] = {}
    """The unusual inputs (see test_every_module.INPUTS) on which it must differ from torch, or
    which it cannot take, each with the reason."""

    def built(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> Module:
        """The module with the values that this seed gives it."""
        module = self.make()
        with seeded(seed):
            module.build(self.shape)
        return module.to(dtype=dtype)

    def x(self, batch: int = 4, seed: int = 1, dtype: torch.dtype = torch.float64) -> Any:
        """A batch to feed it with."""
        def make(shape: tuple[int, ...], seed: int) -> Tensor:
            if self.draw is not None:
                x = self.draw((batch, *shape), seed)
                return x.to(dtype) if x.is_floating_point() else x
            x = numbers(batch, *shape, seed=seed, dtype=dtype)
            for kink in self.kinks:
                x = torch.where((x - kink).abs() < 0.05, x + 0.1, x)
            return x

        return tree_of(make, self.shape, seed)

    def dy(self, batch: int = 4, seed: int = 2, dtype: torch.dtype = torch.float64) -> Any:
        """A gradient to go back with."""
        return tree_of(lambda shape, seed: numbers(batch, *shape, seed=seed, dtype=dtype),
                       self.make().build(self.shape), seed)

    @property
    def chains(self) -> bool:
        """Whether it takes one tensor of numbers and gives one, as modules in a chain do."""
        shapes = self.shape, self.make().build(self.shape)
        return self.draw is None and all(
            isinstance(shape, tuple) and shape and isinstance(shape[0], int) for shape in shapes)


class LossRow(NamedTuple):
    """A loss as it is proved."""

    id: str
    make: Callable[[], Loss]
    batch: Callable[[int], tuple[Tensor, Tensor]]
    """y_pred and y_true for so many samples, in float64, away from kinks."""
    twin: Callable[[Tensor, Tensor], Tensor]
    """The values that the loss is the mean of, one an element or a distribution, from torch."""
    counts: Callable[[Tensor], Tensor] | None = None
    """What the mean divides by is the sum of these; if None, it is the number of values."""

    def weights(self, batch: int) -> Tensor:
        """A weight for each sample, among them a 0."""
        return torch.linspace(0, 2, batch, dtype=torch.float64)
