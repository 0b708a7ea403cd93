"""Names to classes: every string that stands for an object is looked up here."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from kerasish.naming import snake_case

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the closest known ones, or all of them.

    Example:
        >>> nearest("adamm", ["adam", "sgd"])
        "Did you mean 'adam'?"
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Known are {', '.join(map(repr, names))}."


class Registry(Generic[T]):
    """The named classes of one kind; case, `_` and blanks in a name do not matter.

    Args:
        base: the class that all of them come from.
        where: the argument that they are for, "compile(loss)" for instance, and
        example: how it is written: both for errors.
        also: names that are understood elsewhere, but belong among the nearest ones.
    """

    def __init__(
        self, base: type[T], where: str, example: str, also: tuple[str, ...] = ()
    ) -> None:
        self.base, self.where, self.example, self.also = base, where, example, also
        self._classes: dict[str, type[T]] = {}
        self._shown: dict[str, str] = {}

    def add(self, cls: type[T], *aliases: str) -> None:
        """Makes the class answer to its own name and to the aliases."""
        for name in (snake_case(cls.__name__), *aliases):
            self._classes[_plain(name)] = cls
            self._shown[_plain(name)] = name

    def __getitem__(self, name: str) -> type[T]:
        """The class of that name.

        Raises: ValueError with the nearest names if there is none.
        """
        try:
            return self._classes[_plain(name)]
        except KeyError:
            raise ValueError(
                f"{self.where} expects a name that is known, or an instance of "
                f"{self.base.__name__}; got {name!r}. {nearest(name, [*self, *self.also])}"
            ) from None

    def get(self, value: Any) -> T:
        """The entry of that name, made with its defaults, or the instance itself.

        Raises: ValueError with the nearest names; TypeError for a class or anything else.
        """
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            return self[value]()
        fix = f"Write {self.example}."
        if isinstance(value, type) and issubclass(value, self.base):
            fix = f"Write {value.__name__}(...), an instance."
        raise TypeError(
            f"{self.where} expects a name, or an instance of {self.base.__name__}; got "
            f"{value!r}. {fix}"
        )

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown.values())


def _plain(name: str) -> str:
    return "".join(name.lower().split()).replace("_", "")
