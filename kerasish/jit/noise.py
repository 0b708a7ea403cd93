"""What modules draw in a step: drawn outside the compiled program, by the same generator.

A program gets the numbers as an input. They are the same to the bit as without it, and so are
runs that go on from a checkpoint.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Draw(NamedTuple):
    """A tensor that a step fills with random numbers."""

    fill: Callable[..., Tensor]
    """The operation, in place."""
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def place_for(self, steps: int, device: torch.device) -> Tensor:
        """Memory for so many steps, each laid out as in the module."""
        size = torch.Size(self.shape).numel()
        return torch.empty_strided((steps, *self.shape), (size, *self.strides), dtype=self.dtype,
                                   device=device)


class Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside it random numbers are taken from what is given, or noted down if nothing is."""

    def __init__(self, given: Sequence[Tensor] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.draws: list[Draw] = []
        self._given = None if given is None else iter(given)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        target = args[0]
        if self._given is not None:
            return target.copy_(next(self._given))
        if not str(func).split(".")[1].endswith("_") or not isinstance(target, Tensor):
            raise NotImplementedError(f"{func} draws what is not known before the step")
        self.draws.append(Draw(func, args[1:], tuple(target.shape), target.stride(), target.dtype))
        return func(*args, **kwargs)


def drawn(draws: Sequence[Draw], places: Sequence[Tensor], steps: int, generator: Any) -> None:
    """Fills the places of so many steps, in the order in which steps would."""
    for step in range(steps):
        for draw, place in zip(draws, places, strict=True):
            draw.fill(place[step], *draw.arguments, generator=generator)
