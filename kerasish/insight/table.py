"""Rows of words and numbers as lines of text, aligned and no longer than asked for."""

import textwrap
from collections.abc import Sequence

GAP = "  "
_TEXTS = 2
"""The first columns hold texts, which lie to the left and are wrapped; the others hold numbers."""
_HANGING = "    "
_UNITS = ("B", "kB", "MB", "GB", "TB")


def table(rows: Sequence[Sequence[str]], longest: int) -> list[list[str]]:
    """The lines of each row, with columns as wide as needed.

    Args:
        rows: as many cells each; a text may begin with blanks, which its further lines keep.
        longest: columns of a terminal that a line may take.
    """
    widths = _widths([max(map(len, column)) for column in zip(*rows, strict=True)], longest)
    return [_lines(row, widths) for row in rows]


def wrapped(text: str, longest: int) -> list[str]:
    """A text in lines of that length, all but the first indented further than it."""
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, longest, subsequent_indent=indent + _HANGING,
                         break_on_hyphens=False) or [""]


def in_units(size: float) -> str:
    """A number of bytes for people: three digits, and a unit of 1000 of the one before.

    Example:
        >>> in_units(300), in_units(3_140_000)
        ('300 B', '3.14 MB')
    """
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}"


def _widths(wanted: list[int], longest: int) -> list[int]:
    """Numbers take what they need, texts share what is left."""
    texts, numbers = wanted[:_TEXTS], wanted[_TEXTS:]
    left = longest - sum(numbers) - len(GAP) * (len(wanted) - 1)
    second = min(texts[1], max(left // 3, left - texts[0]))
    return [min(texts[0], left - second), second, *numbers]


def _lines(row: Sequence[str], widths: list[int]) -> list[str]:
    texts = [wrapped(text, width) for text, width in zip(row[:_TEXTS], widths, strict=False)]
    lines = []
    for place in range(max(map(len, texts))):
        left = [(text[place] if place < len(text) else "").ljust(width)
                for text, width in zip(texts, widths, strict=False)]
        numbers = row[_TEXTS:] if place == 0 else ()
        right = [cell.rjust(width) for cell, width in zip(numbers, widths[_TEXTS:], strict=False)]
        lines.append(GAP.join([*left, *right]).rstrip())
    return lines
