"""What a user hangs on single parameters: `Linear(25, weight_regularizer="l2")`."""

from collections.abc import Callable
from typing import Any

from kerasish import constraints, initializers, regularizers
from kerasish.configured import argument_names, refuse_unknown
from kerasish.parameter import Parameter

GETS: dict[str, Callable[[Any], Any]] = {
    "initializer": initializers.get,
    "regularizer": regularizers.get,
    "constraint": constraints.get,
}

Hangings = tuple[tuple[str, str, Any], ...]
"""(parameter, kind, what hangs on it), e.g. ("weight", "regularizer", L2(0.01))."""


def hangings(cls: Any, arguments: dict[str, Any]) -> Hangings:
    """Reads keyword arguments such as `weight_initializer`; None hangs nothing.

    Raises: TypeError with the nearest names for any other argument; what the kinds raise.

    Args:
        cls: the class of the module, which names its parameters.
        arguments: what it was given besides its own ones.
    """
    known = {f"{name}_{kind}": (name, kind) for name in cls.parameter_names for kind in GETS}
    refuse_unknown(cls.__name__, arguments, [*argument_names(cls)[0], *known])
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
