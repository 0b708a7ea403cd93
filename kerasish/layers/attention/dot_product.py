"""Attention itself: what each query takes from all values, in two ways that compute the same.

A fused kernel that never keeps the matrix of weights, where torch has one with a backward for it;
and the formula step by step, where weights are dropped or a mask is learned.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kerasish.devices import kind_of_device
from kerasish.layers.noise.dropout import Dropout

Saved = tuple[Any, ...]
"""The function that goes back, and what it takes besides dy, q, k and v."""
Gradients = tuple[Tensor, Tensor, Tensor, Tensor | None]
"""dq, dk, dv, and the gradient of the mask, if it is asked for."""

_flash: Callable[..., tuple[Tensor, Tensor]] = (
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
)
_flash_backward: Callable[..., tuple[Tensor, Tensor, Tensor]] = (
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default
)
_safe_softmax: Callable[[Tensor, int], Tensor] = torch.ops.aten._safe_softmax.default
_softmax_backward: Callable[[Tensor, Tensor, int, torch.dtype], Tensor] = (
    torch.ops.aten._softmax_backward_data.default
)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    learned: torch.Size | None,
    causal: bool,
    drop: Dropout,
) -> tuple[Tensor, Saved]:
    """Takes means of v, weighted by how well q matches k; also answers what its backward takes.

    It takes dy, q, k and v besides: who has made them of x can do so again, and need not keep them.

        y = softmax(q kᵀ / √d + mask) v

    Shapes: q (N, H, L, d), k and v (N, H, S, d), y (N, H, L, d); mask broadcasts to (N, H, L, S).
    A query that may look at no key gets zeros.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: is added to the scores: 0, or -inf where a query may not look, or any number.
        learned: the shape of the mask's gradient, with the four axes of the scores; None for none.
        causal: whether query t looks at keys 0 to t alone.
        drop: draws which weights are dropped.
    """
    drops, empty = drop.training and drop.p > 0, 0 in (q.shape[2], k.shape[2])
    if kind_of_device(q) == "cpu" and not (drops or empty or learned):
        y, log_sums = _flash(q, k, v, 0.0, causal, attn_mask=mask)
        return y, (_fused_backward, y, log_sums, mask, causal)
    if causal:
        future = torch.full((q.shape[2], k.shape[2]), -math.inf, dtype=q.dtype, device=q.device)
        mask = future.triu_(1) if mask is None else future.triu_(1) + mask
    scores = torch.matmul(_scaled(q), k.transpose(2, 3))
    weights = torch.softmax(scores, 3) if mask is None else _safe_softmax(scores.add_(mask), 3)
    noise = drop.drawn_mask(weights)
    y = torch.matmul(weights if noise is None else weights * noise, v)
    return y, (_stepwise_backward, weights, noise, learned)


def _scaled(q: Tensor) -> Tensor:
    return q / math.sqrt(q.shape[3])


def _fused_backward(dy: Tensor, q: Tensor, k: Tensor, v: Tensor, *saved: Any) -> Gradients:
    y, log_sums, mask, causal = saved
    return *_flash_backward(dy, q, k, v, y, log_sums, 0.0, causal, attn_mask=mask), None


def _stepwise_backward(dy: Tensor, q: Tensor, k: Tensor, v: Tensor, *saved: Any) -> Gradients:
    """The steps in reverse: product with v, noise, softmax, mask, product of q and k."""
    weights, noise, learned = saved
    d_weights = torch.matmul(dy, v.transpose(2, 3))
    if noise is None:
        dv = torch.matmul(weights.transpose(2, 3), dy)
    else:
        dv = torch.matmul((weights * noise).transpose(2, 3), dy)
        d_weights.mul_(noise)
    d_scores = _softmax_backward(d_weights, weights, 3, weights.dtype)
    d_mask = None if learned is None else d_scores.sum_to_size(learned)
    dq = torch.matmul(d_scores, k).div_(math.sqrt(q.shape[3]))
    return dq, torch.matmul(d_scores.transpose(2, 3), _scaled(q)), dv, d_mask
