"""Limits on the values of a parameter: after each update it is projected back into them."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count, check_number, check_positive
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
        >>> NonNeg()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    formula: ClassVar[str] = "w ← max(w, 0)"

    def project(self, w: Tensor) -> Tensor:
        return w.clamp_min(0)


class NormConstraint(Constraint):
    """Base of constraints on norms: each group of weights is scaled, its direction kept.

    The norms run over all axes but the first, the outputs: each output's incoming weights are one
    group. A vector, a bias for instance, is one group as a whole.

    Args:
        axis: the axes that the norms run over, one or several, counted in torch's layout
            (outputs, inputs, *kernel): Keras' default, axis=0 of (inputs, outputs), is the default
            here.
    """

    def __init__(self, axis: int | tuple[int, ...] | None = None) -> None:
        axes = axis if isinstance(axis, tuple | list) else () if axis is None else (axis,)
        who = f"{type(self).__name__}(axis)"
        self.axis = tuple(check_count(who, each, -99, "1, for instance, is one.") for each in axes)

    def norms(self, w: Tensor) -> Tensor:
        """The norm of each group, with axes of size 1 where the norm ran."""
        axes = self.axis or (tuple(range(1, w.dim())) if w.dim() > 1 else None)
        norms: Tensor = torch.linalg.vector_norm(w, dim=axes, keepdim=True)
        return norms


class MaxNorm(NormConstraint):
    """Lets the incoming weights of no output be longer than a limit.

        w ← w min(1, c / ‖w‖)

    Source: Srivastava et al. (2014), section 5.1.
    Raises: ValueError for settings out of range.

    Args:
        max_value: c, above 0.
        axis: what the norms run over, each output's incoming weights if None: see NormConstraint.

    Example:
        >>> MaxNorm(1.0)(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """

    formula: ClassVar[str] = "w ← w min(1, c / ‖w‖)"

    def __init__(
        self, max_value: float = 2.0, axis: int | tuple[int, ...] | None = None
    ) -> None:
        super().__init__(axis)
        self.max_value = check_positive("MaxNorm(max_value)", max_value)

    def project(self, w: Tensor) -> Tensor:
        return w / (self.norms(w) / self.max_value).clamp_min(1)


class UnitNorm(NormConstraint):
    """Makes the incoming weights of each output as long as 1; zeros, with no direction, stay zeros.

        w ← w / ‖w‖

    Args:
        axis: what the norms run over, each output's incoming weights if None: see NormConstraint.

    Example:
        >>> UnitNorm()(torch.tensor([[3.0, 4.0], [0.0, 0.5]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """

    formula: ClassVar[str] = "w ← w / ‖w‖"

    def project(self, w: Tensor) -> Tensor:
        return w / self.norms(w).clamp_min(torch.finfo(w.dtype).tiny)


class MinMaxNorm(NormConstraint):
    """Brings the length of each output's incoming weights between two limits, or towards them.

        w ← w / ‖w‖ · (ρ min(max(‖w‖, a), b) + (1 - ρ) ‖w‖);  zeros stay zeros

    Raises: ValueError for settings out of range, or if a is above b.

    Args:
        min_value: a, 0 or more.
        max_value: b, 0 or more.
        rate: ρ, the share of the way that is gone in each update, from 0 to 1.
        axis: what the norms run over, each output's incoming weights if None: see NormConstraint.

    Example:
        >>> MinMaxNorm(1.0, 2.0)(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
        tensor([[1.2000, 1.6000],
                [0.6000, 0.8000]])
    """

    formula: ClassVar[str] = "w ← w / ‖w‖ · (ρ min(max(‖w‖, a), b) + (1 - ρ) ‖w‖)"

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(axis)
        self.max_value = check_number("MinMaxNorm(max_value)", max_value, 0)
        self.min_value = check_number("MinMaxNorm(min_value)", min_value, 0, self.max_value)
        self.rate = check_number("MinMaxNorm(rate)", rate, 0, 1)

    def project(self, w: Tensor) -> Tensor:
        norms = self.norms(w)
        wanted = norms.lerp(norms.clamp(self.min_value, self.max_value), self.rate)
        return w / norms.clamp_min(torch.finfo(w.dtype).tiny) * wanted


_named = Registry(Constraint, "weight_constraint", "weight_constraint='non_neg'")
_named.add(MaxNorm)
_named.add(MinMaxNorm)
_named.add(NonNeg)
_named.add(UnitNorm)


def get(constraint: Any) -> Constraint:
    """The constraint of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("non_neg")
        NonNeg()
    """
    return _named.get(constraint)
