"""Embeddings, attention, and the blocks of transformers."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kerasish.layers import (
    GELU,
    Embedding,
    LayerNorm,
    MultiheadAttention,
    PositionalEncoding,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from tests.table.row import Row, numbers

# ---- inputs ---------------------------------------------------------------------------------


Draw = Callable[[tuple[int, ...], int], Tensor]


def between(low: int, high: int, dtype: torch.dtype = torch.int64) -> Draw:
    """Draws indices from low to high."""
    def draw(shape: tuple[int, ...], seed: int) -> Tensor:
        return torch.randint(low, high + 1, shape, dtype=dtype,
                             generator=torch.Generator().manual_seed(seed))
    return draw


def masks_of(*shapes: tuple[int, ...]) -> Draw:
    """Draws bool masks for samples of these shapes, numbers for others.

    Some rows hide everything.
    """
    def draw(shape: tuple[int, ...], seed: int) -> Tensor:
        x = numbers(*shape, seed=seed)
        return x > 0.3 if shape[1:] in shapes else x
    return draw


# ---- twins ----------------------------------------------------------------------------------


class Waves(nn.Module):
    """The formula of Vaswani et al., number by number."""

    def forward(self, x: Tensor) -> Tensor:
        _, length, size = x.shape
        p = [[(math.cos if i % 2 else math.sin)(t / 10000 ** ((i - i % 2) / size))
              for i in range(size)] for t in range(length)]
        return x + torch.tensor(p, dtype=torch.float64).view(length, size).to(x.dtype)


class Attention(nn.MultiheadAttention):
    """torch's, called as kerasish calls it."""

    def __init__(self, *args: Any, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, batch_first=True, **kwargs)
        self.causal = causal

    def forward(self, query: Any, key: Any = None, value: Any = None) -> Tensor:
        masks = {}
        if isinstance(query, dict):
            x = query
            query, key, value = (x.get(name) for name in ("query", "key", "value"))
            masks = {name: x.get(name) for name in ("key_padding_mask", "attn_mask")}
        key = query if key is None else key
        mask = masks.get("attn_mask")
        if mask is not None and mask.dim() == 4:
            mask = mask.flatten(0, 1)
        if mask is not None and mask.dim() == 3 and len(mask) == len(query):
            mask = mask.repeat_interleave(self.num_heads, 0)
        if self.causal:
            future = torch.ones(query.shape[1], key.shape[1], dtype=torch.bool).triu(1)
            mask = future if mask is None else mask | future
        return super().forward(query, key, key if value is None else value, attn_mask=mask,
                               key_padding_mask=masks.get("key_padding_mask"),
                               is_causal=self.causal and not any(
                                   part is not None for part in masks.values()),
                               need_weights=False)[0]


class EncoderLayer(nn.TransformerEncoderLayer):
    """torch's, called as kerasish calls it."""

    def __init__(self, *args: Any, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, batch_first=True, **kwargs)
        self.causal = causal
        self.self_attn.register_forward_hook(batch_first_in_memory)

    def forward(self, x: Any) -> Tensor:
        x = x if isinstance(x, dict) else {"src": x}
        mask = heads_first(x.get("src_mask"), self.self_attn)
        if self.causal:
            mask = future(x["src"])
        padding = as_type_of(mask, x.get("src_key_padding_mask"))
        return super().forward(x["src"], mask, padding, is_causal=self.causal)


class DecoderLayer(nn.TransformerDecoderLayer):
    """torch's, called as kerasish calls it."""

    def __init__(self, *args: Any, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, batch_first=True, **kwargs)
        self.causal = causal
        self.self_attn.register_forward_hook(batch_first_in_memory)
        self.multihead_attn.register_forward_hook(batch_first_in_memory)

    def forward(self, tgt: Any, memory: Any = None) -> Tensor:
        x = tgt if isinstance(tgt, dict) else {"tgt": tgt, "memory": memory}
        mask = heads_first(x.get("tgt_mask"), self.self_attn)
        if self.causal:
            mask = future(x["tgt"])
        memory_mask = heads_first(x.get("memory_mask"), self.multihead_attn)
        return super().forward(
            x["tgt"], x["memory"], mask, memory_mask,
            as_type_of(mask, x.get("tgt_key_padding_mask")),
            as_type_of(memory_mask, x.get("memory_key_padding_mask")), tgt_is_causal=self.causal)


