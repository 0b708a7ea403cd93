"""The layers of transformers, and the stack of them that is an encoder."""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from torch import Tensor

from kerasish.checks import check_count
from kerasish.layers.attention.inputs import Inputs, Names, read
from kerasish.layers.attention.transformer_layer import TransformerLayer
from kerasish.module import Module
from kerasish.places import at, note_place
from kerasish.trees import summed
from kerasish.types import Shape


class TransformerEncoderLayer(TransformerLayer):
    """Self-attention, then a feed-forward net, each with a shortcut, dropout and a norm.

        a = norm1(src + dropout1(self_attn(src)))
        y = norm2(a + dropout2(linear2(dropout(activation(linear1(a))))))
        with norm_first: a = src + dropout1(self_attn(norm1(src))), and so on

    Shapes: src and y (N, T, d_model). x is src, or a dict of "src", "src_mask" and
        "src_key_padding_mask": masks as those of MultiheadAttention.
    Backward: the parts in reverse; a shortcut passes dy on.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1; norm_first: Xiong et
        al. (2020), "On Layer Normalization in the Transformer Architecture". Initial values as in
        `Linear` and `MultiheadAttention`.
    Raises: as its parts, with their place.

    Args:
        d_model: size of the features; left out, it is learned at build.
        nhead: heads of the attention, a divisor of d_model.
        dim_feedforward: size inside the feed-forward net.
        dropout: the share dropped in each of four places: weights of the attention, its output,
            inside the feed-forward net, and its output.
        activation: a name, or a module.
        layer_norm_eps: ε of the norms.
        batch_first: True: the batch is axis 0, always.
        norm_first: whether norms come before attention and net, rather than after the shortcuts.
        bias: whether linear parts and norms have biases.
        device: where parameters are made.
        dtype: their type, torch's default type if None.
        causal: whether token t looks at tokens 0 to t alone.

    Example:
        >>> TransformerEncoderLayer(nhead=2, dim_feedforward=16).build((5, 8))
        (5, 8)
    """

    formula: ClassVar[str] = "a = norm1(x + self_attn(x)), y = norm2(a + feed_forward(a))"
    backward_formula: ClassVar[str] = (
        "dx = dy through the parts in reverse, and dy of each shortcut")
    attentions: ClassVar[Names] = ("self_attn",)
    tensors: ClassVar[Names] = ("src",)
    masks: ClassVar[Names] = ("src_mask", "src_key_padding_mask")

    def build(self, shape: Any) -> Shape:
        given = self.read(shape)
        return self.build_parts(given.parts[0], {
            "self_attn": self.for_attention(given.parts[0], None, *given.masks)})

    def forward(self, x: Any) -> Tensor:
        given = self.read(x)
        attend = partial(self.attend, "self_attn", "dropout1", None, given.masks)
        a = self.around("norm1", given.parts[0], attend)
        y = self.around("norm2", a, self.feed)
        self.save_for_backward(given)
        return y

    def backward(self, dy: Tensor, need_dx: bool = True) -> Any:
        (given,) = self.saved_tensors()
        back_attend = partial(self.back_attend, "self_attn", "dropout1")
        (da,) = self.back_around("norm2", dy, self.back_feed)
        dx, _, d_mask = self.back_around("norm1", da, back_attend, need_dx)
        return given.gradients([dx], src_mask=d_mask) if need_dx else None


class TransformerDecoderLayer(TransformerLayer):
    """Self-attention, attention to a memory, then a feed-forward net, each as in the encoder.

        a = norm1(tgt + dropout1(self_attn(tgt)))
        b = norm2(a + dropout2(multihead_attn(a, memory)))
        y = norm3(b + dropout3(linear2(dropout(activation(linear1(b))))))
        with norm_first: a = tgt + dropout1(self_attn(norm1(tgt))), and so on

    Shapes: tgt and y (N, T, d_model), memory (N, S, size). x is (tgt, memory), or a dict of "tgt",
        "memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask" and "memory_key_padding_mask":
        masks as those of MultiheadAttention.
    Backward: the parts in reverse; a shortcut passes dy on.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.
    Raises: as its parts, with their place.

    Args:
        d_model: size of the features of tgt; left out, it is learned at build.
        nhead: heads of both attentions, a divisor of d_model.
        dim_feedforward: size inside the feed-forward net.
        dropout: the share dropped: weights of the attentions, their outputs, inside the
            feed-forward net, and its output.
        activation: a name, or a module.
        layer_norm_eps: ε of the norms.
        batch_first: True: the batch is axis 0, always.
        norm_first: whether norms come before attentions and net, rather than after the shortcuts.
        bias: whether linear parts and norms have biases.
        device: where parameters are made.
        dtype: their type, torch's default type if None.
        causal: whether token t of tgt looks at tokens 0 to t alone; to the memory it looks anyhow.

    Example:
        >>> TransformerDecoderLayer(nhead=2, dim_feedforward=16).build(((5, 8), (7, 8)))
        (5, 8)
    """

    formula: ClassVar[str] = (
        "a = norm1(x + self_attn(x)), b = norm2(a + multihead_attn(a, memory)), "
        "y = norm3(b + feed_forward(b))"
    )
    backward_formula: ClassVar[str] = (
        "dx = dy through the parts in reverse, and dy of each shortcut")
    attentions: ClassVar[Names] = ("self_attn", "multihead_attn")
    tensors: ClassVar[Names] = ("tgt", "memory")
    masks: ClassVar[Names] = (
        "tgt_mask", "tgt_key_padding_mask", "memory_mask", "memory_key_padding_mask")

    def build(self, shape: Any) -> Shape:
        given = self.read(shape)
        tgt, memory = given.parts
        return self.build_parts(tgt, {
            "self_attn": self.for_attention(tgt, None, *given.masks[:2]),
            "multihead_attn": self.for_attention(tgt, memory, *given.masks[2:])})

    def forward(self, x: Any) -> Tensor:
        given = self.read(x)
        tgt, memory = given.parts
        attend = partial(self.attend, "self_attn", "dropout1", None, given.masks[:2])
        attend_memory = partial(self.attend, "multihead_attn", "dropout2", memory, given.masks[2:])
        a = self.around("norm1", tgt, attend)
        b = self.around("norm2", a, attend_memory)
        y = self.around("norm3", b, self.feed)
        self.save_for_backward(given)
        return y

    def backward(self, dy: Tensor, need_dx: bool = True) -> Any:
        (given,) = self.saved_tensors()
        back_attend = partial(self.back_attend, "self_attn", "dropout1")
        back_attend_memory = partial(self.back_attend, "multihead_attn", "dropout2")
        (db,) = self.back_around("norm3", dy, self.back_feed)
        da, d_memory, d_memory_mask = self.back_around("norm2", db, back_attend_memory)
        dx, _, d_mask = self.back_around("norm1", da, back_attend, need_dx)
        if not need_dx:
            return None
        return given.gradients([dx, d_memory], tgt_mask=d_mask, memory_mask=d_memory_mask)


