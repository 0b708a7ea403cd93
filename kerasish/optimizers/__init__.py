"""Optimizers: formulas on flat vectors, found by Keras' names."""

from typing import Any

from kerasish.optimizers.adam import Adam
from kerasish.optimizers.flat import FlatParameters, flatten
from kerasish.optimizers.optimizer import Optimizer
from kerasish.optimizers.sgd import SGD
from kerasish.registry import Registry

__all__ = [
    "SGD",
    "Adam",
    "FlatParameters",
    "Optimizer",
    "flatten",
    "get",
]

_named = Registry(Optimizer, "compile(optimizer)", "optimizer='sgd'")
_named.add(SGD)
_named.add(Adam)


def get(optimizer: Any) -> Optimizer:
    """The optimizer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("adam")
        Adam()
    """
    return _named.get(optimizer)
