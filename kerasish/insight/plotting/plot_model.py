"""A net as a picture that anything can show: boxes, arrows, frames within frames."""

import os
from typing import Any

from kerasish.checks import check_flag
from kerasish.insight.plotting.layout import laid_out
from kerasish.insight.plotting.svg import drawn
from kerasish.insight.plotting.words import Words
from kerasish.insight.structure import Structure
from kerasish.module import Module
from kerasish.saving import write_whole
from kerasish.saving.errors import FilePath, check_path


class Picture(str):
    """A picture as text in the format SVG; a notebook shows it."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def plot_model(
    model: Any,
    to_file: FilePath | None = None,
    show_shapes: bool = True,
    show_layer_names: bool = True,
    expand_nested: bool = True,
) -> Picture:
    """Draws a net: its modules with their parameters, and the shapes of what goes between them.

    Containers are frames around their modules, branches stand side by side, and a module that is
    called several times is there as often, marked as shared. It works before the net is built too,
    with "?" for shapes that are not known yet. Nothing is run.

    Raises: TypeError for what is no model or module; ValueError for a file of another kind; OSError
        if it cannot be written.

    Args:
        model: a Model, or a module.
        to_file: "net.svg", written whole or not at all; None writes none.
        show_shapes: whether arrows have shapes, with N for the batch.
        show_layer_names: whether boxes have their names, "0" or "body", as state dicts have them.
        expand_nested: whether containers show what they hold; else each is one box.

    Returns: the picture as text, which a notebook shows.

    Example:
        >>> from kerasish import Model
        >>> from kerasish.layers import Linear, ReLU
        >>> picture = plot_model(Model(Linear(2, 8), ReLU(), Linear(1), device="cpu"))
        >>> picture.startswith("<svg"), "Linear(2, 8)" in picture
        (True, True)
    """
    module = model if isinstance(model, Module) else getattr(model, "module", None)
    if not isinstance(module, Module):
        raise TypeError(f"plot_model(model) expects a Model or a module; got {model!r}. "
                        "Make it first.")
    flags = {"show_shapes": show_shapes, "show_layer_names": show_layer_names,
             "expand_nested": expand_nested}
    for name, value in flags.items():
        check_flag(f"plot_model({name})", value)
    path = None if to_file is None else _svg_path(to_file)
    words = Words(Structure(module, expand_nested), show_shapes, show_layer_names)
    picture = Picture(drawn(laid_out(words), words))
    if path is not None:
        write_whole(path, [picture.encode()])
    return picture


def _svg_path(path: FilePath) -> str:
    """A path, if it is one of an SVG."""
    name = check_path("plot_model(to_file)", path, "net.svg")
    stem, suffix = os.path.splitext(name)
    if suffix.lower() != ".svg":
        raise ValueError(f"plot_model(to_file) expects a name that ends in .svg; got {name!r}. "
                         f"Write {stem + '.svg'!r}: browsers and notebooks show it.")
    return name