class TransformerEncoder(Module):
    """Copies of a layer, one after the other, and a norm at the end.

        y = norm(layerₙ(… layer₂(layer₁(x)) …))

    Shapes: x and y as those of the layer. From a dict each layer takes the same masks.
    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.1.
    Raises: TypeError if encoder_layer or norm is no module; ValueError for less than one layer. An
        error from inside notes its place.

    Args:
        encoder_layer: what is copied: not built yet, each copy has initial values of its own.
        num_layers: how many copies, 1 or more.
        norm: a module for the end, LayerNorm() say; None is none.
        enable_nested_tensor: accepted for torch's sake and ignored.
        mask_check: this, too.

    Example:
        >>> layer = TransformerEncoderLayer(nhead=2, dim_feedforward=16)
        >>> TransformerEncoder(layer, num_layers=3).build((5, 8))
        (5, 8)
    """

    formula: ClassVar[str] = "y = norm(layerₙ(… layer₁(x) …))"
    backward_formula: ClassVar[str] = "dx = layer₁'(… layerₙ'(norm'(dy)) …)"

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        for name, module in (("encoder_layer", encoder_layer), ("norm", norm)):
            if not isinstance(module, Module) and (name, module) != ("norm", None):
                raise TypeError(f"TransformerEncoder({name}) expects a module; got {module!r}. "
                                "Write TransformerEncoderLayer(nhead=4), for instance.")
        self.num_layers = check_count("TransformerEncoder(num_layers)", num_layers, 1)
        self.layers = tuple(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.norm = norm

    def wiring(self, x: Any, call: Callable[[str, Any], Any]) -> Any:
        """How the layers are called: each on what the one before it gives, and on the masks."""
        h = x["src"] if isinstance(x, dict) else x
        for name, part in self.named_children():
            h = call(name, h if part is self.norm else _with_src(x, h))
        return h

    def build(self, shape: Any) -> Any:
        (inside,) = self._read(shape).parts
        for name, part in self.named_children():
            with at(self, name, part):
                inside = part.build(inside if part is self.norm else _with_src(shape, inside))
        return inside

    def forward(self, x: Any) -> Any:
        given = self._read(x)
        (h,) = given.parts
        for name, part in self.named_children():
            try:
                h = part.forward(h if part is self.norm else _with_src(x, h))
            except Exception as error:
                note_place(error, self, name, part)
                raise
        self.save_for_backward(given)
        return h

    def backward(self, dy: Tensor, need_dx: bool = True) -> Any:
        (given,) = self.saved_tensors()
        dx: Any = dy
        d_mask: Any = None
        for name, part in reversed(list(self.named_children())):
            try:
                dx = self._last_backward(dx) if not need_dx and name == "layers.0" else (
                    part.backward(dx))
            except Exception as error:
                note_place(error, self, name, part)
                raise
            if isinstance(dx, dict):
                dx, d_mask = dx["src"], summed(d_mask, dx.get("src_mask"))
        return given.gradients([dx], src_mask=d_mask) if need_dx else None

    def unwind(self, dy: Any = None) -> None:
        if self._saved:
            super().unwind()
            for part in self.children():
                part.unwind()

    def _read(self, x: Any) -> Inputs:
        return read(self, x, TransformerEncoderLayer.tensors, TransformerEncoderLayer.masks)

    def _last_backward(self, dy: Tensor) -> Any:
        """Backward where no dx is needed, of a layer that may not know how to leave it out."""
        layer: Any = self.layers[0]
        if "need_dx" in inspect.signature(layer.backward).parameters:
            return layer.backward(dy, need_dx=False)
        return layer.backward(dy)


def _with_src(x: Any, src: Any) -> Any:
    """The input of a layer, or its shape: the output of the one before it, and the masks of x."""
    return {**x, "src": src} if isinstance(x, dict) else src
