"""A net that is laid out, as text in the format SVG: for a file, a notebook, a page."""

import re
from collections.abc import Iterator
from html import escape

from kerasish.insight.plotting.items import Item, Line
from kerasish.insight.plotting.layout import BESIDE, HEADER, PAD
from kerasish.insight.plotting.words import NOTE, TITLE, Words
from kerasish.insight.structure import Box

_MARGIN = 20.0
_BELOW_SHAPE = 16.0
"""How far an arrow goes straight down, past its shape, before it turns."""
_STYLE = """
.kerasish-net text{fill:#1f2933;
font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.kerasish-net .page{fill:#ffffff}
.kerasish-net .frame{fill:#5b7089;fill-opacity:.07;stroke:#8fa1b5}
.kerasish-net .plain{fill:#f3f5f8;stroke:#9aa8b7}
.kerasish-net .learns{fill:#dcebfa;stroke:#2f7fc8}
.kerasish-net .joins{fill:#fdeedc;stroke:#d98a2b}
.kerasish-net .end{fill:#e2f3e5;stroke:#4b9e5f}
.kerasish-net .name,.kerasish-net .note{fill:#5d6b7a}
.kerasish-net .shape{fill:#41505f;stroke:#ffffff;stroke-width:3px;paint-order:stroke}
.kerasish-net .line{fill:none;stroke:#6b7b8c;stroke-width:1.4}
.kerasish-net .head{fill:#6b7b8c}
@media (prefers-color-scheme:dark){
.kerasish-net text{fill:#e6edf3}
.kerasish-net .page{fill:#12171d}
.kerasish-net .frame{fill:#9fb3c8;fill-opacity:.08;stroke:#5c6f83}
.kerasish-net .plain{fill:#232b34;stroke:#64748a}
.kerasish-net .learns{fill:#17324d;stroke:#5aa5e6}
.kerasish-net .joins{fill:#43301a;stroke:#e0a050}
.kerasish-net .end{fill:#1b3a24;stroke:#6cc283}
.kerasish-net .name,.kerasish-net .note{fill:#a3b1c0}
.kerasish-net .shape{fill:#c4d0dc;stroke:#12171d}
.kerasish-net .line{stroke:#8fa0b2}
.kerasish-net .head{fill:#8fa0b2}
}
"""
"""All below one class: styles of a picture within a page hold for the whole page."""
_JOINS = {"Add", "Concat", "Multiply", "Pick"}
_NOT_IN_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""Compiled when it is first used: that takes longer than all else here."""


def drawn(net: Item, words: Words) -> str:
    """The picture; the same net gives the same text."""
    width, height = net.width + 2 * _MARGIN, net.height + 2 * _MARGIN
    size = f"{_number(width)} {_number(height)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kerasish-net" viewBox="0 0 {size}" '
        f'width="{_number(width)}" height="{_number(height)}" role="img">',
        f"<title>{_text(f'The net {words.structure.module!r}'[:200])}</title>",
        f"<style>{_STYLE}</style>",
        '<rect class="page" width="100%" height="100%" rx="10"/>',
        *_frame(net, words, _MARGIN, _MARGIN),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _frame(frame: Item, words: Words, x: float, y: float) -> Iterator[str]:
    """What a frame holds: lines first, so that words are never below them."""
    for line in frame.lines:
        yield from _arrow(line, x, y)
    shown = set()
    for line in frame.lines:
        source = line.above.box
        if source and not source.parts and line.value not in shown:
            shown.add(line.value)
            left = x + line.above.x + line.above.bottoms[line.value] + BESIDE
            yield _words("shape", words.label(line.value), left, y + _foot(line.above) + 14)
    for item in (item for row in frame.rows for item in row if item.box):
        left = x + item.x - item.width / 2
        yield from _item(item, words, left, y + item.y)


def _item(item: Item, words: Words, x: float, y: float) -> Iterator[str]:
    box = item.box
    if not box:
        return
    look = _look(box)
    round_by = item.height / 2 if look == "end" else 10 if box.parts else 6
    yield (f'<g><title>{_text(words.told(box))}</title><rect class="{look}" x="{_number(x)}" '
           f'y="{_number(y)}" width="{_number(item.width)}" height="{_number(item.height)}" '
           f'rx="{_number(round_by)}"/>')
    note, middle = words.note(box), x + item.width / 2
    if box.parts:
        line = y + HEADER / 2 + 6
        yield _title(box, words, x + PAD, line, "start")
        yield _words("note", note, x + item.width - PAD, line, "end")
    else:
        yield _title(box, words, middle, y + (19 if note else item.height / 2 + 4.5), "middle")
        yield _words("note", note, middle, y + 35, "middle")
    yield "</g>"
    if box.parts:
        yield from _frame(item, words, x, y)


def _look(box: Box) -> str:
    if not box.module:
        return "end"
    if box.parts:
        return "frame"
    if type(box.module).__name__ in _JOINS:
        return "joins"
    learns = box.parameters() or (not box.module.built and box.module.parameter_names)
    return "learns" if learns else "plain"


def _arrow(line: Line, x: float, y: float) -> Iterator[str]:
    """A piece of an arrow: down to the end of the row, over to the next one, down in that."""
    above, below, value = line
    x1, x2 = x + above.x + above.bottoms[value], x + below.x + below.tops[value]
    foot, top = y + above.row[1], y + below.row[0]
    leads = bool(below.box and not below.box.parts)
    end = y + (below.y + below.height if not below.box else below.y) - (5 if leads else 0)
    way = f"M{_number(x1)} {_number(y + _foot(above))}V{_number(foot)}"
    if abs(x1 - x2) > 0.05:
        if above.box and not above.box.parts:
            foot = min(foot + _BELOW_SHAPE, foot + (top - foot) / 2)
            way += f"V{_number(foot)}"
        bow = (foot + top) / 2
        way += (f"C{_number(x1)} {_number(bow)} {_number(x2)} {_number(bow)} "
                f"{_number(x2)} {_number(top - 6 if leads else top)}")
    yield f'<path class="line" d="{way}V{_number(end)}"/>'
    if leads:
        tip = y + below.y
        yield f'<path class="head" d="M{_number(x2)} {_number(tip)}l-4 -8h8z"/>'


def _foot(item: Item) -> float:
    return item.y + item.height


def _words(look: str, text: str, x: float, y: float, anchor: str = "start") -> str:
    if not text:
        return ""
    return (f'<text class="{look}" x="{_number(x)}" y="{_number(y)}" font-size="{NOTE:g}" '
            f'text-anchor="{anchor}">{_text(text)}</text>')


def _title(box: Box, words: Words, x: float, y: float, anchor: str) -> str:
    """The name, the class and the settings in a line, each in its look."""
    name = words.name(box)
    spans = f'<tspan class="name">{_text(name)}</tspan> ' if name else ""
    spans += f'<tspan font-weight="600">{_text(words.kind(box))}</tspan>'
    if settings := words.settings(box):
        spans += f'<tspan font-size="{NOTE:g}">{_text(settings)}</tspan>'
    return (f'<text x="{_number(x)}" y="{_number(y)}" font-size="{TITLE:g}" '
            f'text-anchor="{anchor}">{spans}</text>')


def _text(text: str) -> str:
    """A text as XML takes it: with its own signs spelled out, and without what it cannot hold."""
    return escape(re.sub(_NOT_IN_XML, "\ufffd", text), quote=False)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.05 else "0"
