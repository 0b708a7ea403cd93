"""Amounts of memory as people write them."""

import re
from numbers import Real
from typing import Any

from kerasish.registry import nearest

_UNITS = {"B": 1, **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)},
          **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def in_bytes(who: str, amount: Any) -> int:
    """A number of bytes, or a text with a unit: of 1000 (kB, MB, GB, TB) or 1024 (KiB to TiB).

    Raises: ValueError in the name of who asks, with the nearest unit; TypeError for other things.

    Example:
        >>> in_bytes("plan(budget)", "8GB"), in_bytes("plan(budget)", "1.5 GiB")
        (8000000000, 1610612736)
    """
    if isinstance(amount, str):
        found = _AMOUNT.fullmatch(amount)
        if found is None:
            raise ValueError(f"{who} expects an amount of memory; got {amount!r}. Write '8GB' or "
                             "'7.5 GiB', for instance.")
        number, unit = found.groups()
        if unit not in _UNITS:
            raise ValueError(f"{who} expects a unit of memory; got {unit!r}. "
                             f"{nearest(unit, _UNITS)}")
        size: Any = float(number) * _UNITS[unit]
    elif isinstance(amount, Real) and not isinstance(amount, bool):
        size = amount
    else:
        raise TypeError(f"{who} expects an amount of memory; got {amount!r}. Write '8GB', or a "
                        "number of bytes.")
    if not 1 <= size < float("inf"):
        raise ValueError(f"{who} expects one byte or more; got {amount!r}. Write '8GB', for "
                         "instance.")
    return int(size)
