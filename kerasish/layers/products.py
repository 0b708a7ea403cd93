"""Products of a batch's rows and a weight, by the library that is fastest at them.

torch multiplies matrices with MKL, which uses half the width of an AMD processor with AVX-512.
oneDNN, which convolves for torch, uses all of it: a product of 512 × 512 × 512 takes 2.3 times as
long with MKL, and 1.1 times without AVX-512. But a call of oneDNN costs some 10 µs, which a small
product is not worth. (2026-11-27, AMD EPYC, one thread, torch 2.13.0.)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.devices import onednn_takes
from kerasish.layers.pieces import PIECE, pieces

LEAST = 1 << 21
"""Multiplications from which oneDNN is faster."""
ONEDNN: Callable[..., Tensor] = (
    torch.ops.mkldnn._linear_pointwise.default
    if torch.backends.mkldnn.is_available() else torch.mm)  # type: ignore[no-untyped-call]
"""The operation, where there is one: y = x Wᵀ + b, for x, W, b, and an activation."""


def least_rows(weight: Tensor) -> int:
    """How many rows a batch has, at least, whose product with this weight is large.

    Example:
        >>> least_rows(torch.ones(512, 512)), least_rows(torch.ones(25, 25))
        (8, 3356)
    """
    return -(-LEAST // max(1, weight.numel()))


def affine(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Y = x Wᵀ + b, for x (rows, in), W (out, in) and b (out,)."""
    if _is_large(rows, weight):
        return ONEDNN(rows, weight, bias, "none", [], "")
    if bias is None:
        return torch.mm(rows, weight.t())
    return torch.addmm(bias, rows, weight.t())


def back(dy: Tensor, weight: Tensor) -> Tensor:
    """Dx = dy W, for dy (rows, out) and W (out, in)."""
    if _is_large(dy, weight):
        return ONEDNN(dy, weight.t(), None, "none", [], "")
    return torch.mm(dy, weight)


def add_outer(grad: Tensor, dy_t: Tensor, x: Tensor) -> None:
    """DW ← dW + dyᵀ x, for dyᵀ (out, rows) and x (rows, in)."""
    if not _is_large(x, grad):
        grad.addmm_(dy_t, x)
        return
    x_t = x.t()
    if grad.nbytes > PIECE:  # oneDNN makes a product of its own, before it is added
        for piece in pieces(grad, grad.shape[1] * grad.itemsize):
            grad[piece].add_(ONEDNN(dy_t[piece], x_t, None, "none", [], ""))
    else:  # and it makes a copy of dyᵀ
        for piece in pieces(x, len(dy_t) * dy_t.itemsize):
            grad.add_(ONEDNN(dy_t[:, piece], x_t[:, piece], None, "none", [], ""))


SMALL = torch.Tensor.addmm_, torch.mm
"""What adds dyᵀ x to dW, and what makes dx, where the product is small: without a look at it."""
LARGE = add_outer, back
"""The same for others."""


def _is_large(rows: Tensor, weight: Tensor) -> Any:
    return rows.shape[0] * weight.numel() >= LEAST and onednn_takes(rows)
