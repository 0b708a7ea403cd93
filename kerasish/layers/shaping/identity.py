"""The module that does nothing, where one is expected."""

from typing import Any, ClassVar

from kerasish.module import Module


class Identity(Module):
    """Passes x on: a tensor, or a tuple or dict of them.

        y = x        dx = dy

    Args:
        args: accepted and ignored, so that it may stand in place of any module.
        kwargs: these, too.

    Example:
        >>> Identity(54, unused=0.1).build((3,))
        (3,)
    """

    formula: ClassVar[str] = "y = x"
    backward_formula: ClassVar[str] = "dx = dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        self.save_for_backward()
        return x

    def backward(self, dy: Any) -> Any:
        self.saved_tensors()
        return dy
