"""What all containers do around their parts: say where an error arose, compare shapes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from kerasish.module import Module
from kerasish.trees import fits, shape_of


@contextmanager
def at(container: Module, place: str, part: Module) -> Iterator[None]:
    """Adds the place to an error from inside: "in body of Residual, Linear(25)"."""
    try:
        yield
    except Exception as error:
        note_place(error, container, place, part)
        raise


def note_place(error: Exception, container: Module, place: str, part: Module) -> None:
    """Adds the place to an error."""
    error.add_note(f"in {place} of {type(container).__name__}, {part!r}")


def require_dy(container: Module, dy: Any, shape: Any) -> None:
    """Refuses a gradient in another shape than the output's.

    Raises: ValueError with both shapes.
    """
    if not fits(dy, shape):
        raise ValueError(
            f"{type(container).__name__}.backward(dy) expects the shape of its output, "
            f"{tuple(shape)}; got {tuple(shape_of(dy))}. Give it the gradient of the loss with "
            "respect to that output."
        )


def require_dx(part: Module, dx: Any, shape: Any) -> None:
    """Refuses what a backward gives in another shape than forward's input.

    Raises: ValueError with both shapes.
    """
    if not fits(dx, shape):
        raise ValueError(
            f"{part!r}.backward(dy) expects to give dx in the shape of x, {tuple(shape)}; got "
            f"{tuple(shape_of(dx))}. Mend it."
        )


def learns(module: Module) -> bool:
    """Whether training changes anything in a module."""
    return any(parameter.trainable for parameter in module.parameters())


def refuse_silence(part: Module) -> NoReturn:
    """Refuses a backward that gives no gradient, where what lies before it is to learn from it.

    Raises: TypeError naming it, always.
    """
    raise TypeError(f"{part!r}.backward(dy) expects to return dL/dx; got None, so that what lies "
                    "before it would not learn. Return the gradient of its input.")
