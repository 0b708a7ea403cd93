"""Quantities over epochs, each in a panel of its own."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kerasish.plots.figure import COLORS, dress, new_figure

Line = tuple[Sequence[float], Sequence[float]]

_COLUMNS, _MARKED, _DECADES = 3, 25, 2


class Panel(NamedTuple):
    """One quantity over epochs.

    Args:
        name: of the quantity.
        lines: label → (epochs from 1, values); where these are not finite there is a cross at the
            foot.
        may_be_logarithmic: whether values that span two decades or more get a logarithmic axis.
    """

    name: str
    lines: Mapping[str, Line]
    may_be_logarithmic: bool = False


def curves(panels: Sequence[Panel]) -> Any:
    """Draws quantities over epochs, each in a panel of its own.

    Raises: ImportError without matplotlib, saying how to install it.

    Returns: a `matplotlib.figure.Figure`.
    """
    columns = 2 if len(panels) == 4 else max(1, min(_COLUMNS, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    figure = new_figure(width=6.4 if columns == 1 else 4.4 * columns, height=0.4 + 3.2 * rows)
    for index, panel in enumerate(panels, 1):
        _draw(figure.add_subplot(rows, columns, index), panel)
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    for color, (label, (epochs, values)) in zip(COLORS, panel.lines.items(), strict=False):
        finite = [value if math.isfinite(value) else math.nan for value in values]
        marker = "o" if sum(map(math.isfinite, values)) <= _MARKED else ""
        axes.plot(epochs, finite, color=color, label=label, linewidth=1.8, marker=marker,
                  markersize=4)
        odd = [epoch for epoch, value in zip(epochs, values, strict=True)
               if not math.isfinite(value)]
        if odd:
            axes.plot(odd, [0.0] * len(odd), color=color, marker="x", markersize=5, linestyle="",
                      transform=axes.get_xaxis_transform(), clip_on=False,
                      label=f"{label}, not finite")
    if panel.may_be_logarithmic and _spans_decades(panel):
        axes.set_yscale("log")
    drawn = [epoch for epochs, _ in panel.lines.values() for epoch in epochs] or [1]
    axes.set_xlim(min(drawn) - 0.5, max(drawn) + 0.5)  # no tick at an epoch 0
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    dress(axes, "epoch", panel.name)


def _spans_decades(panel: Panel) -> bool:
    values = [value for _, line in panel.lines.values() for value in line if math.isfinite(value)]
    return bool(values) and min(values) > 0 and max(values) >= 10**_DECADES * min(values)
