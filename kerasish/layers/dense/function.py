"""A module from two functions: the shortest way to a formula of one's own."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch

from kerasish.module import Module
from kerasish.trees import mapped_shapes, sample_shapes
from kerasish.types import Shape


class Lambda(Module):
    """Calls a function of yours going forward, and its derivative, yours as well, going back.

        y = forward(x)        dx = backward(dy, x, y)

    There is no autograd: the chain rule is what backward writes down. dy is the gradient of the
    loss with respect to y; backward turns it into the gradient with respect to x, in the shape of
    x. With `forward=lambda x: x ** 2` it is `backward=lambda dy, x, y: dy * 2 * x`. Prove it with
    `kerasish.gradcheck.check_gradients`. For parameters or settings, write a Module.

    Shapes: what forward takes and gives: a tensor, or a tuple or dict of them; the batch is axis 0.
    Raises: TypeError if one of the two is missing or no function, or if backward returns nothing;
        ValueError if the shape of y cannot be inferred.

    Args:
        forward: function of x that returns y. It must not write into x.
        backward: function of (dy, x, y) that returns dx. It must not write into any of them.
        output_shape: the shape of a sample of y. None runs forward once on tensors without
            numbers (torch's meta device), which is enough for all but numpy and data-dependent
            shapes.

    Example:
        >>> square = Lambda(lambda x: x**2, lambda dy, x, y: dy * 2 * x)
        >>> square(torch.tensor([[3.0]])), square.backward(torch.tensor([[1.0]]))
        (tensor([[9.]]), tensor([[6.]]))
    """

    formula: ClassVar[str] = "y = forward(x)"
    backward_formula: ClassVar[str] = "dx = backward(dy, x, y)"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input", "output"})
    returns_view: ClassVar[bool] = True

    def __init__(
        self,
        forward: Callable[[Any], Any],
        backward: Callable[[Any, Any, Any], Any] | None = None,
        output_shape: Shape | None = None,
    ) -> None:
        if not callable(forward):
            raise TypeError(f"Lambda(forward) expects a function of x; got {forward!r}. "
                            "lambda x: x ** 2 is one.")
        if not callable(backward):
            raise TypeError(
                f"Lambda(backward) expects a function of (dy, x, y) that returns dx; got "
                f"{backward!r}. There is no autograd: write the derivative down, "
                "Lambda(lambda x: x ** 2, lambda dy, x, y: dy * 2 * x) for instance."
            )
        self.function, self.derivative, self.shape_of_y = forward, backward, output_shape

    def build(self, shape: Any) -> Any:
        if self.shape_of_y is not None:
            return tuple(self.shape_of_y)
        with torch.device("meta"):  # constants that forward makes, too
            try:
                samples = mapped_shapes(lambda each: torch.empty((2, *each)), shape)
                y = self.function(samples)
                return sample_shapes(y)
            except Exception as error:
                raise ValueError(
                    f"{self!r} expects a forward that runs on tensors without numbers, to learn "
                    f"the shape of y; got {type(error).__name__}: {error}. "
                    "Say Lambda(..., output_shape=...), without the batch axis."
                ) from error

    def forward(self, x: Any) -> Any:
        y = self.function(x)
        self.save_for_backward(x, y)
        return y

    def backward(self, dy: Any) -> Any:
        x, y = self.saved_tensors()
        dx = self.derivative(dy, x, y)
        if dx is None:
            raise TypeError(f"{self!r} expects a backward that returns dx; got None. "
                            "End it with `return dx`.")
        return dx
