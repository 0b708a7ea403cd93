"""The picture of a learning-rate range test."""

from collections.abc import Sequence
from typing import Any

from kerasish.plots.figure import COLORS, dress, new_figure


def sweep(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float],
    suggestion: float | None,
) -> Any:
    """Draws the losses of a learning-rate range test, and the rate that is suggested.

    What explodes leaves the picture at its top.

    Raises: ImportError without matplotlib, saying how to install it.

    Args:
        rates: as many as losses, growing.
        losses: of single batches; the last ones may not be finite.
        smoothed: their running average, as long or shorter.
        suggestion: a rate, or None.

    Returns: a `matplotlib.figure.Figure`.
    """
    figure = new_figure(width=6.4, height=3.6)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=COLORS[0], linewidth=0.8, alpha=0.35, label="each batch")
    axes.plot(rates[: len(smoothed)], smoothed, color=COLORS[0], linewidth=1.8, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color=COLORS[1], linewidth=1.4, linestyle="--",
                     label=f"suggestion, {suggestion:.2g}")
    axes.set_xscale("log")
    if smoothed:
        low, start = min(smoothed), smoothed[0]
        room = max(start - low, 0.1 * abs(low), 1e-9)
        axes.set_ylim(low - 0.3 * room, start + 0.8 * room)
    dress(axes, "learning rate", "loss")
    return figure