class Encoder(nn.Module):
    """Layers one after the other, each given the same masks, and a norm at the end."""

    def __init__(self, make: Callable[[], nn.Module], count: int, norm: Any = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make() for _ in range(count))
        self.norm = norm

    def forward(self, x: Any) -> Tensor:
        src = x["src"] if isinstance(x, dict) else x
        for layer in self.layers:
            src = layer({**x, "src": src} if isinstance(x, dict) else src)
        return src if self.norm is None else self.norm(src)


def batch_first_in_memory(attention: nn.Module, x: Any, y: Any) -> Any:
    """Lays out anew what torch leaves with time first: noise comes in the order of memory."""
    return y[0].contiguous(), y[1]


def future(x: Tensor) -> Tensor:
    return torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)


def heads_first(mask: Tensor | None, attention: nn.MultiheadAttention) -> Tensor | None:
    """A mask as torch wants it: (N · heads, L, S), where ours may be one a sample."""
    return mask if mask is None else mask.repeat_interleave(attention.num_heads, 0)


def as_type_of(mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
    """Padding as torch wants it beside a mask of floats."""
    if mask is None or padding is None or mask.dtype == torch.bool:
        return padding
    return torch.zeros(padding.shape, dtype=mask.dtype).masked_fill(padding, -math.inf)


NO_SAMPLE = {"no sample": "torch cannot bring the masks of no sample into shape"}
TIES = {"ties": "where all values are the same dq is zero: there is rounding alone to compare"}

ROWS = [
    Row("Embedding", lambda: Embedding(7, 3), (), lambda: nn.Embedding(7, 3), draw=between(0, 6)),
    # The padding row has no gradient by declaration: where it is met, in test_embedding.py.
    Row("Embedding of sequences, with padding", lambda: Embedding(5, 4, 0), (6,),
        lambda: nn.Embedding(5, 4, 0), draw=between(1, 4)),
    Row("Embedding of small integers, with padding from the end",
        lambda: Embedding(5, 1, padding_idx=-1), (2, 3),
        lambda: nn.Embedding(5, 1, padding_idx=-1), draw=between(0, 3, torch.int32)),
    Row("PositionalEncoding", PositionalEncoding, (5, 4), Waves),
    Row("PositionalEncoding of an odd size", lambda: PositionalEncoding(3, max_len=7), (7, 3),
        Waves),
    Row("MultiheadAttention", lambda: MultiheadAttention(num_heads=2), (5, 6),
        lambda: Attention(6, 2)),
    Row("MultiheadAttention with one head, causal, without biases",
        lambda: MultiheadAttention(4, 1, bias=False, causal=True), (5, 4),
        lambda: Attention(4, 1, bias=False, causal=True)),
    Row("MultiheadAttention with dropout, causal",
        lambda: MultiheadAttention(6, 3, 0.3, causal=True), (5, 6),
        lambda: Attention(6, 3, 0.3, causal=True), random=True),
    Row("MultiheadAttention of a query and a key", lambda: MultiheadAttention(num_heads=3),
        ((4, 6), (5, 6)), lambda: Attention(6, 3)),
    Row("MultiheadAttention of three, with sizes of their own, causal",
        lambda: MultiheadAttention(num_heads=2, causal=True), ((4, 6), (5, 3), (5, 2)),
        lambda: Attention(6, 2, kdim=3, vdim=2, causal=True)),
    Row("MultiheadAttention of a query and a key of another size, without biases",
        lambda: MultiheadAttention(6, 2, bias=False, kdim=3, vdim=3), ((4, 6), (5, 3)),
        lambda: Attention(6, 2, bias=False, kdim=3, vdim=3)),
    Row("MultiheadAttention of three of one size, with dropout",
        lambda: MultiheadAttention(4, 2, 0.4), ((3, 4), (5, 4), (5, 4)),
        lambda: Attention(4, 2, 0.4), random=True, differs=TIES),
    Row("MultiheadAttention with padding, causal",
        lambda: MultiheadAttention(num_heads=2, causal=True),
        {"query": (5, 4), "key_padding_mask": (5,)}, lambda: Attention(4, 2, causal=True),
        draw=masks_of((5,)), differs=NO_SAMPLE),
    Row("MultiheadAttention with padding and a mask",
        lambda: MultiheadAttention(num_heads=2),
        {"attn_mask": (3, 5), "key_padding_mask": (5,), "query": (3, 4), "key": (5, 4)},
        lambda: Attention(4, 2), draw=masks_of((5,), (3, 5)),
        differs=NO_SAMPLE),
    Row("MultiheadAttention with a mask a head, and dropout",
        lambda: MultiheadAttention(num_heads=2, dropout=0.3),
        {"query": (3, 4), "key": (5, 4), "value": (5, 6), "attn_mask": (2, 3, 5)},
        lambda: Attention(4, 2, 0.3, vdim=6), draw=masks_of((2, 3, 5)), random=True,
        differs=NO_SAMPLE | TIES),
    Row("MultiheadAttention with a mask of floats", lambda: MultiheadAttention(num_heads=2),
        {"query": (3, 4), "attn_mask": (3, 3)}, lambda: Attention(4, 2), differs=NO_SAMPLE),
    Row("TransformerEncoderLayer", lambda: TransformerEncoderLayer(nhead=2, dim_feedforward=7),
        (5, 8), lambda: EncoderLayer(8, 2, 7), random=True),
    Row("TransformerEncoderLayer with the norms first, causal, GELU",
        lambda: TransformerEncoderLayer(6, 3, 5, 0.0, GELU(), 1e-3, norm_first=True, causal=True),
        (4, 6), lambda: EncoderLayer(6, 3, 5, 0.0, F.gelu, 1e-3, norm_first=True, causal=True)),
    Row("TransformerEncoderLayer with masks, without biases",
        lambda: TransformerEncoderLayer(8, 1, 3, 0.2, "silu", bias=False),
        {"src_key_padding_mask": (5,), "src": (5, 8), "src_mask": (5, 5)},
        lambda: EncoderLayer(8, 1, 3, 0.2, F.silu, bias=False), draw=masks_of((5,), (5, 5)),
        random=True, differs=NO_SAMPLE),
    Row("TransformerEncoderLayer with a mask of floats, the norms first",
        lambda: TransformerEncoderLayer(4, 2, 3, 0.0, "tanh", norm_first=True),
        {"src": (3, 4), "src_mask": (3, 3)},
        lambda: EncoderLayer(4, 2, 3, 0.0, torch.tanh, norm_first=True), differs=NO_SAMPLE),
    Row("TransformerDecoderLayer", lambda: TransformerDecoderLayer(nhead=2, dim_feedforward=7),
        ((5, 4), (3, 4)), lambda: DecoderLayer(4, 2, 7), random=True),
    # A norm of 4 numbers is now and then ill-conditioned: rounding, torch's too, varies tenfold.
    Row("TransformerDecoderLayer with the norms first, causal, GELU",
        lambda: TransformerDecoderLayer(8, 2, 5, 0.0, "gelu", norm_first=True, causal=True),
        ((5, 8), (3, 8)),
        lambda: DecoderLayer(8, 2, 5, 0.0, F.gelu, norm_first=True, causal=True)),
    Row("TransformerDecoderLayer with masks of all kinds, without biases",
        lambda: TransformerDecoderLayer(6, 2, 3, 0.0, "tanh", bias=False),
        {"tgt": (5, 6), "memory": (3, 6), "tgt_mask": (5, 5), "memory_mask": (5, 3),
         "tgt_key_padding_mask": (5,), "memory_key_padding_mask": (3,)},
        lambda: DecoderLayer(6, 2, 3, 0.0, torch.tanh, bias=False),
        draw=masks_of((5,), (3,), (5, 5)), differs=NO_SAMPLE),
    Row("TransformerEncoder",
        lambda: TransformerEncoder(TransformerEncoderLayer(4, 2, 3), 2, LayerNorm()), (3, 4),
        lambda: Encoder(lambda: EncoderLayer(4, 2, 3), 2, nn.LayerNorm(4)), random=True),
    Row("TransformerEncoder with masks",
        lambda: TransformerEncoder(TransformerEncoderLayer(6, 2, 3, 0.0), 2),
        {"src": (3, 6), "src_mask": (3, 3), "src_key_padding_mask": (3,)},
        lambda: Encoder(lambda: EncoderLayer(6, 2, 3, 0.0), 2), draw=masks_of((3,)),
        differs=NO_SAMPLE),
]

EQUIVALENT = {
    r"MultiheadAttention\.backward: .* = summed\(projection\.backward\(.*, dx\[part\]\)$":
        "a sum may be exchanged",
    r"TransformerEncoder\.backward: .* summed\(dx\.get\('src_mask'\), d_mask\)\)?$":
        "a sum may be exchanged",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
