"""Finite differences in float64: what the gradients of a backward pass are compared with."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


def moved(objective: Callable[[], float], part: Tensor, by: Tensor | float, step: float) -> float:
    """The objective where a part of its tensors is moved by step · by, and then moved back.

    Afterwards the part holds what it held before, to the bit; errors end it as well.

    Example:
        >>> w = torch.tensor([1.0, 2.0])
        >>> moved(lambda: float(w.sum()), w[1:], 1.0, 0.5), w
        (3.5, tensor([1., 2.]))
    """
    before = part.clone()
    try:
        part.add_(by, alpha=step)
        return objective()
    finally:
        part.copy_(before)


def doubled(value: Tensor) -> Tensor:
    """A copy on the CPU, contiguous; floats as float64."""
    value = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    return value.double() if value.is_floating_point() else value


def floating(name: str, x: Any, dx: Any) -> Iterator[tuple[str, Tensor, Any]]:
    """Each floating tensor of x with its name and its gradient; integers have none.

    Example:
        >>> x = {"a": torch.ones(1), "b": torch.tensor([2])}
        >>> [name for name, *_ in floating("x", x, {"a": torch.ones(1), "b": None})]
        ["x['a']"]
    """
    if isinstance(x, Tensor):
        if x.is_floating_point():
            yield name, x, dx
    elif x is not None:
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            yield from floating(f"{name}[{key!r}]", part, None if dx is None else dx[key])


def place_of(index: int, shape: Any) -> tuple[int, ...]:
    """Where the element of that number is in a tensor of that shape.

    Example:
        >>> place_of(5, (2, 3))
        (1, 2)
    """
    return tuple(int(i) for i in torch.unravel_index(torch.tensor(index), tuple(shape)))
