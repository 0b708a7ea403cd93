"""Rows of words and numbers as lines of text, aligned and no longer than asked for."""

import textwrap
from collections.abc import Sequence

GAP = "  "
_TEXTS = 2
_HANGING = "    "
_UNITS = ("B", "kB", "MB", "GB", "TB")


def table(
    rows: Sequence[Sequence[str]], longest: int, texts: int = _TEXTS
) -> list[list[str]]:
    """The lines of each row, with columns as wide as needed.

    Args:
        rows: as many cells each; a text may begin with blanks, which its further lines keep.
        longest: columns of a terminal that a line may take.
        texts: how many columns, 1 or 2, hold texts, which lie to the left and are wrapped; the
            others hold numbers.
    """
    wanted = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = _widths(wanted, longest, texts)
    return [_lines(row, widths, texts) for row in rows]


def ruled(
    groups: Sequence[Sequence[Sequence[str]]], longest: int, texts: int = _TEXTS
) -> list[str]:
    """The lines of groups of rows, with a rule between each two groups.

    An empty group at the start or the end gives a rule above or below all others.

    Args:
        groups: rows as `table` takes them; the head, say, is a group of one row.
        longest: as there.
        texts: as there.

    Example:
        >>> for line in ruled([[("Layer", "Size")], [("0 Tanh", "3")], []], 80, texts=1):
        ...     print(line)
        Layer   Size
        ------------
        0 Tanh     3
        ------------
    """
    blocks = iter(table([row for group in groups for row in group], longest, texts))
    parts = [[line for _ in group for line in next(blocks)] for group in groups]
    rule = "-" * max(len(line) for part in parts for line in part)
    return [line for part in parts for line in [rule, *part]][1:]


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


def _widths(wanted: list[int], longest: int, texts: int) -> list[int]:
    """Numbers take what they need, texts share what is left."""
    numbers = wanted[texts:]
    left = longest - sum(numbers) - len(GAP) * (len(wanted) - 1)
    if texts == 1:
        return [min(wanted[0], left), *numbers]
    second = min(wanted[1], max(left // 3, left - wanted[0]))
    return [min(wanted[0], left - second), second, *numbers]


def _lines(row: Sequence[str], widths: list[int], texts: int) -> list[str]:
    cells = [wrapped(text, width) for text, width in zip(row[:texts], widths, strict=False)]
    lines = []
    for place in range(max(map(len, cells))):
        left = [(cell[place] if place < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=False)]
        numbers = row[texts:] if place == 0 else ()
        right = [cell.rjust(width) for cell, width in zip(numbers, widths[texts:], strict=False)]
        lines.append(GAP.join([*left, *right]).rstrip())
    return lines
