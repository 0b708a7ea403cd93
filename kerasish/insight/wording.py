"""How tools name a module, and write a shape."""

from typing import Any

from kerasish.containers import Graph
from kerasish.module import Module
from kerasish.trees import is_shape


def title_of(module: Module) -> str:
    """A module's class and settings; its class alone if these are what it holds.

    Example:
        >>> from kerasish.containers import Residual
        >>> from kerasish.layers import Linear
        >>> title_of(Linear(3, bias=False)), title_of(Residual(Linear(3)))
        ('Linear(3, bias=False)', 'Residual')
    """
    shown = repr(module)
    holds = isinstance(module, Graph) or any(repr(child) in shown for child in module.children())
    return type(module).__name__ if holds else shown


def shape_in_words(shape: Any) -> str:
    """A shape with N for the batch, or several in their structure; "?" for None.

    Example:
        >>> shape_in_words((2, 3)), shape_in_words({"a": (2,), "b": None})
        ('(N, 2, 3)', '{a: (N, 2), b: ?}')
    """
    if shape is None:
        return "?"
    if isinstance(shape, dict):
        parts = (f"{name}: {shape_in_words(part)}" for name, part in shape.items())
        return "{" + ", ".join(parts) + "}"
    if is_shape(shape):
        return f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
    return f"({', '.join(map(shape_in_words, shape))})"
