"""Where the boxes of a row stand: near what they are joined to, in order, and never overlapping."""

from kerasish.insight.plotting.items import Item, Line
from kerasish.insight.plotting.rows import BEND

_SWEEPS = 16
_STRAIGHT = 8.0
"""How much more a line between two bends wants to be straight."""
_BETWEEN = 26.0
_PORTS = 26.0
"""How far apart arrows come into one box, at most."""


def spread_ports(frame: Item) -> None:
    """Says where arrows come into boxes that are no frames: in the order of where they start."""
    places = {item: index for row in frame.rows for index, item in enumerate(row)}
    into: dict[Item, list[Line]] = {}
    for line in frame.lines:
        if line.below.box and not line.below.box.parts:
            into.setdefault(line.below, []).append(line)
    for item, lines in into.items():
        lines.sort(key=lambda line: (places[line.above], line.above.bottoms[line.value]))
        step = min(_PORTS, item.width / (len(lines) + 1))
        for index, line in enumerate(lines):
            item.tops[line.value] = step * (index - (len(lines) - 1) / 2)


def in_columns(frame: Item) -> None:
    """Gives each item its x, downwards and upwards in turns; the leftmost edge is at 0."""
    for row in frame.rows:
        left = -sum(item.width + _BETWEEN for item in row) / 2
        for item in row:
            item.x = left + item.width / 2
            left += item.width + _BETWEEN
    above: dict[Item, list[tuple[Item, float, float]]] = {}
    below: dict[Item, list[tuple[Item, float, float]]] = {}
    for line in frame.lines:
        shift = line.above.bottoms[line.value] - line.below.tops[line.value]
        weight = 1.0 if line.above.box or line.below.box else _STRAIGHT
        above.setdefault(line.below, []).append((line.above, shift, weight))
        below.setdefault(line.above, []).append((line.below, -shift, weight))
    for sweep in range(_SWEEPS):
        upwards = sweep % 2 == 0  # the last one goes down
        for row in reversed(frame.rows) if upwards else frame.rows:
            _settle(row, below if upwards else above)
    items = [item for row in frame.rows for item in row]
    leftmost = min(item.x - item.width / 2 for item in items)
    for item in items:
        item.x -= leftmost


def _settle(row: list[Item], joined: dict[Item, list[tuple[Item, float, float]]]) -> None:
    """Moves a row as near as possible to what it is joined to, by least squares, in its order.

    With x less the room that is needed on the left, "in order, not overlapping" is "never falling",
    and the best such values are means over neighbours that would fall.
    """
    room, rooms, before = 0.0, [], None
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for item in row:
        if before is not None:
            room += _distance(before, item)
        before = item
        rooms.append(room)
        others = joined.get(item, ())
        weight = sum(each for _, _, each in others)
        wanted = sum((other.x + shift) * each for other, shift, each in others) / weight if (
            others) else item.x
        block = (wanted - room, weight or 0.1, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, many = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, many + block[2])
        blocks.append(block)
    settled = [mean for mean, _, many in blocks for _ in range(many)]
    for item, mean, needed in zip(row, settled, rooms, strict=True):
        item.x = mean + needed


def _distance(left: Item, right: Item) -> float:
    """How far apart two middles are at least."""
    between = _BETWEEN if left.box and right.box else BEND
    return (left.width + right.width) / 2 + between
