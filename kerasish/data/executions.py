"""Batches of one size on top of each other, so that several steps can take them in at once."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from kerasish.data.arrays import Batch
from kerasish.trees import filled, leaves, mapped


class Stack(NamedTuple):
    """Batches with the step as axis 0.

    Example:
        >>> stack = Stack((torch.zeros(3, 2, 1), None, None), 3, 2)
        >>> stack.batch(0)[0].shape
        torch.Size([2, 1])
    """

    batches: Batch
    steps: int
    size: int
    """Samples a batch."""

    def batch(self, step: int) -> Batch:
        """One of them."""
        x, y, weights = mapped(lambda part: part[step], self.batches)
        return x, y, weights

    def first(self, steps: int) -> Batch:
        """The first so many, still in a stack."""
        if steps == self.steps:
            return self.batches
        x, y, weights = mapped(lambda part: part[:steps], self.batches)
        return x, y, weights


def stacked(batches: Iterable[Batch], most: int, start: int = 0) -> Iterator[Stack]:
    """Batches in stacks, which end where `most` divides the number of the next batch.

    One of another shape than those before it begins a stack, too.
    """
    held: list[Batch] = []
    for number, batch in enumerate(batches, start + 1):
        if held and _shapes(batch) != _shapes(held[0]):
            yield _stack(held)
            held = []
        held.append(batch)
        if number % most == 0:
            yield _stack(held)
            held = []
    if held:
        yield _stack(held)


def unstacked(blocks: Iterable[Batch], size: int) -> Iterator[Stack]:
    """Blocks of samples as stacks of batches of that size, and one of the rest."""
    for block in blocks:
        whole, rest = divmod(len(next(leaves(block))), size)
        for start, steps, rows in ((0, whole, size), (whole * size, 1, rest)):
            if steps and rows:
                x, y, weights = mapped(
                    lambda part, start=start, steps=steps, rows=rows:  # type: ignore[misc]
                    part[start : start + steps * rows].unflatten(0, (steps, rows)), block)
                yield Stack((x, y, weights), steps, rows)


def _stack(batches: list[Batch]) -> Stack:
    parts = map(torch.stack, zip(*map(leaves, batches), strict=True))
    x, y, weights = filled(batches[0], parts)
    return Stack((x, y, weights), len(batches), len(next(leaves(batches[0]))))


def _shapes(batch: Batch) -> list[torch.Size]:
    return [part.shape for part in leaves(batch)]
