"""What is placed: boxes, bends of arrows that pass by boxes, and the lines between them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from kerasish.insight.structure import Arrow, Box, Value


@dataclass(eq=False)
class Item:
    """A rectangle in a frame; one without a box is a bend, where an arrow goes straight through."""

    width: float
    height: float = 0.0
    box: Box | None = None
    tops: dict[Value, float] = field(default_factory=dict)
    """Where a value comes in, from the middle of the upper edge."""
    bottoms: dict[Value, float] = field(default_factory=dict)
    """Where a value goes out, from the middle of the lower edge."""
    x: float = 0.0
    """The middle, in the frame around it."""
    y: float = 0.0
    """The upper edge, there too."""
    row: tuple[float, float] = (0.0, 0.0)
    """The upper and the lower edge of the row that it stands in."""
    rows: list[list["Item"]] = field(default_factory=list)
    """What a frame holds. In the first and the last row values come in and go out."""
    lines: list["Line"] = field(default_factory=list)
    """The arrows in a frame, in pieces."""


class Line(NamedTuple):
    """A piece of an arrow, from an item of a row to one of the next row."""

    above: Item
    below: Item
    value: Value


class Way(NamedTuple):
    """A value on its way in a frame, from one of its boxes to another; None is outside of it."""

    value: Value
    start: Box | None
    end: Box | None


def ways(root: Box, arrows: list[Arrow]) -> dict[Box, list[Way]]:
    """The ways in each frame, each once; an arrow may go out of some frames and into others."""
    around = _chains(root)
    found: dict[Box, dict[Way, None]] = {box: {} for box in around}
    for value, target in ((arrow.value, arrow.target) for arrow in arrows):
        out, into = around[value.source], around[target]
        common = sum(first is second for first, second in zip(out, into, strict=False))
        found[out[common - 1]][Way(value, out[common], into[common])] = None
        for frame, part in zip(out[common:], out[common + 1 :], strict=False):
            found[frame][Way(value, part, None)] = None
        for frame, part in zip(into[common:], into[common + 1 :], strict=False):
            found[frame][Way(value, None, part)] = None
    return {box: list(each) for box, each in found.items()}


def _chains(frame: Box, outer: tuple[Box, ...] = ()) -> dict[Box, tuple[Box, ...]]:
    """For each box the frames that it lies in, the outermost first, and itself at the end."""
    chain = (*outer, frame)
    found = {frame: chain}
    for part in frame.parts:
        found |= _chains(part, chain)
    return found
