"""What modules and losses share: forward keeps tensors on a stack, backward takes them back."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

from kerasish.configured import Configured

_saving: ContextVar[bool] = ContextVar("kerasish_saving", default=True)


@contextmanager
def saving(switch: bool) -> Iterator[None]:
    """Switches saving for backward on or off inside the block, in this thread."""
    token = _saving.set(switch)
    try:
        yield
    finally:
        _saving.reset(token)


def is_saving() -> bool:
    """Whether forward should keep what backward needs, now and in this thread."""
    return _saving.get()


def kind_of(part: object) -> type:
    """The class of a part, by which it chooses its kernels: also while it is watched."""
    kind: type = vars(type(part)).get("_kind", type(part))
    return kind


def planned_as(part: object) -> type:
    """The class by which containers decide what a part may do: that of one who only listens."""
    kind: type = vars(type(part)).get("_planned_as", type(part))
    return kind


class Differentiable(Configured):
    """A stack of what forward calls keep for their backward calls, last in, first out.

    A module that is applied k times in one step is popped k times in reverse, so shared weights
    need no special care.
    """

    backward_formula: ClassVar[str] = "dx = f'(x) dy"
    """What backward computes, in one line of text beside `formula`: "left = right" for each
    gradient, with two blanks after the commas between them."""

    _saved: list[tuple[Any, ...]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Makes the stack here, so that a subclass may leave out `super().__init__()`."""
        self = super().__new__(cls, *args, **kwargs)
        self._saved = []
        return self

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors for the matching backward; nothing inside `with module.inference():`."""
        if _saving.get():
            self._saved.append(tensors)

    def forget(self) -> None:
        """Drops all that is saved: what a step that failed half-way left behind."""
        self._saved.clear()

    def saved_tensors(self) -> tuple[Any, ...]:
        """What the latest forward saved, handed back once.

        Raises: RuntimeError if there is no forward left to go back through.
        """
        try:
            return self._saved.pop()
        except IndexError:
            raise RuntimeError(
                f"{self!r}.backward() has no forward to go back through. Call forward first, "
                "outside `with module.inference():`, and then backward once."
            ) from None

    def exchange_saved(self, index: int, tensor: Any) -> Any:
        """Puts a tensor in the place of one that the latest forward saved, and hands that out.

        So a container may keep it in the module's stead, or not at all and make it again in time.
        """
        saved = list(self._saved[-1])
        old, saved[index] = saved[index], tensor
        self._saved[-1] = tuple(saved)
        return old
