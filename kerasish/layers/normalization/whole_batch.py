"""Statistics over a batch whose rows lie with several processes, and dx through statistics."""

import math

import torch
from torch import Tensor

from kerasish.joint import AddUp
from kerasish.layers.pieces import pieces

_own_statistics = torch.ops.aten.batch_norm_update_stats.default


def joint_statistics(x: Tensor, add_up: AddUp) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over the rows of all processes, and their number.

        n = Σ nᵣ,  μ = Σ nᵣ μᵣ / n,  σ² = Σ nᵣ (σᵣ² + (μᵣ - μ)²) / n

    nᵣ, μᵣ and σᵣ² are those of the rows of process r, of which there may be none. Squares are of
    differences alone, so nothing cancels where μ is large beside σ.

    Shapes: x (N, C, ...), results (C,), (C,) and a number; in float32 or wider.
    Source: Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance", 2.1.
    """
    values = x.numel() // x.size(1)
    mean, variance = _statistics(x)
    sums = torch.cat([mean * values, mean.new_full((1,), values)])
    add_up([sums])
    count = sums[-1]
    joint_mean = sums[:-1] / count
    squares = (variance + (mean - joint_mean).square()) * values
    add_up([squares])
    return joint_mean, squares / count, count


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """μ and σ² of the rows that are here; zeros where there are none."""
    start = torch.zeros(x.size(1), device=x.device,
                        dtype=torch.promote_types(x.dtype, torch.float32))
    if not x.numel():
        return start, start
    if x.dtype == start.dtype:
        mean, variance = _own_statistics(x, None, None, 0.0)
        return mean, variance
    mean, variance = _own_statistics(x, start, start.clone(), 0.0)  # answers in their type
    return mean, variance


def write_dx(
    dx: Tensor, dy: Tensor, x: Tensor, mean: Tensor, scales: tuple[Tensor, Tensor | None],
    sums: tuple[Tensor, Tensor], count: Tensor | float,
) -> None:
    """Fills in dx, which may be dy.

        dx = γ rstd (dy - Σ dy / n - x̂ Σ dy x̂ / n)

    Shapes: dx, dy and x (N, C, ...), the others (C,).

    Args:
        dx: where it is written, for the rows that are here.
        dy: of these rows.
        x: these rows.
        mean: μ.
        scales: rstd = 1 / √(σ² + ε) and γ, or None.
        sums: Σ dy x̂ and Σ dy over all rows.
        count: n, the number of values of a channel in all rows.
    """
    rstd, weight = scales
    scale = rstd if weight is None else weight * rstd
    share, (dw, db) = scale * (-1 / count), sums
    terms = [each.view(-1, *(1,) * (x.dim() - 2))
             for each in (mean, share * db, share * rstd * dw, scale)]
    for rows in pieces(x, x[:1].nbytes):
        _write_piece(dx[rows], dy[rows], x[rows], *terms)


def _write_piece(
    dx: Tensor, dy: Tensor, x: Tensor, mean: Tensor, start: Tensor, slope: Tensor, scale: Tensor
) -> None:
    centred = x - mean
    torch.addcmul(start, centred, slope, out=centred)
    torch.addcmul(centred, dy, scale, out=dx)


def bounded(variance: Tensor, eps: float) -> Tensor:
    """The variance to divide by the root of: a channel of one value is centred, and not divided.

    Without ε the kernels for statistics of a batch do so, those for given statistics do not.
    """
    return variance if eps else variance.masked_fill(variance == 0, math.inf)
