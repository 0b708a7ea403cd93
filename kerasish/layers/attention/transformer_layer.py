"""What the layers of a transformer's encoder and decoder have in common."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.differentiable import is_saving, planned_as
from kerasish.layers.activations.named import activation as activation_of
from kerasish.layers.attention.inputs import Inputs, Names, read
from kerasish.layers.attention.multihead import MultiheadAttention, require_batch_first
from kerasish.layers.attention.projection import Projection
from kerasish.layers.dense.linear import Linear
from kerasish.layers.noise.dropout import Dropout
from kerasish.layers.normalization.layer_norm import LayerNorm
from kerasish.module import Kernels, Module
from kerasish.places import at, note_place
from kerasish.types import Device, Shape

Body = Callable[[Tensor], Tensor]
Slope = Callable[[Tensor, Tensor], Tensor]
BodyBackward = Callable[[Tensor, bool], tuple[Any, ...]]
"""Takes dy, and whether dx is needed; answers dx and whatever else it gives gradients for."""


class TransformerLayer(Module):
    """Base of transformer layers: attentions and a feed-forward net, each with a norm around it.

    A subclass names its attentions, and what it takes, and writes forward and backward with the
    parts and the ways through them that are here.
    """

    attentions: ClassVar[Names]
    """The names of its attentions, in order."""
    tensors: ClassVar[Names]
    """The names of the tensors that it takes, in order: it needs all of them."""
    masks: ClassVar[Names]
    """The names of the masks that a dict may hold besides."""

    backward_reads: ClassVar[frozenset[str]] = frozenset({"input", "output"})
    returns_view: ClassVar[bool] = False

    def __init__(
        self,
        d_model: int | None = None,
        nhead: int | None = None,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Module = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.nhead = check_count(f"{who}(nhead)", nhead, 1, f"Write {who}(nhead=4), for instance.")
        self.dim_feedforward = check_count(f"{who}(dim_feedforward)", dim_feedforward, 1)
        require_batch_first(who, batch_first)
        self.d_model, self.norm_first, self.causal = d_model, norm_first, causal
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(
                d_model, nhead, dropout, bias, **place, causal=causal and name == "self_attn"))
        self.linear1 = Linear(dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Projection(d_model, bias, **place)
        count = len(self.attentions) + 1
        for number in range(1, count + 1):
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self._last_dropout = f"dropout{count}"
        self.activation = activation_of(activation)

    # ---- what it is given -------------------------------------------------------------------

    def read(self, x: Any) -> Inputs:
        """The tensors and masks in x, or their shapes."""
        return read(self, x, self.tensors, self.masks, len(self.tensors))

    def for_attention(self, query: Any, key: Any, attn_mask: Any, padding: Any) -> Any:
        """What an attention takes, or its shape; None is not given."""
        if attn_mask is None and padding is None:
            return query if key is None else (query, key)
        given = {"query": query, "key": key, "attn_mask": attn_mask, "key_padding_mask": padding}
        return {name: part for name, part in given.items() if part is not None}

    def build_parts(self, shape: Shape, given: dict[str, Any]) -> Shape:
        """Builds all parts for x of that shape, and attentions for the shapes they are given."""
        for name, each in given.items():
            with at(self, name, getattr(self, name)):
                getattr(self, name).build(each)
        self.d_model = shape[-1]
        inside = shape
        for name in ("linear1", "activation", "dropout"):
            with at(self, name, getattr(self, name)):
                inside = getattr(self, name).build(inside)
        with at(self, "linear2", self.linear2):
            self.linear2.build_to(inside, self.d_model)
        for number in range(1, len(self.attentions) + 2):
            getattr(self, f"norm{number}").build(shape)
            getattr(self, f"dropout{number}").build(shape)
        return shape

    # ---- ways through the parts -------------------------------------------------------------

    def forth(self, name: str, x: Any, **options: Any) -> Any:
        """Forward through a part, whose name an error notes."""
        part = getattr(self, name)
        try:
            return part.forward(x, **options)
        except Exception as error:
            note_place(error, self, name, part)
            raise

    def back(self, name: str, dy: Any, **options: Any) -> Any:
        """Backward through a part, whose name an error notes."""
        part = getattr(self, name)
        try:
            return part.backward(dy, **options)
        except Exception as error:
            note_place(error, self, name, part)
            raise

    def around(self, norm: str, x: Tensor, body: Body) -> Tensor:
        """A residual step: y = norm(x + body(x)), or with norm_first y = x + body(norm(x))."""
        if self.norm_first:
            return body(self.forth(norm, x)).add_(x)  # nobody else holds what a body gives
        y: Tensor = self.forth(norm, body(x).add_(x))
        return y

    def back_around(
        self, norm: str, dy: Tensor, body_backward: BodyBackward, need_dx: bool = True
    ) -> tuple[Any, ...]:
        """The reverse: dx, and whatever else the body gives gradients for."""
        if self.norm_first:
            dh, *others = body_backward(dy, True)
            dh = self.back(norm, dh, need_dx=need_dx)
        else:
            dy = self.back(norm, dy)
            dh, *others = body_backward(dy, need_dx)
        return dh.add_(dy) if need_dx else None, *others

    def feed(self, x: Tensor) -> Tensor:
        """The feed-forward net: dropout(linear2(dropout(activation(linear1(x))))).

        x is the output of a norm: it is made again for backward, rather than kept by linear1.
        """
        kernels, norm = self._kernels, self._norm_before_feed
        h = self.forth("linear1", x)
        h = self.forth("activation", h) if kernels is None else kernels[0](h)
        y: Tensor = self.forth(self._last_dropout, self.forth("linear2", self.forth("dropout", h)))
        renews = planned_as(norm) is LayerNorm and planned_as(self.linear1) is Linear
        self.save_for_backward(None if kernels is None else h, renews)
        if renews and is_saving():
            self.linear1.exchange_saved(0, None)
        return y

    def back_feed(self, dy: Tensor, need_dx: bool = True) -> tuple[Tensor]:
        """The reverse: dx."""
        h, renews = self.saved_tensors()
        dh = self.back("dropout", self.back("linear2", self.back(self._last_dropout, dy)))
        dh = self.back("activation", dh) if h is None else self._slope(dh, h)
        del h, dy  # what is large goes before more is made
        if renews:
            self.linear1.exchange_saved(0, self._norm_before_feed.again().flatten(0, -2))
        return (self.back("linear1", dh, need_dx=need_dx),)

    def attend(self, name: str, dropout: str, key: Any, masks: Any, query: Tensor) -> Tensor:
        """An attention and the dropout after it: dropout(attention(query, key))."""
        y: Tensor = self.forth(dropout, self.forth(name, self.for_attention(query, key, *masks)))
        return y

    def back_attend(self, name: str, dropout: str, dy: Tensor, need_dx: bool) -> tuple[Any, ...]:
        """The reverse: dx, the gradient of key, and that of a mask of floats."""
        dx = self.back(name, self.back(dropout, dy), need_dx=need_dx)
        if isinstance(dx, dict):
            return dx["query"], dx.get("key"), dx.get("attn_mask")
        return (*dx, None) if isinstance(dx, tuple) else (dx, None, None)

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            super().unwind()
            h, _ = self.saved_tensors()
            for name, part in self.named_children():
                if name != "activation" or h is None:
                    part.unwind()

    @property
    def _norm_before_feed(self) -> Any:
        """The norm whose output goes into the feed-forward net."""
        count = len(self.attentions) + 1
        return getattr(self, f"norm{count if self.norm_first else count - 1}")

    @property
    def _kernels(self) -> Kernels | None:
        """The kernels of the activation, if it can be run over the output of linear1."""
        if not vars(planned_as(self.linear1)).get("fuses"):
            return None
        kernels: Kernels | None = vars(planned_as(self.activation)).get("kernels")
        return kernels

    def _slope(self, dh: Tensor, h: Tensor) -> Tensor:
        """Back through an activation that was run by its kernels.

        It may go over dh, which is nobody else's if the parts that gave it are the layer's own.
        """
        kind: Any = planned_as(self.activation)
        own = planned_as(self.linear2) is Projection and planned_as(self.dropout) is Dropout
        slope: Slope = (own and vars(kind).get("overwriting_backward")) or kind.kernels[1]
        return slope(dh, h)
