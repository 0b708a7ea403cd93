"""A table of counts as coloured squares: what was taken for what."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasish.plots.figure import INK, new_figure

_READABLE = 30
"""Classes up to which each square has its number."""


def matrix(counts: Any, names: Sequence[str]) -> Any:
    """Draws a confusion matrix: a row for each true class, coloured by its share of the row.

    Raises: ImportError without matplotlib.

    Returns: a `matplotlib.figure.Figure`.

    Args:
        counts: an array (C, C), true classes down and predicted ones across.
        names: of the C classes.
    """
    classes = len(counts)
    side = min(2.5 + 0.55 * classes, 12)
    figure = new_figure(width=side + 0.9, height=side)
    axes = figure.add_subplot(aspect="equal")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(picture, ax=axes, shrink=0.75, format="{x:.0%}",
                          label="of the true class")
    bar.outline.set_visible(False)
    if classes <= _READABLE:
        for (row, column), count in np.ndenumerate(counts):
            axes.text(column, row, f"{count:.4g}", ha="center", va="center",
                      color="white" if shares[row, column] > 0.5 else INK,
                      fontsize=max(6, 11 - classes // 5))
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(classes), names)
    right = counts.trace() / counts.sum() if counts.sum() else np.nan
    axes.set_title(f"{right:.1%} of {counts.sum():,.6g} right", color=INK)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    return figure
