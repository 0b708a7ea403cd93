"""Numbers that losses compute with: bounds of probabilities, and weights on any device."""

from typing import Any

import torch
from torch import Tensor

LEAST = 1e-12
"""Probabilities are cut here where they divide, as in torch."""

LEAST_LOG = -100.0
"""Logarithms of probabilities are cut here, as in torch, so that that of 0 stays finite."""


class Constants:
    """Numbers of 0 or more, moved and cast once for each device and type that asks.

    Raises: ValueError for numbers below 0, NaN or infinite ones, or no numbers.

    Args:
        who: the loss and its argument, for errors.
        values: a number, a list, an array or a tensor.
        axes: how many axes they must have; None for any number.

    Example:
        >>> Constants("CrossEntropy(weight)", [1, 2]).like(torch.zeros(3))
        tensor([1., 2.])
    """

    def __init__(self, who: str, values: Any, axes: int | None = None) -> None:
        try:
            self._values = torch.as_tensor(values, dtype=torch.float64).detach().clone()
        except (TypeError, ValueError, RuntimeError):
            self._values = torch.tensor(torch.nan)
        good = bool((self._values.isfinite() & (self._values >= 0)).all())
        if not good or axes not in (None, self._values.dim()):
            wanted = "a list of finite numbers" if axes else "finite numbers"
            raise ValueError(f"{who} expects {wanted} of 0 or more; got {values!r}. "
                             f"{'Give one a class.' if axes else '1 changes nothing.'}")
        self.shape = tuple(self._values.shape)
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, other: Tensor) -> Tensor:
        """The numbers on the device and in the type of another tensor."""
        place = other.device, other.dtype
        if place not in self._placed:
            with torch.inference_mode(False):  # they outlive the step
                self._placed[place] = self._values.to(*place)
        return self._placed[place]
