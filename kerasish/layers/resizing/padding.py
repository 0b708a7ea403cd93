"""Frames around lines, images and volumes: how wide they are on each side."""

from typing import Any, ClassVar

from kerasish.layers.spatial import Spatial
from kerasish.types import Shape

_SIDES = ("left", "right", "top", "bottom", "front", "back")


class Padding(Spatial):
    """Base of all padding: how much there is on each side.

    Raises: ValueError if padding is no whole number or has the wrong number of them, if x has other
        axes, or if nothing is left of it.

    Args:
        padding: how many elements are added, one number for all sides or one for each, those of the
            last axis first: (left, right, top, bottom, front, back). Where it is negative, so many
            are taken away.
    """

    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    remedy: ClassVar[str] = "Take less away."

    def __init__(self, padding: Any) -> None:
        sides = 2 * self.axes
        pads = tuple(padding) if isinstance(padding, list | tuple) else (padding,) * sides
        if len(pads) != sides or not all(type(pad) is int for pad in pads):
            raise ValueError(
                f"{type(self).__name__}(padding) expects a whole number, or {sides} of them in a "
                f"tuple, ({', '.join(_SIDES[:sides])}); got {padding!r}. Give one for each side."
            )
        self.padding = pads
        self.sides = tuple(zip(pads[-2::-2], pads[::-2], strict=True))
        """What is added before and behind each axis, the first axis first."""

    def kept(self, sizes: Shape) -> Shape:
        """What is left of the sizes of x where padding is negative."""
        return tuple(size + sum(min(pad, 0) for pad in pads)
                     for size, pads in zip(sizes, self.sides, strict=True))

    def resized(self, sizes: Shape) -> Shape:
        kept = self.kept(sizes)
        if min(kept) < 1:
            return kept
        return tuple(size + sum(pads) for size, pads in zip(sizes, self.sides, strict=True))


def require_room(who: object, sizes: Shape, needed: Shape, kept: Shape) -> None:
    """Refuses an x that is too small to make its frame of.

    Raises: ValueError with the smallest sizes.
    """
    if any(0 < have < need for have, need in zip(kept, needed, strict=True)):
        raise ValueError(
            f"{who!r} expects x with sizes of at least {needed} after the channels; got {sizes}. "
            "Choose a smaller padding."
        )
