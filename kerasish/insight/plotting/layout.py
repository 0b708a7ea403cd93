"""Where everything in the picture of a net goes: frames within frames, from the inside out."""

from kerasish.insight.plotting.columns import in_columns, spread_ports
from kerasish.insight.plotting.items import Item, Way, ways
from kerasish.insight.plotting.rows import in_rows
from kerasish.insight.plotting.words import NOTE, Words, width_of
from kerasish.insight.structure import Box
from kerasish.trees import leaves

HEADER = 28.0
"""The upper part of a frame, where its title is."""
PAD, BESIDE = 14.0, 7.0
"""Around what is in a frame or a box, and between an arrow and its shape."""
_LEAST, _LEAST_ROUND = 132.0, 64.0
"""The least width of a box, and of an input or output."""
_TALL, _FLAT = 44.0, 28.0
"""The height of a box with two lines of text, and with one."""
_SHAPED, _BARE = 42.0, 26.0
"""Between rows, with and without shapes."""


def laid_out(words: Words) -> Item:
    """The whole net with all that is in it."""
    structure = words.structure
    return _placed(structure.root, words, ways(structure.root, structure.arrows()))


def _placed(box: Box, words: Words, paths: dict[Box, list[Way]]) -> Item:
    if not box.parts:
        return _box(box, words)
    items = {part: _placed(part, words, paths) for part in box.parts}
    frame = in_rows(box, items, paths[box])
    spread_ports(frame)
    in_columns(frame)
    _stack(frame, _SHAPED if words.show_shapes else _BARE, HEADER if box.module else 0.0)
    _close(frame, words)
    return frame


def _box(box: Box, words: Words) -> Item:
    """A box as large as its words, with room for the shapes below it."""
    note = words.note(box)
    out = list(leaves(box.y))
    labels = [width_of(words.label(value), NOTE) + 2 * BESIDE for value in out]
    step = max(labels, default=0.0)
    room = 2 * step if len(out) == 1 else step * (len(out) + 1)
    least = _LEAST if box.module else _LEAST_ROUND
    width = max(words.title_width(box) + 2 * PAD, width_of(note, NOTE) + 2 * PAD, room, least)
    bottoms = {value: step * (place - (len(out) - 1) / 2) for place, value in enumerate(out)}
    return Item(width, _TALL if note else _FLAT, box, bottoms=bottoms)


def _stack(frame: Item, gap: float, header: float) -> None:
    """Gives each row its height, one below the other."""
    first, *middle, last = frame.rows
    foot = header
    for row in middle:
        top = foot + (0.0 if row is middle[0] and not first else gap if row is not middle[0]
                      else gap / 2)
        foot = top + max(item.height for item in row)
        for item in row:
            item.row = (top, foot)
            item.y = (top + foot - item.height) / 2
            if not item.box:
                item.y, item.height = top, foot - top
    frame.height = foot + (gap if last else PAD if header else 0.0)
    for item in last:
        item.y, item.row = frame.height, (frame.height, frame.height)


def _close(frame: Item, words: Words) -> None:
    """Puts a frame around its items, wide enough for its title and note: no arrow crosses them."""
    items = [item for row in frame.rows for item in row]
    entries = [item.x for item in frame.rows[0]]
    right = max(item.x + item.width / 2 for item in items)
    shift = 0.0
    if frame.box and frame.box.module:
        title = words.title_width(frame.box) + 2 * PAD
        note = width_of(words.note(frame.box), NOTE) + 2 * PAD
        shift = max([PAD, *(title - x for x in entries)])
        right = max([right + shift + PAD, title + note, *(x + shift + note for x in entries)])
    frame.width = right
    for item in items:
        item.x += shift
    frame.tops = {value: item.x - frame.width / 2 for item in frame.rows[0] for value in item.tops}
    frame.bottoms = {value: item.x - frame.width / 2
                     for item in frame.rows[-1] for value in item.bottoms}
