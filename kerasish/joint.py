"""What modules may ask of the other processes that go through rows of the same batch.

Whoever gives each process its own rows says so around forward and backward. Modules know no more
than how to add up: nothing of it is kept in them, so copies, files and exports know nothing of it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

AddUp = Callable[[Iterable[Tensor]], None]
"""Makes each tensor the sum of those of all processes, which all call it in the same order."""

_add_up: ContextVar[AddUp | None] = ContextVar("kerasish_add_up", default=None)


@contextmanager
def jointly(add_up: AddUp, processes: int) -> Iterator[None]:
    """Inside the block, in this thread, x and dy of modules are a process' own rows of a batch.

    Args:
        add_up: adds up over the processes that have the other rows.
        processes: how many there are; one that is alone has all rows.
    """
    token = _add_up.set(add_up if processes > 1 else None)
    try:
        yield
    finally:
        _add_up.reset(token)


def joint_sum() -> AddUp | None:
    """What adds up over all rows of the batch; None where they are all here."""
    return _add_up.get()
