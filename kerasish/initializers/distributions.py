"""Initial values drawn from a distribution that does not depend on the shape."""

import math

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.initializers.initializer import Initializer
from kerasish.random import stream
from kerasish.types import Shape


class Normal(Initializer):
    """Normal numbers.

        w ~ N(μ, σ²)

    Args:
        mean: μ.
        std: σ, 0 or more; 0.05 as in Keras.

    Example:
        >>> Normal(std=1.0)((25, 2)).shape
        torch.Size([25, 2])
    """

    def __init__(self, mean: float = 0.0, std: float = 0.05) -> None:
        self.mean = check_number("Normal(mean)", mean)
        self.std = check_number("Normal(std)", std, 0)

    def numbers(self, shape: Shape) -> Tensor:
        return normal(shape, self.std, self.mean)


class Uniform(Initializer):
    """Numbers equally likely anywhere between two bounds.

        w ~ U(a, b)

    Raises: ValueError if a is above b.

    Args:
        a: the lower bound; -0.05 as in Keras.
        b: the upper bound.

    Example:
        >>> Uniform(0.0, 1.0)((25, 2)).shape
        torch.Size([25, 2])
    """

    def __init__(self, a: float = -0.05, b: float = 0.05) -> None:
        self.a, self.b = check_number("Uniform(a)", a), check_number("Uniform(b)", b)
        if self.a > self.b:
            raise ValueError(f"Uniform(a, b) expects a lower and an upper bound; got {a!r} and "
                             f"{b!r}. Exchange them.")

    def numbers(self, shape: Shape) -> Tensor:
        return torch.empty(shape).uniform_(self.a, self.b, generator=stream())


class TruncatedNormal(Initializer):
    """Normal numbers between two bounds: those beyond are drawn again.

        w ~ N(μ, σ²), given a ≤ w ≤ b

    Source: the inverse of the distribution function, w = μ + σ √2 erf⁻¹(u), of a uniform u.
    Raises: ValueError if hardly any number of N(μ, σ²) lies between the bounds.

    Args:
        mean: μ.
        std: σ, above 0; 0.05 as in Keras. It is that of the distribution before it is cut.
        a: the lower bound; None is two standard deviations below the mean.
        b: the upper bound; None is two standard deviations above it.

    Example:
        >>> bool((TruncatedNormal(std=1.0)((1000,)).abs() <= 2).all())
        True
    """

    def __init__(
        self, mean: float = 0.0, std: float = 0.05, a: float | None = None, b: float | None = None
    ) -> None:
        self.mean = check_number("TruncatedNormal(mean)", mean)
        self.std = check_number("TruncatedNormal(std)", std, 0)
        self.a = mean - 2 * std if a is None else check_number("TruncatedNormal(a)", a)
        self.b = mean + 2 * std if b is None else check_number("TruncatedNormal(b)", b)
        low, high = self._levels() if std else (0.0, 0.0)
        if high - low < 1e-6:
            raise ValueError(f"{self!r} expects bounds with numbers between them; got {self.a!r} "
                             f"and {self.b!r}. Move them towards the mean, {mean!r}.")

    def numbers(self, shape: Shape) -> Tensor:
        u = torch.empty(shape, dtype=torch.float64).uniform_(*self._levels(), generator=stream())
        w = u.erfinv_().mul_(self.std * math.sqrt(2)).add_(self.mean)
        return w.to(torch.get_default_dtype()).clamp_(self.a, self.b)

    def _levels(self) -> tuple[float, float]:
        """The bounds of u."""
        scale = self.std * math.sqrt(2)
        return math.erf((self.a - self.mean) / scale), math.erf((self.b - self.mean) / scale)


def normal(shape: Shape, std: float, mean: float = 0.0) -> Tensor:
    """Normal numbers, in torch's default type."""
    return torch.empty(shape).normal_(mean, std, generator=stream())
