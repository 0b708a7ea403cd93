"""What is answered everywhere in a plane, and the points that it was learned from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasish.plots.figure import COLORS, INK, new_figure

_MOST = len(COLORS)


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

    A point that is taken for another class than its own has a ring around it.

    Raises: ImportError without matplotlib.

    Returns: a `matplotlib.figure.Figure`.

    Args:
        data: what is to be drawn.
        names: of the classes, by their number.
        axis_names: of the two features.
    """
    figure = new_figure(width=6.4, height=6.4)
    from matplotlib.colors import ListedColormap

    axes = figure.add_subplot()
    colors = [COLORS[number % _MOST] for number in range(len(names))]
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
        axes.scatter(*own.T, s=12, color=colors[number], label=name)
    wrong = data.points[data.true != data.taken]
    axes.scatter(*wrong.T, s=80, facecolors="none", edgecolors=INK, linewidths=1.3,
                 label=f"{len(wrong)} wrong")
    axes.set_title(f"{1 - len(wrong) / len(data.points):.1%} of {len(data.points):,} right",
                   color=INK)
    axes.set_xlabel(axis_names[0], color=INK)
    axes.set_ylabel(axis_names[1], color=INK)
    axes.tick_params(colors=INK)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, labelcolor=INK)
    return figure
