"""What a convolution sees beyond the edges of its input, and where the gradient there goes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kerasish.types import Shape

Margins = Sequence[tuple[int, int]]
"""How many elements are added before and after each axis of space."""

_NAMES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate",
          "circular": "circular"}
MODES = tuple(_NAMES)

_pad: Callable[[Tensor, list[int], str, float | None], Tensor] = torch.ops.aten.pad.default


class Border:
    """Elements put around x: zeros, or what lies near them in x.

        reflect: c b | a b c | b a    replicate: a a | a b c | c c    circular: b c | a b c | a b

    Shapes: x (N, channels, *sizes); with its border, the sizes are larger by the margins.
    Backward: each element of the border adds its gradient to that of its original.
    Raises: ValueError if x is too small to fill the border from.

    Args:
        mode: one of MODES.
        margins: the widths (before, after) for each axis of space.

    Example:
        >>> Border("reflect", [(2, 1)]).put_around(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[3., 2., 1., 2., 3., 2.]]])
    """

    def __init__(self, mode: str, margins: Margins) -> None:
        self.mode, self.margins = mode, margins
        self._widths = [width for margin in reversed(margins) for width in margin]

    def check(self, who: object, sizes: Sequence[int]) -> None:
        """Refuses sizes of x that are too small to fill the border from."""
        for size, margin in zip(sizes, self.margins, strict=True):
            most = {"reflect": size - 1, "circular": size}.get(self.mode)
            if most is not None and max(margin) > most:
                raise ValueError(
                    f"{who!r} expects x of a size that fills a border of {max(margin)}; got "
                    f"{tuple(sizes)}. Choose a padding of at most {max(most, 0)} there, or "
                    "padding_mode='replicate'."
                )

    def sizes_with(self, sizes: Sequence[int]) -> Shape:
        """The sizes of x with its border."""
        return tuple(size + sum(margin) for size, margin in zip(sizes, self.margins, strict=True))

    def put_around(self, x: Tensor) -> Tensor:
        """A tensor with x in the middle."""
        return _pad(x, self._widths, _NAMES[self.mode], None)

    def fold(self, gradient: Tensor) -> Tensor:
        """The gradient of x from that of x with its border, which is overwritten."""
        for axis, (before, after) in enumerate(self.margins, start=2):
            size = gradient.shape[axis] - before - after
            first, middle, last = torch.split(gradient, [before, size, after], axis)
            if self.mode == "reflect":
                middle.narrow(axis, 1, before).add_(first.flip(axis))
                middle.narrow(axis, size - 1 - after, after).add_(last.flip(axis))
            elif self.mode == "replicate":
                middle.narrow(axis, 0, 1).add_(first.sum(axis, keepdim=True))
                middle.narrow(axis, size - 1, 1).add_(last.sum(axis, keepdim=True))
            elif self.mode == "circular":
                middle.narrow(axis, size - before, before).add_(first)
                middle.narrow(axis, 0, after).add_(last)
            gradient = middle
        return gradient
