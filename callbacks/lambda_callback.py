"""A callback from functions, where a class would be too much."""

import inspect
from collections.abc import Callable
from typing import Any

from kerasish.configured import refuse_unknown
from kerasish.hooks import Callback

HOOKS = [name for name in dir(Callback) if name.startswith("on_")]


class LambdaCallback(Callback):
    """Calls the functions that it is given, at the hooks of `Callback` that they are named after.

    They get the hook's arguments, without self, by position: (epoch, logs) in epoch hooks,
    (batch, logs) in batch hooks, (logs) at the begin and end of training.

    Raises: TypeError for a name that is no hook, with the nearest ones, and for what is no function
        of the hook's arguments; ValueError for a hook that is given under two names.

    Args:
        on_epoch_begin: a function of (epoch, logs), or None.
        on_epoch_end: a function of (epoch, logs), or None.
        on_train_begin: a function of (logs), or None.
        on_train_end: a function of (logs), or None.
        on_train_batch_begin: a function of (batch, logs), or None.
        on_train_batch_end: a function of (batch, logs), or None.
        hooks: functions for any other hook, `on_backward_end=lambda batch: ...` for instance.

    Example:
        >>> stop = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> stop.on_epoch_end(0, {"loss": 0.5})
        0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ) -> None:
        refuse_unknown("LambdaCallback", hooks, HOOKS)
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin, "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin, "on_train_batch_end": on_train_batch_end,
            **hooks,
        }  # fmt: skip
        for name, function in given.items():
            if function is not None:
                alias = name.replace("_batch", "_train_batch")
                if alias != name and given.get(alias) is not None:
                    raise ValueError(f"LambdaCallback({name}) expects one name for a hook; got "
                                     f"{alias} as well. Write one function that does both.")
                _check_function(name, function)
                setattr(self, name, function)


def _check_function(name: str, function: Any) -> None:
    """Refuses what cannot be called with the arguments of a hook."""
    arguments = list(inspect.signature(getattr(Callback, name)).parameters)[1:]
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return  # written in C: its arguments are not told
    except TypeError:
        raise TypeError(f"LambdaCallback({name}) expects a function of ({', '.join(arguments)}); "
                        f"got {function!r}. Write lambda {', '.join(arguments)}: ...") from None
