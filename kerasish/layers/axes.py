"""Settings that name an axis of x, as torch counts them: the batch is axis 0, and stays apart."""

import operator
from typing import Any

from kerasish.module import Module
from kerasish.types import Shape


def check_axis(who: str, dim: Any) -> int:
    """Hands an axis back if it may be one of a sample.

    Example:
        >>> check_axis("Softmax(dim)", -1)
        -1
    """
    try:
        axis = 0 if isinstance(dim, bool) else operator.index(dim)
    except TypeError:
        axis = 0
    if axis == 0:
        raise ValueError(
            f"{who} expects an axis of samples, 1 or more, or negative; got {dim!r}. Axis 0 is the "
            "batch, axis 1 holds features or channels, and -1 is the last one."
        )
    return axis


def place_of_axis(module: Module, dim: int, shape: Shape) -> int:
    """Where an axis lies in the shape of a sample.

    Raises: ValueError if samples do not have it.
    """
    place = dim - 1 if dim > 0 else len(shape) + dim
    if not 0 <= place < len(shape):
        raise ValueError(
            f"{module!r} expects x with an axis {dim} besides the batch; got shape "
            f"(N, {', '.join(map(str, shape))}). Choose an axis that x has."
        )
    return place
