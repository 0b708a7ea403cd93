"""What stands for kerasish's layers where torch has none, or calls them in another way.

The names of weights are those of both.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Bilinear(nn.Bilinear):
    """Takes (x1, x2) as one argument."""

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
        return super().forward(*x)


class CELU(nn.CELU):
    """CELU with a gradient as exact as its output: torch's own rounds alpha to float32."""

    def forward(self, x: Tensor) -> Tensor:
        below = self.alpha * torch.expm1(x.clamp(max=0) / self.alpha)  # clamped: inf · 0 is NaN
        return torch.where(x > 0, x, below)


class Reshape(nn.Module):
    """x in another shape; the batch stays."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)


class Permute(nn.Module):
    """The axes of samples in another order."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *self.dims)


class Function(nn.Module):
    """A function of x, which autograd derives; the rest is kept for the way back."""

    def __init__(
        self, function: Callable[[Any], Any], derivative: Callable[[Any, Any, Any], Any] | None,
        output_shape: Any,
    ) -> None:
        super().__init__()
        self.function, self.derivative, self.output_shape = function, derivative, output_shape

    def forward(self, x: Any) -> Any:
        return self.function(x)


class GaussianNoise(nn.Module):
    """Adds normal noise in training."""

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stddev * torch.randn_like(x) if self.training and self.stddev else x


class GlobalPool(nn.Module):
    """The mean or the largest of each channel."""

    def __init__(self, largest: bool, keepdims: bool) -> None:
        super().__init__()
        self.largest, self.keepdims = largest, keepdims

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        y = flat.max(2).values if self.largest else flat.mean(2)
        return y.view(*y.shape, *(1,) * (x.dim() - 2)) if self.keepdims else y


class PositionalEncoding(nn.Module):
    """x[t] + p[t], waves of the position t."""

    def forward(self, x: Tensor) -> Tensor:
        _, length, size = x.shape
        position = torch.arange(length, dtype=torch.float64, device=x.device).unsqueeze(1)
        feature = torch.arange(size, device=x.device)
        even = feature - feature % 2
        angle = position * torch.exp(even.double() * (-math.log(10000.0) / size))
        return x + torch.where(feature == even, angle.sin(), angle.cos()).to(x.dtype)


class Recurrent(nn.RNNBase):
    """Answers the last step or all of them, with the states or without, the batch as axis 0."""

    return_sequences = return_state = False

    def forward(self, x: Any) -> Any:
        x, *starts = x if isinstance(x, tuple) else (x,)
        starts = [start.transpose(0, 1).contiguous() for start in starts]
        y, ends = super().forward(x, tuple(starts) if len(starts) > 1 else (starts or [None])[0])
        ends = ends if isinstance(ends, tuple) else (ends,)
        if not self.return_sequences:  # the reverse direction ends at the first step
            y = torch.cat((y[:, -1, : self.hidden_size], y[:, 0, self.hidden_size :]), -1)
        return (y, *(end.transpose(0, 1) for end in ends)) if self.return_state else y


class RNN(Recurrent, nn.RNN):  # type: ignore[misc]
    """torch's RNN, called as kerasish's."""


class LSTM(Recurrent, nn.LSTM):  # type: ignore[misc]
    """torch's LSTM, called as kerasish's."""


class GRU(Recurrent, nn.GRU):  # type: ignore[misc]
    """torch's GRU, called as kerasish's."""


def _by_name(x: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What attention is given, whatever structure it comes in."""
    if isinstance(x, dict):
        return x
    return dict(zip(names, x if isinstance(x, tuple) else (x,), strict=False))


def _masks(
    mask: Any, padding: Any, query: Tensor, key: Tensor, heads: int, causal: bool
) -> tuple[Any, Any]:
    """Masks as torch takes them: for each head of each sample where they differ, of one type."""
    if mask is not None and mask.dim() == 4:
        mask = mask.flatten(0, 1)
    elif mask is not None and mask.dim() == 3 and len(mask) == len(query):
        mask = mask.repeat_interleave(heads, 0)
    if causal:
        future = torch.ones(query.shape[1], key.shape[1], dtype=torch.bool, device=query.device)
        future = future.triu(1)
        mask = future if mask is None else (
            mask | future if mask.dtype == torch.bool else mask.masked_fill(future, -math.inf))
    if mask is not None and padding is not None and mask.dtype != padding.dtype:
        padding = torch.zeros_like(padding, dtype=mask.dtype).masked_fill(padding, -math.inf)
    return mask, padding


class MultiheadAttention(nn.MultiheadAttention):
    """torch's attention, called as kerasish's; the output alone."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _by_name(x, ("query", "key", "value"))
        query = given["query"]
        key = query if given.get("key") is None else given["key"]
        value = key if given.get("value") is None else given["value"]
        mask, padding = _masks(given.get("attn_mask"), given.get("key_padding_mask"), query, key,
                               self.num_heads, self.causal)
        return super().forward(query, key, value, padding, need_weights=False, attn_mask=mask)[0]


class TransformerEncoderLayer(nn.TransformerEncoderLayer):
    """torch's layer, called as kerasish's."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _by_name(x, ("src",))
        src, heads = given["src"], self.self_attn.num_heads
        mask, padding = _masks(given.get("src_mask"), given.get("src_key_padding_mask"), src, src,
                               heads, self.causal)
        return super().forward(src, mask, padding)


class TransformerDecoderLayer(nn.TransformerDecoderLayer):
    """torch's layer, called as kerasish's."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _by_name(x, ("tgt", "memory"))
        tgt, memory, heads = given["tgt"], given["memory"], self.self_attn.num_heads
        mask, padding = _masks(given.get("tgt_mask"), given.get("tgt_key_padding_mask"), tgt, tgt,
                               heads, self.causal)
        memory_mask, memory_padding = _masks(
            given.get("memory_mask"), given.get("memory_key_padding_mask"), tgt, memory, heads,
            False)
        return super().forward(tgt, memory, mask, memory_mask, padding, memory_padding)


class TransformerEncoder(nn.Module):
    """Layers one after the other, each with the same masks, and a norm at the end."""

    def __init__(self, layers: list[nn.Module], norm: nn.Module | None) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(layers), norm

    def forward(self, x: Any) -> Any:
        y = x["src"] if isinstance(x, dict) else x
        for layer in self.layers:
            y = layer({**x, "src": y} if isinstance(x, dict) else y)
        return y if self.norm is None else self.norm(y)
