"""Every setting of every module that is a number, made huge: no loop may count up to it."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from kerasish.saving.objects import encode
from tests.table import MODULES

HUGE = (10**5, 10**15)


def huge_settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """What a file says of a net, by what it is; each class and setting once for each number."""
    seen: set[str] = set()
    for row in MODULES:
        if "Lambda" not in row.id:
            settings = {"module": row.make(), "shapes": {"": row.shape}, "dtype": None,
                        "modules": {}, "parameters": {}}
            net = json.loads(json.dumps(encode(settings, "net")[0]))  # tuples become lists
            for place, name in _numbers(net):
                for size in HUGE if name not in seen else ():
                    yield f"{name}={size}", _changed(net, place, size)
                seen.add(name)


def _numbers(net: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    for number, row in enumerate(net["objects"]):
        for key, value in row["config"].items():
            places = [(key,)] if type(value) in (int, float) else [
                (key, "$tuple", index) for index, part in enumerate(_parts(value))
                if type(part) in (int, float)]
            for place in places:
                yield (number, "config", *place), f"{row['class']}.{key}"


def _parts(value: Any) -> list[Any]:
    parts = value.get("$tuple") if isinstance(value, dict) else None
    return parts if isinstance(parts, list) else []


def _changed(net: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    net = copy.deepcopy(net)
    part = net["objects"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return net
