"""Settings at the door: each is handed back if it is what is expected, else refused by name."""

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

from kerasish.registry import nearest


def check_count(
    who: str, value: Any, least: int = 0, fix: str = "10, for instance, is one."
) -> int:
    """Hands a count back if it is a whole number, and large enough.

    Example:
        >>> check_count("fit(epochs)", 3)
        3
    """
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if count < least or isinstance(value, bool):
        raise ValueError(f"{who} expects a whole number of at least {least}; got {value!r}. {fix}")
    return count


def check_index(who: str, value: Any) -> int:
    """Hands an axis or an index back if it is a whole number, which may be negative.

    Example:
        >>> check_index("AUC(axis)", -1)
        -1
    """
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise ValueError(f"{who} expects a whole number; got {value!r}. -1, for instance, is one.")


def check_flag(who: str, value: Any, fix: str = "Choose one of them.") -> bool:
    """Hands an answer to yes or no back; whatever else is given would mean yes.

    Example:
        >>> check_flag("fit(shuffle)", True)
        True
    """
    if not isinstance(value, bool):
        raise ValueError(f"{who} expects True or False; got {value!r}. {fix}")
    return value


def check_number(
    who: str, value: Any, low: float = -math.inf, high: float = math.inf, fix: str = ""
) -> float:
    """Hands a setting back if it is a finite number from low to high.

    Example:
        >>> check_number("Dropout(p)", 0.5, 0, 1)
        0.5
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high or math.isinf(float(value)):
        if math.isfinite(low) and math.isfinite(high):
            wanted = f"a number from {low:g} to {high:g}"
        elif math.isfinite(low):
            wanted = f"a finite number of {low:g} or more"
        else:
            wanted = "a finite number" + (f" of at most {high:g}" if math.isfinite(high) else "")
        raise ValueError(f"{who} expects {wanted}; got {value!r}. {fix or 'Choose another one.'}")
    return float(value)


def check_positive(who: str, value: Any, fix: str = "") -> float:
    """Hands a setting back if it is a finite number above 0.

    Example:
        >>> check_positive("Adam(epsilon)", 1e-8)
        1e-08
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < float(value) < math.inf:
        raise ValueError(f"{who} expects a finite number above 0; got {value!r}. "
                         f"{fix or 'Choose a larger one.'}")
    return float(value)


def check_rate(who: str, value: Any) -> float:
    """Hands a learning rate back if it is one."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < math.inf:
        raise ValueError(
            f"{who} expects a finite number of 0 or more, or a schedule; got {value!r}. "
            "0.01 is a usual start."
        )
    return float(value)


def check_share(who: str, value: Any) -> float:
    """Hands a momentum-like setting back if it lies in [0, 1)."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) < 1:
        raise ValueError(f"{who} expects a number from 0 to below 1; got {value!r}. "
                         "0.9 is a usual value.")
    return float(value)


def check_choice(who: str, value: Any, known: Iterable[str]) -> str:
    """Hands a name back if it is one of those known.

    Example:
        >>> check_choice("Conv2d(padding_mode)", "zeros", ["zeros", "reflect"])
        'zeros'
    """
    names = list(known)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{who} expects one of {', '.join(map(repr, names))}; got {value!r}. "
                         f"{nearest(str(value), names)}")
    return value


def check_axes(who: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """A whole number for each axis, from a single one for all of them or from as many.

    Example:
        >>> check_axes("Conv2d(stride)", 2, axes=2)
        (2, 2)
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * axes
    try:
        if len(values) != axes:
            raise ValueError
        return tuple(check_count(who, each, least) for each in values)
    except ValueError:
        raise ValueError(f"{who} expects a whole number of at least {least}, or {axes} of them in "
                         f"a tuple; got {value!r}. Give one for each axis.") from None


def check_built(module: Any) -> None:
    """Refuses to run a module that has no parameters yet."""
    if not module.built:
        raise RuntimeError(
            f"{module!r}.forward(x) expects a module that is built; got one that is not. Call "
            "build(shape) first, or the module itself, which builds it."
        ) from None
