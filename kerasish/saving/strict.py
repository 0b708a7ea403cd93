"""JSON as the standard has it, and no more of it than a settings file can need."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

TEXT_LIMIT = 8_000_000
VALUES_LIMIT = 250_000  # 10,000 epochs with 20 logs are 210,000
DEPTH_LIMIT = 64


def to_text(value: Any) -> str:
    """Plain values as ASCII text that `from_text` reads back; tuples come back as lists.

    Raises: TypeError for other objects and keys that are no strings; ValueError for numbers that
        are not finite, and for what exceeds the limits of `from_text`.

    Example:
        >>> to_text({"units": 3, "rate": 0.5})
        '{"units":3,"rate":0.5}'
    """
    keys = [key for part in _parts(value) if isinstance(part, dict) for key in part]
    if others := [key for key in keys if not isinstance(key, str)]:
        raise TypeError(f"JSON expects strings as keys; got {others[0]!r}. Write str(key).")
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    from_text(text)
    return text


def from_text(text: str) -> Any:
    """What strict JSON says.

    Raises: ValueError for anything else: NaN and infinities, also by overflow; a key twice in one
        object; more than 8 MB of memory for the text, 250,000 values or 64 levels.

    Example:
        >>> from_text('{"units": 3, "rate": 0.5}')
        {'units': 3, 'rate': 0.5}
    """
    width = 4 if "\\u" in text else 1  # one sign beyond ASCII makes all of a text that much wider
    if len(text) > TEXT_LIMIT // width:
        raise ValueError(f"expects at most {TEXT_LIMIT // width:,} characters; got {len(text):,}")
    if sum(map(text.count, ",:[{")) > VALUES_LIMIT:  # before they take memory
        raise ValueError(f"expects at most {VALUES_LIMIT:,} values; got more")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_float=_finite,
                           parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"expects JSON; got {error}") from None
    except RecursionError:
        raise ValueError(f"expects at most {DEPTH_LIMIT} levels; got many more") from None
    for _ in _parts(value):
        pass
    return value


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: halves of surrogate pairs it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parts(value: Any) -> Iterator[Any]:
    """All dicts and lists of a tree, level by level."""
    level = [value]
    for _ in range(DEPTH_LIMIT + 1):
        level = [part for part in level if isinstance(part, dict | list | tuple)]
        if not level:
            return
        yield from level
        level = [child for part in level
                 for child in (part.values() if isinstance(part, dict) else part)]
    raise ValueError(f"expects at most {DEPTH_LIMIT} levels; got more")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"expects each key once; got {twice!r} twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"expects finite numbers; got {text[:40]}")
