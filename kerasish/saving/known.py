"""The classes that files may name: those that kerasish exports, and those that a caller gives."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerasish import (
    constraints,
    containers,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from kerasish.constraints import Constraint
from kerasish.initializers import Initializer
from kerasish.losses import Loss
from kerasish.metrics import Metric
from kerasish.module import Module
from kerasish.node import Node
from kerasish.optimizers import Optimizer
from kerasish.regularizers import Regularizer
from kerasish.schedules import Schedule

HANG: tuple[type, ...] = (Initializer, Regularizer, Constraint)
MAY_HOLD: Mapping[type, tuple[type, ...]] = {
    Module: (Module, Node, *HANG),
    Node: (Module, Node),
    Loss: (Loss,),
    Metric: (Metric, Loss),
    Optimizer: (Schedule,),
    Schedule: (Schedule,),
    Initializer: (Initializer,),
    Regularizer: (Regularizer,),
    Constraint: (Constraint,),
}
"""Kind → the kinds that may be among its settings."""
UNSAVED = (layers.Lambda, metrics.ElementwiseMean, metrics.FunctionMetric, metrics.Held,
           metrics.Mean, metrics.ScikitMetric, constraints.NormConstraint)
"""What is made of functions, which no file holds, or says nothing without a class of one's own."""


def _exported() -> dict[str, type]:
    """The names in files, "layers.Linear", with what they stand for; made once, from this list."""
    places = (layers, containers, losses, metrics, optimizers, schedules, initializers,
              regularizers, constraints)
    found: dict[str, type] = {"containers.Node": Node}
    for place in places:
        family = place.__name__.rpartition(".")[2]
        found |= {f"{family}.{value.__name__}": value for value in vars(place).values()
                  if isinstance(value, type) and is_saved(value) and value not in UNSAVED
                  and f"{value.__module__}.".startswith(f"{place.__name__}.")}
    return found


def kind_of(cls: type) -> type | None:
    """The base that a class is a kind of: Module, Loss, ...; None if it is no class of ours."""
    return next((base for base in MAY_HOLD if issubclass(cls, base)), None)


def is_saved(cls: type) -> bool:
    """Whether it is a class of ours that says something: the bases alone compute nothing."""
    return kind_of(cls) not in (None, cls)


KNOWN = _exported()
NAMES = {cls: name for name, cls in KNOWN.items()}


def name_in_file(cls: type) -> str:
    """What a file calls a class.

    Example:
        >>> name_in_file(layers.Linear)
        'layers.Linear'
    """
    return NAMES.get(cls, f"custom.{cls.__name__}")


def with_custom(custom: Iterable[type]) -> dict[str, type]:
    """The known names, and those of a caller's classes.

    Raises: TypeError for what is no class of ours; ValueError for two of one name.

    Args:
        custom: subclasses of Module, Loss, Metric, Optimizer, Schedule and so on.
    """
    own: dict[str, type] = {}
    custom = (custom,) if isinstance(custom, type) else custom
    if not isinstance(custom, Iterable) or isinstance(custom, str | Mapping):
        raise TypeError(f"Model.load(custom) expects classes of modules, losses, metrics and so "
                        f"on; got {custom!r}. Write custom=(MyLayer, MyLoss).")
    for cls in custom:
        if not isinstance(cls, type) or not is_saved(cls):
            raise TypeError(f"Model.load(custom) expects classes of modules, losses, metrics and "
                            f"so on; got {cls!r}. Write custom=(MyLayer, MyLoss).")
        if own.setdefault(f"custom.{cls.__name__}", cls) is not cls:
            raise ValueError(f"Model.load(custom) expects one class of each name; got two called "
                             f"{cls.__name__!r}. Rename one.")
    return KNOWN | own


def check_slot(owner: str, cls: type, values: Iterable[Any]) -> None:
    """Refuses objects among the settings of a class that mean nothing there.

    Raises: TypeError naming them.
    """
    kind = kind_of(cls)
    allowed = MAY_HOLD[kind] if kind else ()
    for value in values:
        if not isinstance(value, allowed):
            kinds = ", ".join(each.__name__ for each in allowed)
            raise TypeError(f"expects {kinds} among the settings of {owner}; got "
                            f"{type(value).__name__}")
