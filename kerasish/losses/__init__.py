"""Losses: objects with a forward and a backward, found by Keras' and torch's names."""

from typing import Any

from kerasish.losses.crossentropy import BinaryCrossEntropy, CrossEntropy
from kerasish.losses.loss import Loss, refuse_function
from kerasish.losses.regression import MAE, MSE
from kerasish.registry import Registry

__all__ = [
    "MAE",
    "MSE",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Loss",
    "get",
    "named",
]

named = Registry(Loss, "compile(loss)", "loss='mse'")
"""Every name that stands for a loss."""

named.add(MSE, "mean_squared_error", "mse_loss")
named.add(MAE, "mean_absolute_error", "l1_loss", "l1")
named.add(BinaryCrossEntropy, "bce", "bce_loss", "bce_with_logits_loss")
named.add(CrossEntropy, "ce", "cross_entropy_loss", "categorical_crossentropy",
           "sparse_categorical_crossentropy")


def get(loss: Any) -> Loss:
    """The loss of that name, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or a bare function.

    Example:
        >>> get("mean_squared_error")
        MSE()
    """
    if callable(loss) and not isinstance(loss, Loss | type):
        refuse_function(loss)
    return named.get(loss)
