"""Penalties on the values of a parameter: they are added to the loss, and their gradients too."""

from typing import Any, ClassVar

from torch import Tensor

from kerasish.checks import check_number
from kerasish.configured import Configured
from kerasish.registry import Registry


class Regularizer(Configured):
    """Base of regularizers: a function of one parameter, and its derivative.

    A subclass writes `penalty(w)`, a 0-dim tensor, and `gradient(w)`, of the shape of w.
    """

    formula: ClassVar[str] = "r(w)"

    def penalty(self, w: Tensor) -> Tensor:
        """r(w), which is added to the loss."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(w) method. Write it.")

    def gradient(self, w: Tensor) -> Tensor:
        """dr/dw, which is added to the gradient."""
        raise NotImplementedError(f"{type(self).__name__} needs a gradient(w) method. Write it.")

    def __call__(self, w: Tensor) -> Tensor:
        """The same as `penalty`."""
        return self.penalty(w)


class L2(Regularizer):
    """Pulls all values towards zero, large ones most.

        r = λ Σ w²

    Args:
        l2: λ, 0 or more.

    Example:
        >>> import torch
        >>> L2(0.5)(torch.tensor([1.0, 2.0]))
        tensor(2.5000)
    """

    formula: ClassVar[str] = "r = λ Σ w²"

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = check_number("L2(l2)", l2, 0, fix="0.01 is a usual value.")

    def penalty(self, w: Tensor) -> Tensor:
        return self.l2 * w.square().sum()

    def gradient(self, w: Tensor) -> Tensor:
        return 2 * self.l2 * w


_named = Registry(Regularizer, "weight_regularizer", "weight_regularizer='l2'")
_named.add(L2)


def get(regularizer: Any) -> Regularizer:
    """The regularizer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("l2")
        L2()
    """
    return _named.get(regularizer)
