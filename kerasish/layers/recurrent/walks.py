"""Along the time axis and back: which step comes before which, in either direction."""

from typing import NamedTuple

import torch
from torch import Tensor


class Walk(NamedTuple):
    """A walk through the steps of a sequence, from the first to the last or in reverse.

    A series lies time first, (T, N, ...), in the order of time whatever the direction; a history
    has a state more, (T + 1, N, ...): the one before the first step of the walk.

    Example:
        >>> series = torch.tensor([[1.0], [2.0], [3.0]])
        >>> [float(step) for step in Walk(reverse=True).steps(series)]
        [3.0, 2.0, 1.0]
    """

    reverse: bool

    def steps(self, series: Tensor) -> tuple[Tensor, ...]:
        """A view of each step, in the order of the walk."""
        views = series.unbind(0)
        return views[::-1] if self.reverse else views

    def steps_back(self, series: Tensor) -> tuple[Tensor, ...]:
        """A view of each step, in the order of the way back."""
        return self.steps(series)[::-1]

    def met(self, dh: Tensor | None, length: int) -> list[Tensor | None]:
        """The gradients that the way back meets after each step: those of the states before it.

        Nothing is met where no series is given, nor at the start, which is no output.
        """
        return [None] * length if dh is None else [*self.steps_back(dh)[1:], None]

    def history(self, start: Tensor, length: int, keep: bool = True) -> Tensor:
        """Room for a state before the walk and after each of its steps; the first is filled in.

        Shapes: start (N, H), the history (length + 1, N, H).

        Args:
            start: the state before the walk.
            length: how many steps it has.
            keep: False if each state takes the place of the one before.
        """
        history = room(start, length + 1, keep)
        history[-1 if self.reverse else 0].copy_(start)
        return history

    def before(self, history: Tensor) -> Tensor:
        """The series of states that the steps start from."""
        return history[1:] if self.reverse else history[:-1]

    def after(self, history: Tensor) -> Tensor:
        """The series of states that the steps end with."""
        return history[:-1] if self.reverse else history[1:]

    def end(self, series: Tensor) -> Tensor:
        """The last step of the walk, of a series or of a history."""
        return series[0 if self.reverse else -1]


def room(like: Tensor, length: int, keep: bool = True) -> Tensor:
    """Memory for a tensor at each step; that of a single one, used again, if none is kept.

    Example:
        >>> room(torch.ones(2, 5), 3, keep=False).stride()
        (0, 5, 1)
    """
    return like.new_empty(length if keep else 1, *like.shape).expand(length, *like.shape)


def carried(dgates: Tensor, weight: Tensor, met: Tensor | None, out: Tensor) -> Tensor:
    """The gradient of the state before a step: through the gates, and what is met from outside.

    dh' = dgates W + met
    """
    if met is None:
        return torch.mm(dgates, weight, out=out)
    return torch.addmm(met, dgates, weight, out=out)
