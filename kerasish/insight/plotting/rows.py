"""Boxes in rows: an arrow goes from a row to a lower one, and crosses few others on its way.

Source: Sugiyama, Tagawa & Toda (1981), "Methods for Visual Understanding of Hierarchical System
Structures"; the order within rows by means of neighbours, theirs too.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping

from kerasish.insight.plotting.items import Item, Line, Way
from kerasish.insight.structure import Box, Value

BEND = 14.0
"""The width that an arrow takes where it passes by a box."""
_SWEEPS = 8


def in_rows(frame: Box, items: Mapping[Box, Item], ways: list[Way]) -> Item:
    """A frame with its items in rows, in a good order, and with the lines between them."""
    depths = _depths(frame, ways)
    made = Item(0, box=frame)
    made.rows = [[] for _ in range(2 + max(depths.values()))]
    for part in frame.parts:
        made.rows[depths[part]].append(items[part])
    travels: dict[tuple[Value, Box | None], list[Box | None]] = {}
    for way in ways:
        travels.setdefault((way.value, way.start), []).append(way.end)
    for (value, start), ends in travels.items():
        _travel(made, value, (items[start], depths[start]) if start else None,
                [(items[end], depths[end]) if end else None for end in ends])
    _reorder(made)
    return made


def _depths(frame: Box, ways: list[Way]) -> dict[Box, int]:
    """The row of each part, 1 or more: as high as possible, but for what nothing leads to."""
    depths = dict.fromkeys(frame.parts, 1)
    by_end: dict[Box, list[Box]] = {}
    by_start: dict[Box, list[Box]] = {}
    fed = {way.end for way in ways}
    for way in ways:
        if way.start and way.end:
            by_end.setdefault(way.end, []).append(way.start)
            by_start.setdefault(way.start, []).append(way.end)
    for part in frame.parts:  # calls come after those that they need
        depths[part] = 1 + max((depths[start] for start in by_end.get(part, ())), default=0)
    for part in frame.parts:
        if part not in fed and part in by_start:
            depths[part] = min(depths[end] for end in by_start[part]) - 1
    return depths


def _travel(
    frame: Item, value: Value, start: tuple[Item, int] | None, ends: list[tuple[Item, int] | None]
) -> None:
    """The lines of a value down to all that take it, with bends in the rows between."""
    carrier, depth = start or (_bend(frame, 0, value), 0)
    last = len(frame.rows) - 1
    targets = [end or (_bend(frame, last, value), last) for end in ends]
    lowest = max(row for _, row in targets)
    for row in range(depth + 1, lowest + 1):
        frame.lines += [Line(carrier, item, value) for item, at in targets if at == row]
        if row < lowest:
            bend = _bend(frame, row, value)
            frame.lines.append(Line(carrier, bend, value))
            carrier = bend


def _bend(frame: Item, row: int, value: Value) -> Item:
    bend = Item(BEND, tops={value: 0.0}, bottoms={value: 0.0})
    frame.rows[row].append(bend)
    return bend


def _reorder(frame: Item) -> None:
    """Sorts each row by where its neighbours are, downwards and upwards in turns."""
    above: dict[Item, list[Line]] = {}
    below: dict[Item, list[Line]] = {}
    for line in frame.lines:
        above.setdefault(line.below, []).append(line)
        below.setdefault(line.above, []).append(line)
    best, fewest = [list(row) for row in frame.rows], _crossings(frame)
    for sweep in range(_SWEEPS if fewest else 0):
        places = _places(frame)
        upwards = sweep % 2 == 1
        for row in reversed(frame.rows) if upwards else frame.rows:
            if upwards:
                wanted = {item: [places[line.below] + _share(line.below, line.below.tops, line)
                                 for line in below.get(item, ())] for item in row}
            else:
                wanted = {item: [places[line.above] + _share(line.above, line.above.bottoms, line)
                                 for line in above.get(item, ())] for item in row}
            row.sort(key=lambda item: _mean(wanted[item], places[item]))
            places |= {item: float(index) for index, item in enumerate(row)}
        crossings = _crossings(frame)
        if crossings < fewest:
            best, fewest = [list(row) for row in frame.rows], crossings
    frame.rows = best


def _places(frame: Item) -> dict[Item, float]:
    return {item: float(index) for row in frame.rows for index, item in enumerate(row)}


def _share(item: Item, ports: Mapping[Value, float], line: Line) -> float:
    """How far from the middle a line touches an item, between -1/2 and 1/2."""
    return ports.get(line.value, 0.0) / (item.width or 1.0)


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(frame: Item) -> int:
    """How often lines cross."""
    places = _places(frame)
    row_of = {item: index for index, row in enumerate(frame.rows) for item in row}
    ends: list[list[tuple[float, float]]] = [[] for _ in frame.rows]
    for line in frame.lines:
        ends[row_of[line.above]].append((
            places[line.above] + _share(line.above, line.above.bottoms, line),
            places[line.below] + _share(line.below, line.below.tops, line)))
    count = 0
    for pairs in ends:
        seen: list[float] = []
        for _, low in sorted(pairs):
            count += len(seen) - bisect_right(seen, low)
            insort(seen, low)
    return count
