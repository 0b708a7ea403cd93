"""Losses that take predictions for the parameters of a distribution: how unlikely it makes y."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_positive
from kerasish.losses.loss import Ending, Loss


class Poisson(Loss):
    """The negative log-likelihood of counts whose rates are predicted.

        L = mean of  r - t log(r + eps),    r = y_pred, or exp(y_pred) and no eps for log_input

    less what does not depend on y_pred: log t!, which `full` adds in Stirling's approximation,
    t log t - t + log(2π t) / 2 for t > 1.

    Shapes: y_pred and y_true t (N, ...), the same; (N,) counts as (N, 1). L ().
    Range: targets of 0 or more; rates of 0 or more.
    Backward: dy_pred = (1 - t / (r + eps)) / (number of elements), or (r - t) / ... for log_input.
    Source: Keras, whose eps is the same; torch's PoissonNLLLoss is Poisson(log_input=True).
    Raises: ValueError if the shapes differ, or, before training, for targets below 0.

    Args:
        log_input: whether y_pred are logarithms of rates, any real numbers.
        full: whether the term that does not depend on y_pred is added.
        eps: keeps the logarithm finite at a rate of 0, above 0.
        reduction: "mean" or "sum".

    Example:
        >>> Poisson()(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
        tensor(1.0000)
    """

    formula: ClassVar[str] = "L = mean of r - t log r"
    backward_formula: ClassVar[str] = (
        "dy_pred = (1 - t / (r + eps)) / n, or (r - t) / n for log_input")

    def __init__(
        self,
        log_input: bool = False,
        full: bool = False,
        eps: float = 1e-7,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_input, self.full = log_input, full
        self.eps = check_positive("Poisson(eps)", eps)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        if self.log_input:
            rate = y_pred.exp()
            values = torch.addcmul(rate, t, y_pred, value=-1)
        else:
            rate = y_pred + self.eps
            values = torch.addcmul(y_pred, t, rate.log(), value=-1)
        if self.full:
            stirling = torch.xlogy(t, t).sub_(t).add_((t * (2 * math.pi)).log_().mul_(0.5))
            values.add_(stirling.masked_fill_(t <= 1, 0))
        shares = self.shares(sample_weight, values)
        self.save_for_backward(t, rate, shares)
        return self.total(values, shares)

    def backward(self) -> Tensor:
        t, rate, shares = self.saved_tensors()
        dy = torch.sub(rate, t) if self.log_input else torch.rsub(torch.div(t, rate), 1)
        return dy.mul_(shares)

    @property
    def ending(self) -> Ending | None:
        if self.log_input:
            return None
        return Ending("rates of 0 or more", "Add Softplus(), say, at the end, or write "
                      "Poisson(log_input=True).", within=(0.0, math.inf))

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        super().check_targets(y_pred, y_true)
        self.check_values(y_true, 0, math.inf, "counts of 0 or more",
                          "Use loss='mse' for numbers of either sign.")


class GaussianNLL(Loss):
    """The negative log-likelihood of numbers whose mean and variance are predicted.

        L = mean of  (log s + (t - m)² / s) / 2,    s = max(variance, eps)

    y_pred holds both on axis 1: first the means, then as many variances, or their logarithms.

    Shapes: y_pred (N, 2D, ...), y_true t (N, D, ...); (N,) counts as (N, 1). L ().
    Backward: dm = (m - t) / s / n, ds = (1 - (t - m)² / s) / 2 s / n, n being the number of
        elements of t; below eps as if it were at eps, as in torch, so that it can grow again. For
        the logarithm of a variance, ds s.
    Source: Nix and Weigend (1994), equation 3.
    Raises: ValueError for other shapes.

    Args:
        full: whether the constant log(2π) / 2 is added.
        eps: the least variance, above 0.
        log_variance: whether y_pred holds logarithms of variances, any real numbers, in which case
            the model may end in a Linear; eps is not needed then.
        reduction: "mean" or "sum".

    Example:
        >>> GaussianNLL()(torch.tensor([[1.0, 4.0]]), torch.tensor([[3.0]]))
        tensor(1.1931)
    """

    formula: ClassVar[str] = "L = mean of (log s + (t - m)² / s) / 2"
    backward_formula: ClassVar[str] = (
        "dm = (m - t) / s / n,  ds = (1 - (t - m)² / s) / 2 s / n,  dy_pred = [dm, ds]")

    def __init__(
        self,
        full: bool = False,
        eps: float = 1e-6,
        log_variance: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.full, self.log_variance = full, log_variance
        self.eps = check_positive("GaussianNLL(eps)", eps)

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        t = self.matched(y_pred, y_true)
        mean, spread = y_pred.chunk(2, 1)
        if self.log_variance:
            log_s, precision = spread, (-spread).exp_()
        else:
            s = spread.clamp_min(self.eps)
            log_s, precision = s.log(), s.reciprocal_()
        error = torch.sub(mean, t)
        surprise = error.square().mul_(precision)
        shares = self.shares(sample_weight, error)
        self.save_for_backward(error, precision, surprise, shares)
        values = torch.add(log_s, surprise).mul_(0.5)
        if self.full:
            values.add_(math.log(2 * math.pi) / 2)
        return self.total(values, shares)

    def backward(self) -> Tensor:
        error, precision, surprise, shares = self.saved_tensors()
        d_mean = error.mul_(precision)
        d_spread = torch.rsub(surprise, 1).mul_(0.5)
        if not self.log_variance:
            d_spread.mul_(precision)
        return torch.cat([d_mean.mul_(shares), d_spread.mul_(shares)], 1)

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """y_true in the shape of the means, never by broadcasting."""
        self.check_shapes(tuple(y_pred.shape), tuple(y_true.shape))
        half = (y_pred.shape[0], y_pred.shape[1] // 2, *y_pred.shape[2:])
        return y_true.reshape(half).to(y_pred.dtype)

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        if len(y_pred) < 2 or y_pred[1] % 2 or not y_pred[1]:
            raise ValueError(
                f"{self!r} expects y_pred with means and as many variances on axis 1; got shape "
                f"{y_pred}. Give the last module twice the size of y."
            )
        half = (y_pred[0], y_pred[1] // 2, *y_pred[2:])
        if y_true != half and (*y_true, 1) != half:
            raise ValueError(
                f"{self!r} expects y_true in the shape of the means, {half}; got {y_true}. Change "
                "the last module's size, which is twice that of y, or the shape of y."
            )
