"""Pictures from plain data, drawn by matplotlib without any of its global state."""

import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kerasish.saving import write_whole
from kerasish.saving.errors import FilePath, check_path

Line = tuple[Sequence[float], Sequence[float]]

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe & Ito (2008), "Color Universal Design": told apart with any kind of eyes."""
_GREY, _INK = "#d9d9d9", "#404040"
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
    figure = _figure(width=6.4 if columns == 1 else 4.4 * columns, height=0.4 + 3.2 * rows)
    for index, panel in enumerate(panels, 1):
        _draw(figure.add_subplot(rows, columns, index), panel)
    return figure


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
    figure = _figure(width=6.4, height=3.6)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=_COLORS[0], linewidth=0.8, alpha=0.35, label="each batch")
    axes.plot(rates[: len(smoothed)], smoothed, color=_COLORS[0], linewidth=1.8, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color=_COLORS[1], linewidth=1.4, linestyle="--",
                     label=f"suggestion, {suggestion:.2g}")
    axes.set_xscale("log")
    if smoothed:
        low, start = min(smoothed), smoothed[0]
        room = max(start - low, 0.1 * abs(low), 1e-9)
        axes.set_ylim(low - 0.3 * room, start + 0.8 * room)
    _dress(axes, "learning rate", "loss")
    return figure


def save_picture(who: str, figure: Any, path: FilePath) -> None:
    """Writes a picture in the format that its name says, whole or not at all.

    Raises: ValueError for a name of no known format; OSError if it cannot be written.

    Args:
        who: the argument that the path is, for errors.
        figure: the picture.
        path: "history.png", ".svg" or ".pdf" for instance.
    """
    name = check_path(who, path, "history.png")
    kind, known = os.path.splitext(name)[1][1:].lower(), figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"{who} expects a name that ends in one of .{', .'.join(sorted(known))}; "
                         f"got {name!r}. Write 'history.png', for instance.")
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150)
    write_whole(name, [picture.getbuffer()])


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure  # on use: it is not among what kerasish needs
    except ImportError as error:
        raise ImportError("plots are drawn by matplotlib, which is not installed. Install it with "
                          "pip install 'kerasish[examples]'.") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    for color, (label, (epochs, values)) in zip(_COLORS, panel.lines.items(), strict=False):
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
    _dress(axes, "epoch", panel.name)


def _dress(axes: Any, x: str, y: str) -> None:
    """What all panels look like."""
    axes.set_xlabel(x, color=_INK)
    axes.set_ylabel(y, color=_INK)
    axes.grid(color=_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK)
    axes.tick_params(which="both", colors=_INK)
    if len(axes.lines) > 1:
        axes.legend(frameon=False, labelcolor=_INK)


def _spans_decades(panel: Panel) -> bool:
    values = [value for _, line in panel.lines.values() for value in line if math.isfinite(value)]
    return bool(values) and min(values) > 0 and max(values) >= 10**_DECADES * min(values)
