"""Attention with several heads: each token asks all tokens, and takes a mean of what they hold."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_built, check_count, check_number
from kerasish.initializers import XavierUniform, zeros
from kerasish.layers.attention.dot_product import attend
from kerasish.layers.attention.in_projection import InProjection
from kerasish.layers.attention.inputs import added_to_scores, read
from kerasish.layers.attention.projection import Projection
from kerasish.layers.noise.dropout import Dropout
from kerasish.layers.sizes import size_or_none
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.places import at
from kerasish.trees import summed
from kerasish.types import Device, Shape

_xavier = XavierUniform()
_TENSORS, _MASKS = ("query", "key", "value"), ("key_padding_mask", "attn_mask")


class MultiheadAttention(Module):
    """Lets each query take a mean of the values, weighted by how well their keys match it.

        q, k, v = query Wqᵀ + bq, key Wkᵀ + bk, value Wvᵀ + bv,  each cut into heads of size d
        y = softmax(q kᵀ / √d + mask) v, heads side by side,  times Woᵀ + bo

    Shapes: query (N, L, embed_dim), key (N, S, kdim), value (N, S, vdim), y (N, L, embed_dim).
        x is a tensor (self-attention), a tuple (query, key) or (query, key, value), or a dict of
        "query", "key", "value", "key_padding_mask" and "attn_mask". Without a value it is the key,
        without a key the query. Masks as in torch: key_padding_mask (N, S) is True for keys to
        ignore; attn_mask (L, S), (N, L, S), (N · heads, L, S) or (N, heads, L, S) is True where a
        query may not look, or holds floats that are added to the scores, and then has a gradient.
        A query that may look at no key takes zeros: its y is bo.
    Backward: with weights A = softmax(scores) and a gradient dz of the heads' output z = A v:
        dv = Aᵀ dz,  dA = dz vᵀ,  dscores = A (dA - Σ A dA),  dq = dscores k / √d,
        dk = dscoresᵀ q / √d;  then as for a Linear. q, k and v are not kept: they are made again.
    Source: Vaswani et al. (2017), "Attention Is All You Need", eq. 1 and section 3.2.2; initial
        weights of the projections as in Glorot & Bengio (2010), eq. 16, as in torch, so that scores
        start small; those of the output as in `Linear`; biases zero.
    Raises: ValueError for sizes that do not fit, for what is not offered, and for masks of another
        shape; TypeError for masks of another type.

    Args:
        embed_dim: size of queries and of y; left out, it is learned at build.
        num_heads: heads, a divisor of embed_dim.
        dropout: the share of the weights A that is dropped in training, 0 to 1.
        bias: whether biases are added.
        add_bias_kv: not offered; False.
        add_zero_attn: not offered; False.
        kdim: size of keys; left out, it is learned at build.
        vdim: size of values; left out, it is learned at build.
        batch_first: True: the batch is axis 0, always.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        causal: whether query t may look at keys 0 to t alone.
        per_parameter: in_proj_weight_initializer, in_proj_weight_regularizer and so on, also for
            in_proj_bias, out_proj_weight, out_proj_bias and, with a kdim or vdim of their own,
            q_proj_weight, k_proj_weight and v_proj_weight: objects, or their names.

    Example:
        >>> MultiheadAttention(num_heads=2).build((5, 8))
        (5, 8)
    """

    formula: ClassVar[str] = "y = softmax(q kᵀ / √d + mask) v Woᵀ + bo"
    backward_formula: ClassVar[str] = (
        "dv = Aᵀ dz,  dA = dz vᵀ,  da = A (dA - Σ A dA),  dq = da k / √d,  dk = daᵀ q / √d,  "
        "dx = [dq, dk, dv] W")
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    parameter_names: ClassVar[tuple[str, ...]] = (
        "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias",
        "out_proj_weight", "out_proj_bias",
    )

    def __init__(
        self,
        embed_dim: int | None = None,
        num_heads: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        causal: bool = False,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        who = "MultiheadAttention"
        self.num_heads = check_count(f"{who}(num_heads)", num_heads, 1,
                                     "Write MultiheadAttention(num_heads=4), for instance.")
        self.embed_dim = size_or_none(f"{who}(embed_dim)", embed_dim)
        self.kdim = size_or_none(f"{who}(kdim)", kdim)
        self.vdim = size_or_none(f"{who}(vdim)", vdim)
        self.dropout = check_number(f"{who}(dropout)", dropout, 0, 1)
        if add_bias_kv or add_zero_attn:
            name = "add_bias_kv" if add_bias_kv else "add_zero_attn"
            raise ValueError(f"{who}({name}) expects False; got True. Leave it out: there are no "
                             "keys besides those given.")
        require_batch_first(who, batch_first)
        self.use_bias, self.causal, self.device, self.dtype = bias, causal, device, dtype
        for_out = {name.removeprefix("out_proj_"): value for name, value in per_parameter.items()
                   if name.startswith("out_proj_")}
        self.drop = Dropout(dropout)
        self.out_proj = Projection(embed_dim, bias, device, dtype, **for_out)

    def build(self, shape: Any) -> Shape:
        parts = read(self, shape, _TENSORS, _MASKS).parts
        sizes = size, self.kdim, self.vdim = self._sizes(parts)
        self.embed_dim = size
        if sizes == (size, size, size):
            self.in_proj_weight = self._made(3 * size, size)
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                self._made(size, features) for features in sizes)
        self.in_proj_bias: Parameter | None = None
        if self.use_bias:
            self.in_proj_bias = Parameter(zeros((3 * size,), self.device, self.dtype), decay=False)
        with at(self, "out_proj", self.out_proj):
            return self.out_proj.build_to((parts[0][0], size), size)

    def forward(self, x: Any) -> Tensor:
        inputs = read(self, x, _TENSORS, _MASKS)
        parts = inputs.parts
        self._require(parts)
        q, k, v = self._queries_keys_values(parts)
        mask, learned = added_to_scores(self, inputs, (*q.shape[:3], k.shape[2]), q.dtype)
        z, saved = attend(q, k, v, mask, learned, self.causal, self.drop)
        self.save_for_backward(inputs, saved)
        with at(self, "out_proj", self.out_proj):
            return self.out_proj.forward(z.transpose(1, 2).flatten(2))

    def backward(self, dy: Tensor, need_dx: bool = True) -> Any:
        inputs, (attend_backward, *saved) = self.saved_tensors()
        with at(self, "out_proj", self.out_proj):
            dz: Any = self.out_proj.backward(dy)
        heads_of_dz = dz.unflatten(2, (self.num_heads, -1)).permute(0, 2, 1, 3)
        *gradients, d_mask = attend_backward(
            heads_of_dz, *self._queries_keys_values(inputs.parts), *saved)
        dx: list[Any] = [None] * len(inputs.parts)
        for projection in self._projections(len(dx)):
            part, own = projection.part, gradients[: projection.makes]
            del gradients[: projection.makes]
            dx[part] = summed(dx[part], projection.backward(inputs.parts[part], own, need_dx))
        if d_mask is not None:
            d_mask = d_mask.view(inputs.masks[1].shape)
        return inputs.gradients(dx, attn_mask=d_mask) if need_dx else None

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            super().unwind()
            self.out_proj.unwind()

    def _made(self, rows: int, features: int) -> Parameter:
        return Parameter(_xavier((rows, features), self.device, self.dtype))

    def _queries_keys_values(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """They are made again for backward: to keep three tensors costs more than one product."""
        return [each for projection in self._projections(len(parts))
                for each in projection.forward(parts[projection.part], self.num_heads)]

    def _projections(self, count: int) -> list[InProjection]:
        """The products for so many given tensors: what is made of one tensor is made in one."""
        last, bias = count - 1, self.in_proj_bias
        size: Any = self.embed_dim  # known since build
        if self.kdim != size or self.vdim != size:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            return [InProjection(min(index, last), 1, weight, slice(None), bias,
                                 slice(index * size, (index + 1) * size))
                    for index, weight in enumerate(weights)]
        ends = [3 if part == last else part + 1 for part in range(count)]
        rows = [slice(part * size, end * size) for part, end in enumerate(ends)]
        return [InProjection(part, end - part, self.in_proj_weight, rows[part], bias, rows[part])
                for part, end in enumerate(ends)]

    def _require(self, parts: Sequence[Tensor]) -> None:
        """Refuses what it was not built for."""
        check_built(self)
        self._sizes([part.shape[1:] for part in parts])
        batches = [len(part) for part in parts]
        if batches != batches[:1] * len(parts):
            raise ValueError(f"{self!r} expects query, key and value of one batch; got batches of "
                             f"{', '.join(map(str, batches))} samples. Give as many of each.")

    def _sizes(self, shapes: Sequence[Shape]) -> tuple[int, int, int]:
        """The features of query, key and value, for shapes without the batch axis.

        Raises: ValueError for shapes that do not go together, or other ones than stated.
        """
        query, key, value = shapes[0], shapes[min(1, len(shapes) - 1)], shapes[-1]
        stated = (self.embed_dim, self.kdim, self.vdim)
        fits = all(len(shape) == 2 for shape in shapes) and key[0] == value[0]
        found = (query[-1], key[-1], value[-1]) if fits else (0, 0, 0)
        pairs = zip(stated, found, strict=True)
        if not fits or any(size not in (None, features) for size, features in pairs):
            d, *of_keys = ("features" if size is None else size for size in stated)
            raise ValueError(
                f"{self!r} expects a query of shape (N, L, {d}), a key (N, S, {of_keys[0]}) and a "
                f"value (N, S, {of_keys[1]}); got {', '.join(map(_with_batch, shapes))}. "
                "Bring them to these shapes, or change embed_dim, kdim or vdim."
            )
        if found[0] % self.num_heads:
            raise ValueError(f"{self!r} expects embed_dim to be a multiple of num_heads; got "
                             f"{found[0]} for {self.num_heads} heads. Choose another number of "
                             "heads.")
        return found


def _with_batch(shape: Shape) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def require_batch_first(who: str, batch_first: bool) -> None:
    """Refuses torch's order of axes, time before batch."""
    if not batch_first:
        raise ValueError(f"{who}(batch_first) expects True: the batch is axis 0, always; got "
                         f"{batch_first!r}. Leave it out, and give it x.transpose(0, 1).")
