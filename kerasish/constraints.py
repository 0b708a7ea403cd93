"""Limits on the values of a parameter: after each update it is projected back into them."""

from typing import Any, ClassVar

from torch import Tensor

from kerasish.configured import Configured
from kerasish.registry import Registry


class Constraint(Configured):
    """Base of constraints: a projection of one parameter onto the values allowed.

    A subclass writes `project(w)`, which answers the nearest allowed values.
    """

    formula: ClassVar[str] = "w ← P(w)"

    def project(self, w: Tensor) -> Tensor:
        """The values after the constraint, in a tensor of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} needs a project(w) method. Write it.")

    def __call__(self, w: Tensor) -> Tensor:
        """The same as `project`."""
        return self.project(w)


class NonNeg(Constraint):
    """Lets no value fall below zero.

        w ← max(w, 0)

    Example:
        >>> import torch
        >>> NonNeg()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    formula: ClassVar[str] = "w ← max(w, 0)"

    def project(self, w: Tensor) -> Tensor:
        return w.clamp_min(0)


_named = Registry(Constraint, "weight_constraint", "weight_constraint='non_neg'")
_named.add(NonNeg)


def get(constraint: Any) -> Constraint:
    """The constraint of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("non_neg")
        NonNeg()
    """
    return _named.get(constraint)
