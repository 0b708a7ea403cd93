"""What all pictures share: colours, a figure without any of matplotlib's global state, a file."""

import io
import os
from typing import Any

from kerasish.saving import write_whole
from kerasish.saving.errors import FilePath, check_path

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#404040")
"""Okabe & Ito (2008), "Color Universal Design": told apart with any kind of eyes."""
GREY, INK = "#d9d9d9", "#404040"


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of so many inches.

    Raises: ImportError without matplotlib, saying how to install it.
    """
    try:
        from matplotlib.figure import Figure  # on use: it is not among what kerasish needs
    except ImportError as error:
        raise ImportError("plots are drawn by matplotlib, which is not installed. Install it with "
                          "pip install 'kerasish[plots]'.") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    return figure


def dress(axes: Any, x: str, y: str) -> None:
    """Names the axes, and makes them look as in all curves."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color=GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", colors=INK)
    if len(axes.lines) > 1:
        axes.legend(frameon=False, labelcolor=INK)


def save_picture(who: str, figure: Any, path: FilePath, example: str) -> None:
    """Writes a picture in the format that its name says, whole or not at all.

    Raises: ValueError for a name of no known format; OSError if it cannot be written.

    Args:
        who: the argument that the path is, for errors.
        figure: the picture.
        path: with a suffix that says the format, ".png", ".svg" or ".pdf" for instance.
        example: what else could have been written, "history.png" for instance.
    """
    name = check_path(who, path, example)
    kind, known = os.path.splitext(name)[1][1:].lower(), figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"{who} expects a name that ends in one of .{', .'.join(sorted(known))}; "
                         f"got {name!r}. Write {example!r}, for instance.")
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150)
    write_whole(name, [picture.getbuffer()])
