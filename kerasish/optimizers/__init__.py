"""Optimizers: formulas on flat vectors, found by Keras' names."""

from typing import Any

from kerasish.optimizers.adadelta import Adadelta
from kerasish.optimizers.adagrad import Adagrad
from kerasish.optimizers.adam import Adam
from kerasish.optimizers.adamax import Adamax
from kerasish.optimizers.adamw import AdamW
from kerasish.optimizers.flat import FlatParameters, flatten
from kerasish.optimizers.lamb import LAMB
from kerasish.optimizers.lion import Lion
from kerasish.optimizers.nadam import Nadam
from kerasish.optimizers.optimizer import Optimizer
from kerasish.optimizers.radam import RAdam
from kerasish.optimizers.rmsprop import RMSprop
from kerasish.optimizers.sgd import SGD
from kerasish.registry import Registry

__all__ = [
    "LAMB",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "FlatParameters",
    "Lion",
    "Nadam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "flatten",
    "get",
]

_named = Registry(Optimizer, "compile(optimizer)", "optimizer='sgd'")
for _cls in (SGD, Adam, AdamW, Nadam, RAdam, RMSprop, Adagrad, Adadelta, Adamax, Lion, LAMB):
    _named.add(_cls, _cls.__name__.lower())


def get(optimizer: Any) -> Optimizer:
    """The optimizer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("adam")
        Adam()
    """
    return _named.get(optimizer)
