"""Objects that remember the arguments they were made with: for printing, saving and explaining."""

import inspect
from typing import Any


class Configured:
    """Base of modules, losses, metrics, optimizers and schedules: knows its own arguments.

    Example:
        >>> class Scale(Configured):
        ...     def __init__(self, factor, power=1): ...
        >>> Scale(3).get_config(), Scale(3)
        ({'factor': 3}, Scale(3))
    """

    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Keeps the arguments here, so that a subclass may leave out `super().__init__()`."""
        self = super().__new__(cls)
        self._arguments = (args, kwargs)
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
