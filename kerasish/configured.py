"""Objects that remember the arguments they were made with: for printing, saving and explaining."""

import inspect
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from kerasish.registry import nearest

_ELSEWHERE = {
    "lr": "learning_rate", "betas": "beta_1", "eps": "epsilon", "alpha": "rho",
    "units": "out_features hidden_size", "filters": "out_channels", "rate": "p",
    "strides": "stride", "input_dim": "num_embeddings", "output_dim": "embedding_dim",
    "pool_size": "kernel_size", "use_bias": "bias", "key_dim": "embed_dim", "label": "labels",
}
"""What Keras or torch call an argument, and what it is called here."""


class Configured:
    """Base of modules, losses, metrics, optimizers and schedules: knows its own arguments.

    Example:
        >>> class Scale(Configured):
        ...     def __init__(self, factor, power=1): ...
        >>> Scale(3).get_config(), Scale(3)
        ({'factor': 3}, Scale(3))
    """

    passes_on: ClassVar[bool] = False
    """Whether a class that takes any keywords passes them all on to the class above it."""

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Keeps the arguments here, so that a subclass may leave out `super().__init__()`."""
        self = super().__new__(cls)
        self._arguments = (args, kwargs)
        known, takes_more = argument_names(cls)
        if not takes_more:
            refuse_unknown(cls.__name__, kwargs, known)
        _check_flags(cls, args, kwargs)
        return self

    def __init__(self) -> None:
        """Takes no arguments, unless a subclass says otherwise."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that this object was made with, by name."""
        args, kwargs = self._arguments
        signature = inspect.signature(type(self).__init__)
        arguments = dict(list(signature.bind(self, *args, **kwargs).arguments.items())[1:])
        for name, parameter in signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(name, {}))
        return arguments  # without self

    def __repr__(self) -> str:
        args, kwargs = self._arguments
        shown = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        return f"{type(self).__name__}({', '.join(shown)})"


def argument_names(cls: Any) -> tuple[tuple[str, ...], bool]:
    """The arguments that a class takes by name, those it passes on to its bases included.

    Returns: the names, and whether it takes others besides.

    Example:
        >>> class Scale(Configured):
        ...     def __init__(self, factor, power=1): ...
        >>> argument_names(Scale)
        (('factor', 'power'), False)
    """
    return _argument_names(cls)


@lru_cache(maxsize=512)
def _argument_names(cls: type[Configured]) -> tuple[tuple[str, ...], bool]:
    names: list[str] = []
    for base in cls.__mro__:
        if "__init__" in vars(base):
            _, *parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            names += [each.name for each in parameters
                      if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
            takes_more = any(each.kind is each.VAR_KEYWORD for each in parameters)
            if not (takes_more and cls.passes_on):
                return tuple(names), takes_more
    return tuple(names), False


def is_plain(value: Any) -> bool:
    """Whether it is a setting that says all of itself: a bool, number, text, None, or such a tuple.

    Example:
        >>> is_plain((3, "same")), is_plain([3])
        (True, False)
    """
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _check_flags(cls: Any, args: Any, kwargs: dict[str, Any]) -> None:
    """Refuses what is given as a bool and is none: any object would do for True, a text, too.

    Raises: ValueError naming the argument.
    """
    positional, flags = _flags(cls)
    for name, value in (*zip(positional, args, strict=False), *kwargs.items()):
        if name in flags and not isinstance(value, bool | int | np.bool_):
            raise ValueError(f"{cls.__name__}({name}) expects True or False; got {value!r}. Write "
                             "one of them.")


@lru_cache(maxsize=512)
def _flags(cls: type[Configured]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The arguments of a class in order, up to one like `*layers`; and which are bools."""
    known, positional = argument_names(cls)[0], list[str]()
    for each in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if each.kind is not each.POSITIONAL_OR_KEYWORD:
            break
        positional.append(each.name)
    every = [each for base in cls.__mro__[:-1] if "__init__" in vars(base)
             for each in inspect.signature(vars(base)["__init__"]).parameters.values()]
    first = {each.name: each.annotation for each in reversed(every)}
    return tuple(positional), frozenset(each for each in known if first[each] is bool)


def refuse_unknown(who: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuses arguments that a class has not.

    Raises: TypeError with the name it has here, or the nearest ones.
    """
    names = list(known)
    for name in given:
        if name not in names:
            here = [each for each in _ELSEWHERE.get(name, "").split() if each in names]
            hint = f"Write {here[0]}=... here." if here else (
                nearest(name.replace("kernel_", "weight_"), names) if names else "Remove it.")
            raise TypeError(f"{who}({name}=...) expects an argument that {who} has; got one that "
                            f"it has not. {hint}")
