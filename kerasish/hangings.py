"""What a user hangs on single parameters: `Linear(25, weight_regularizer="l2")`."""

from collections.abc import Callable
from typing import Any

from kerasish import constraints, initializers, regularizers
from kerasish.parameter import Parameter
from kerasish.registry import nearest

GETS: dict[str, Callable[[Any], Any]] = {
    "initializer": initializers.get,
    "regularizer": regularizers.get,
    "constraint": constraints.get,
}

Hangings = tuple[tuple[str, str, Any], ...]
"""(parameter, kind, what hangs on it), e.g. ("weight", "regularizer", L2(0.01))."""


def hangings(who: str, names: tuple[str, ...], arguments: dict[str, Any]) -> Hangings:
    """Reads keyword arguments such as `weight_initializer`; None hangs nothing.

    Raises: TypeError with the nearest names for any other argument; what the kinds raise.
    """
    known = {f"{name}_{kind}": (name, kind) for name in names for kind in GETS}
    for argument in arguments:
        if argument not in known:
            hint = nearest(argument.replace("kernel", "weight"), known) if known else "Remove it."
            raise TypeError(f"{who}({argument}=...) expects an argument that {who} has; got one "
                            f"that it has not. {hint}")
    return tuple((*known[argument], GETS[known[argument][1]](value))
                 for argument, value in arguments.items() if value is not None)


def hang(given: Hangings, parameters: list[tuple[str, Parameter]]) -> None:
    """Initializes parameters anew where asked, and attaches the rest to them.

    "weight_ih" stands for all of "weight_ih_l0", "weight_ih_l1", ...
    """
    for prefix, kind, value in given:
        for name, parameter in parameters:
            if name != prefix and not name.startswith(f"{prefix}_"):
                continue
            if kind == "initializer":
                if not parameter.data.is_meta:
                    parameter.data = value(tuple(parameter.shape), dtype=parameter.data.dtype)
            else:
                setattr(parameter, kind, value)
