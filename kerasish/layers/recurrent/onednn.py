"""oneDNN's LSTM: one kernel for a whole layer, forward and backward, on the CPU in float32."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.devices import onednn_takes

_forward: Callable[..., Any] = torch.ops.aten.mkldnn_rnn_layer.default
_backward: Callable[..., Any] = torch.ops.aten.mkldnn_rnn_layer_backward.default
_LSTM = 2
"""The number of the cell, among those that these kernels know."""
_PAGE = 4096
"""Bytes. Each vector of the workspace begins on one."""


class Kept(NamedTuple):
    """What forward keeps for backward."""

    x: Tensor
    h_start: Tensor
    c_start: Tensor
    y: Tensor
    h_end: Tensor
    c_end: Tensor
    workspace: Tensor


def takes(series: Tensor) -> bool:
    """Whether the kernels can run on this."""
    return series.numel() > 0 and onednn_takes(series)


def lstm(
    series: Tensor, starts: list[Tensor], weights: list[Tensor], reverse: bool
) -> tuple[Tensor, list[Tensor], Kept]:
    """Walks along time.

    Returns: h of every step, h and c at the end, and what `lstm_backward` needs.

    Args:
        series: x, (T, N, features), contiguous.
        starts: h and c before the walk.
        weights: W_ih, W_hh, b_ih and b_hh.
        reverse: whether the last step comes first.
    """
    h, c = (start.contiguous() for start in starts)
    with torch.inference_mode(False):  # inside inference mode it would keep nothing for backward
        y, h_end, c_end, workspace = _forward(
            series, *weights, h, c, reverse, [], _LSTM, h.shape[-1], 1, True, False, False, True)
        if series.is_meta:  # only the kernel itself knows its size, and is not asked there
            steps, samples, features = series.shape
            workspace = workspace.new_empty(
                workspace_bytes(steps, samples, features, h.shape[-1]))
    return y, [h_end, c_end], Kept(series, h, c, y, h_end, c_end, workspace)


def workspace_bytes(steps: int, samples: int, features: int, hidden: int) -> int:
    """What the kernel keeps for backward, besides what it gives: found by measuring it."""
    state, wide = row_length(hidden), row_length(max(features, hidden))
    gates, before, after = row_length(4 * hidden) * steps, wide * (steps + 1), hidden * (steps + 1)
    vectors = [gates, *3 * [2 * before], *2 * [2 * after], state * steps]
    return sum(-(-4 * samples * size // _PAGE) * _PAGE for size in vectors)


def row_length(numbers: int) -> int:
    """How far apart rows of so many lie: whole cache lines, that do not fall on each other."""
    filled = -(-numbers // 16) * 16
    return filled if filled % 256 else filled + 16


def lstm_backward(
    kept: Kept, dy: Tensor | None, dends: list[Tensor], weights: list[Tensor],
    reverse: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Walks back, with the gradients of all h_t, if any, and of h and c at the end.

    Returns: the gradients of x, of the weights, and of h and c at the start.
    """
    *inputs, workspace = kept
    dy = torch.zeros_like(kept.y) if dy is None else dy.contiguous()
    dx, *dweights, dh, dc = _backward(
        kept.x, *weights, *inputs[1:], dy, *dends, reverse, _LSTM, kept.y.shape[-1], 1, True, True,
        False, [], False, workspace)
    return dx, dweights, [dh, dc]
