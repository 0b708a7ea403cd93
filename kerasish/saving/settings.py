"""The settings of an object as they are now: what was set after it was made is no less its own."""

import inspect
import math
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from kerasish.configured import Configured, argument_names, is_plain
from kerasish.differentiable import kind_of
from kerasish.random import drawing_from

_NOTHING = object()


def present_config(value: Configured) -> dict[str, Any]:
    """The arguments that make an object like this one is now: those of `get_config`, for most.

    Raises: ValueError naming a setting that the constructor would not take so.

    Example:
        >>> from kerasish.layers import Dropout
        >>> dropout = Dropout(0.5)
        >>> dropout.p = 0.1
        >>> dropout.get_config(), present_config(dropout)
        ({'p': 0.5}, {'p': 0.1})
    """
    return {**value.get_config(), **changed_settings(value)}


def changed_settings(value: Configured) -> dict[str, Any]:
    """What was set on an object after it was made, by the names of its arguments.

    An attribute that is called like an argument and holds a plain value was set if it is neither
    what was given nor what the constructor, or `build`, made of that.

    Raises: as `present_config`.
    """
    cls: Any = kind_of(value)
    config = dict(value.get_config())
    given = {**_defaults(cls), **config}
    changed = {name: vars(value)[name] for name in given
               if name in vars(value) and is_plain(vars(value)[name])}
    changed = _unlike(changed, given)
    if changed:  # few objects come this far
        learned = getattr(value, "_learned", {})
        changed = _unlike(_unlike(changed, vars(_again(value, config, changed))), learned)
        if changed:
            twin = vars(_again(value, {**config, **changed}, changed))
            for name in [*_unlike(changed, twin), *(changed.keys() & learned.keys())]:
                raise _refusal(value, name, changed[name], "which it does not take so")
    return changed


def _unlike(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the others do not have."""
    return {name: value for name, value in values.items()
            if not _same(value, others.get(name, _NOTHING))}


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, float) and isinstance(other, float) and math.isnan(value):
        return math.isnan(other)
    return is_plain(other) and bool(value == other)


@lru_cache(maxsize=512)
def _defaults(cls: Any) -> dict[str, Any]:
    """What the arguments of a class are where they are not given, by name."""
    every = [each for base in reversed(cls.__mro__[:-1]) if "__init__" in vars(base)
             for each in inspect.signature(vars(base)["__init__"]).parameters.values()]
    first = {each.name: each.default for each in every}
    return {name: first[name] for name in argument_names(cls)[0]}


def _again(value: Configured, config: dict[str, Any], changed: Mapping[str, Any]) -> Any:
    """A new object of these settings, made unnoticed: no warning, no random number."""
    with warnings.catch_warnings(), torch.random.fork_rng([]), drawing_from(torch.Generator()):
        warnings.simplefilter("ignore")
        try:
            return made_from(kind_of(value), config)
        except Exception as error:
            name = next(iter(changed))
            raise _refusal(value, name, changed[name], f"and then: {error}") from error


def _refusal(value: Configured, name: str, now: Any, why: str) -> ValueError:
    cls = type(value).__name__
    return ValueError(f"Model.save expects settings that {cls}(...) can be made with; got {name} = "
                      f"{now!r}, set after it was made, {why.rstrip('.')}. Make a new {cls} with "
                      "that setting, and save the model with it.")


def made_from(cls: Any, config: Mapping[str, Any]) -> Any:
    """The class called with these settings, `*layers` among them.

    Example:
        >>> from kerasish.layers import Linear
        >>> made_from(Linear, {"out_features": 3})
        Linear(out_features=3)
    """
    rest, (*before, last) = dict(config), _up_to_several(cls)
    if last not in rest:
        return cls(**rest)
    several = rest.pop(last)
    return cls(*(rest.pop(each) for each in before), *several, **rest)


@lru_cache(maxsize=512)
def _up_to_several(cls: Any) -> tuple[str, ...]:
    """The arguments of a class up to the one like `*layers`, or "" if it has none like that."""
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    names = [each.name for each in parameters]
    for place, each in enumerate(parameters):
        if each.kind is each.VAR_POSITIONAL:
            return tuple(names[:place + 1])
    return ("",)
