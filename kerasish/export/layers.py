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
    """A function of x, which autograd derives."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

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


def _masks(x: Any, tensors: tuple[str, ...]) -> dict[str, Any]:
    """What attention is given, by name."""
    if isinstance(x, dict):
        return x
    return dict(zip(tensors, x if isinstance(x, tuple) else (x,), strict=False))


def _mask(mask: Any, causal: bool, length: int, keys: int, like: Tensor) -> Any:
    """A mask as torch takes it, for each head of each sample where it differs among them."""
    if mask is not None and mask.dim() == 4:
        mask = mask.flatten(0, 1)
    if not causal:
        return mask
    future = torch.ones(length, keys, dtype=torch.bool, device=like.device).triu(1)
    if mask is None or mask.dtype == torch.bool:
        return future if mask is None else mask | future
    return mask.masked_fill(future, -math.inf)


class MultiheadAttention(nn.MultiheadAttention):
    """torch's attention, called as kerasish's; the output alone."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _masks(x, ("query", "key", "value"))
        query = given["query"]
        key = query if given.get("key") is None else given["key"]
        value = key if given.get("value") is None else given["value"]
        mask = given.get("attn_mask")
        if mask is not None and mask.dim() == 3 and len(mask) == len(query):
            mask = mask.repeat_interleave(self.num_heads, 0)
        mask = _mask(mask, self.causal, query.shape[1], key.shape[1], query)
        return super().forward(query, key, value, given.get("key_padding_mask"), False, mask)[0]


class TransformerEncoderLayer(nn.TransformerEncoderLayer):
    """torch's layer, called as kerasish's."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _masks(x, ("src",))
        src = given["src"]
        mask = _mask(given.get("src_mask"), self.causal, src.shape[1], src.shape[1], src)
        return super().forward(src, mask, given.get("src_key_padding_mask"))


class TransformerDecoderLayer(nn.TransformerDecoderLayer):
    """torch's layer, called as kerasish's."""

    causal = False

    def forward(self, x: Any) -> Any:  # type: ignore[override]
        given = _masks(x, ("tgt", "memory"))
        tgt, memory = given["tgt"], given["memory"]
        mask = _mask(given.get("tgt_mask"), self.causal, tgt.shape[1], tgt.shape[1], tgt)
        return super().forward(tgt, memory, mask, given.get("memory_mask"),
                               given.get("tgt_key_padding_mask"),
                               given.get("memory_key_padding_mask"))


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
