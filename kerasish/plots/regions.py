"""What is answered everywhere in a plane, and the points that it was learned from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasish.plots.figure import COLORS, INK, new_figure

_HEIGHT = 6.0
"""Inches, besides the legend."""
_NAMED, _COLUMNS, _LONGEST = 20, 5, 48
"""Classes up to which a legend names them, in so many columns at most, by so many letters."""


class Regions(NamedTuple):
    """A plane in cells, with a class in each, and points with theirs."""

    first: Any
    """The values of the first feature at the columns of cells."""
    second: Any
    """Those of the second feature at the rows."""
    classes: Any
    """The class that each cell is taken for, by row and column."""
    points: Any
    """Samples (N, 2)."""
    true: Any
    """Their true classes (N,)."""
    taken: Any
    """The classes that they are taken for (N,)."""


def regions(data: Regions, names: Sequence[str], axis_names: Sequence[str]) -> Any:
    """Draws the classes of a plane as areas with their boundaries, and the points on them.

    A point that is taken for another class than its own has a ring around it. Of more than 20
    classes the title says how many there are, and the legend names none. Colours are told apart by
    any kind of eyes up to 8 classes, are those of matplotlib's tab20 up to 20, and beyond differ in
    hue alone.

    Raises: ImportError without matplotlib.

    Returns: a `matplotlib.figure.Figure`.

    Args:
        data: what is to be drawn.
        names: of the classes, by their number.
        axis_names: of the two features.
    """
    figure = new_figure(width=6.4, height=_HEIGHT)
    from matplotlib.colors import ListedColormap

    axes = figure.add_subplot()
    colors = _colors(len(names))
    x, y = data.first, data.second
    axes.imshow(data.classes, cmap=ListedColormap(colors), vmin=-0.5, vmax=len(names) - 0.5,
                alpha=0.25, origin="lower", aspect="auto", interpolation="nearest",
                extent=(x[0], x[-1], y[0], y[-1]))
    for number in np.unique(data.classes):
        own = (data.classes == number).astype(float)
        if own.min() < own.max():
            axes.contour(x, y, own, levels=[0.5], colors=[INK], linewidths=1.2)
    for number, name in enumerate(names):
        own = data.points[data.true == number]
        axes.scatter(*own.T, s=12, color=[colors[number]],
                     label=_shortened(name) if len(names) <= _NAMED else None)
    wrong = data.points[data.true != data.taken]
    axes.scatter(*wrong.T, s=80, facecolors="none", edgecolors=INK, linewidths=1.3,
                 label=f"{len(wrong)} wrong")
    many = f", {len(names)} classes" if len(names) > _NAMED else ""
    right = 1 - len(wrong) / len(data.points)
    axes.set_title(f"{right:.1%} of {len(data.points):,} right{many}", color=INK)
    axes.set_xlabel(axis_names[0], color=INK)
    axes.set_ylabel(axis_names[1], color=INK)
    axes.tick_params(colors=INK)
    _add_legend(figure)
    return figure


def _colors(count: int) -> list[Any]:
    """As many colours; classes that follow each other are no shades of one hue."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    from matplotlib import colormaps
    from matplotlib.colors import hsv_to_rgb

    if count <= _NAMED:
        shades = colormaps["tab20"].colors  # type: ignore[attr-defined]  # strong, pale, strong, ..
        return [*shades[::2], *shades[1::2]][:count]
    step = (5**0.5 - 1) / 2  # of the golden ratio: no hue comes again
    return [tuple(hsv_to_rgb((number * step % 1, 0.8, 0.8))) for number in range(count)]


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _add_legend(figure: Any) -> None:
    """Puts it below, in as many columns as fit, and makes the figure higher by it."""
    for columns in range(_COLUMNS, 0, -1):
        legend = figure.legend(loc="outside lower center", ncols=columns, frameon=False,
                               labelcolor=INK)
        box = legend.get_window_extent()
        if box.width < figure.bbox.width or columns == 1:
            figure.set_figheight(_HEIGHT + box.height / figure.dpi)
            return
        legend.remove()
