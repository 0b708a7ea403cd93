"""Long short-term memory: a state that is added to, so that gradients last."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.differentiable import kind_of
from kerasish.layers.recurrent import onednn
from kerasish.layers.recurrent.derivatives import sigmoid_backward, tanh_backward
from kerasish.layers.recurrent.layer import States, Weights
from kerasish.layers.recurrent.recurrence import Recurrence
from kerasish.layers.recurrent.walks import Walk, carried, room
from kerasish.types import Device


class LSTM(Recurrence):
    """Reads a sequence step by step; gates decide what its memory takes in, keeps and shows.

        i = σ(W_ii x + b_ii + W_hi h' + b_hi)
        f = σ(W_if x + b_if + W_hf h' + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h' + b_hg)
        o = σ(W_io x + b_io + W_ho h' + b_ho)
        c = f · c' + i · g
        h = o · tanh(c)

    at each step, where h' and c' are those of the step before. Rows of the weights: i, f, g, o.

    Shapes: x (N, T, input_size), or (x, h0, c0) with h0 and c0 (N, K, H); y (N, D · H), the last
        h_t of each direction (of the reverse one: h at the first step), or (N, T, D · H) with
        `return_sequences`; (y, h_n, c_n) with `return_state`, both (N, K, H). H is hidden_size, D
        the number of directions, K = num_layers · D. The batch is axis 0 of states, too.
    Backward: through time, from the last step to the first, where dh and dc are what comes from
        above and from the step after. With a for what is inside of σ and tanh, and [...] for what
        is computed for all steps at once, before:
        dc += dh · [o (1 - tanh² c)],
        da_i = dc · [g i(1 - i)],   da_f = dc · [c' f(1 - f)],
        da_g = dc · [i (1 - g²)],   da_o = dh · [tanh(c) o(1 - o)],
        dc' = dc · f,   dh' = da W_hh;  and then, at once for all steps,
        dx = da W_ih,  dW_ih = daᵀ x,  dW_hh = Σ da_tᵀ h_{t-1},  db_ih = db_hh = Σ da.
        On the CPU in float32 oneDNN's kernel computes the same.
    Source: Hochreiter & Schmidhuber (1997), "Long Short-Term Memory"; the forget gate f: Gers et
        al. (2000), "Learning to Forget". Initial values: W_ih as in He et al. (2015), eq. 10; W_hh
        orthogonal, as in Saxe et al. (2014), so that what goes round neither grows nor fades (torch
        draws both from a narrower uniform distribution); biases start at zero.
    Raises: ValueError for sizes below 1, a dropout outside [0, 1], batch_first=False, and a
        proj_size: projections are not here.

    Args:
        input_size: size of the last axis of x. Left out, it is learned at build, and a single
            size is hidden_size: `LSTM(128)` is `LSTM(hidden_size=128)`.
        hidden_size: how many units a layer has.
        num_layers: how many layers, each on the outputs of the one before.
        bias: whether the biases are added.
        batch_first: True, always.
        dropout: the share of outputs that is dropped between layers while training.
        bidirectional: whether a second layer beside each reads from the last step to the first.
        proj_size: 0, always.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        return_sequences: whether y has every step.
        return_state: whether the states after the last step are returned as well.
        per_parameter: weight_ih_initializer, weight_hh_regularizer, bias_ih_constraint and so on,
            each for all layers and directions.

    Example:
        >>> LSTM(128).build((10, 7))
        (128,)
    """

    formula: ClassVar[str] = "c = f · c' + i · g,  h = o · tanh(c)"
    backward_formula: ClassVar[str] = (
        "da = dh · φ'(a) from the last step to the first,  dh' = da W_hh,  dx = da W_ih,  "
        "dW_ih = daᵀ x,  dW_hh = Σ daᵀ h',  db_ih = Σ da,  db_hh = Σ da")
    size_names: ClassVar[tuple[str, str]] = ("input_size", "hidden_size")
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2
    kept: ClassVar[int] = 7

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        **per_parameter: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, device, dtype, return_sequences, return_state,
                         **per_parameter)
        if proj_size:
            raise ValueError(f"LSTM(proj_size) expects 0; got {proj_size!r}. Put "
                             f"Linear({proj_size!r}) after it.")
        self.proj_size = 0

    def forward_through_time(
        self, gates: Tensor, starts: States, weight: Tensor, bias: Tensor | None, walk: Walk,
        keep: bool,
    ) -> tuple[Tensor, States, tuple[Tensor, ...]]:
        (start, memory), length, weight_t = starts, len(gates), weight.t()
        h, c = walk.history(start, length), walk.history(memory, length, keep)
        tanh_c, (i, f, g, o) = room(memory, length, keep), gates.chunk(4, -1)
        i_f = gates.narrow(-1, 0, 2 * self.hidden_size)
        series = (gates, i_f, i, f, g, o, walk.before(h), walk.before(c), walk.after(c), tanh_c,
                  walk.after(h))
        for a_t, i_f_t, i_t, f_t, g_t, o_t, h_before, c_before, c_t, tanh_c_t, h_t in zip(
            *map(walk.steps, series), strict=True
        ):
            a_t.addmm_(h_before, weight_t)
            i_f_t.sigmoid_()
            g_t.tanh_()
            o_t.sigmoid_()
            torch.mul(f_t, c_before, out=c_t).addcmul_(i_t, g_t)
            torch.tanh(c_t, out=tanh_c_t)
            torch.mul(o_t, tanh_c_t, out=h_t)
        return h, [walk.end(h), walk.end(c)], (gates, c, tanh_c)

    def backward_through_time(
        self, h: Tensor, kept: tuple[Tensor, ...], dh: Tensor | None, dends: States,
        weight: Tensor, walk: Walk,
    ) -> tuple[Tensor, Tensor, States]:
        (gates, c, tanh_c), (dh_t, dc_t) = kept, dends
        i, f, g, o = gates.chunk(4, -1)
        da = gates.new_empty(*f.shape[:2], 4, f.shape[2])  # at first the factors of dh and dc
        da_i, da_f, da_g, da_o = da.unbind(2)
        sigmoid_backward(g, i, grad_input=da_i)
        sigmoid_backward(walk.before(c), f, grad_input=da_f)
        tanh_backward(i, g, grad_input=da_g)
        sigmoid_backward(tanh_c, o, grad_input=da_o)
        dc_by_dh = tanh_backward(o, tanh_c, grad_input=torch.empty_like(tanh_c))
        da_all, series = da.flatten(2), (f, dc_by_dh, da[:, :, :3], da_o)
        for da_t, f_t, dc_by_dh_t, da_ifg_t, da_o_t, met in zip(
            walk.steps_back(da_all), *map(walk.steps_back, series), walk.met(dh, len(f)),
            strict=True
        ):
            dc_t.addcmul_(dh_t, dc_by_dh_t)
            da_ifg_t.mul_(dc_t.unsqueeze(1))
            da_o_t.mul_(dh_t)
            dc_t.mul_(f_t)
            dh_t = carried(da_t, weight, met, dh_t)
        return da_all, da_all, [dh_t, dc_t]

    # ---- the fast road ----------------------------------------------------------------------

    def own_bytes(self, shape: Any) -> int:
        written_out, dtype = super().own_bytes(shape), self.dtype or torch.get_default_dtype()
        if kind_of(self) is not LSTM or dtype != torch.float32:
            return written_out
        return 2 * written_out  # about that is oneDNN's workspace; inputs wider than H take more

    def forward_layer(
        self, series: Tensor, starts: States, weights: Weights, walk: Walk, keep: bool
    ) -> tuple[Tensor, States, Any]:
        if kind_of(self) is not LSTM or not onednn.takes(series):
            return super().forward_layer(series, starts, weights, walk, keep)
        return onednn.lstm(series, starts, _data(weights), walk.reverse)

    def backward_layer(
        self, kept: Any, dh: Tensor | None, dends: States, weights: Weights, walk: Walk,
        need_dx: bool,
    ) -> tuple[Tensor | None, States]:
        if not isinstance(kept, onednn.Kept):
            return super().backward_layer(kept, dh, dends, weights, walk, need_dx)
        dx, dweights, dstarts = onednn.lstm_backward(kept, dh, dends, _data(weights), walk.reverse)
        for parameter, gradient in zip(weights, dweights, strict=True):
            if parameter is not None and parameter.trainable:
                parameter.grad.add_(gradient)
        return dx, dstarts


def _data(weights: Weights) -> list[Tensor]:
    """The values, where oneDNN wants biases: zeros if there are none."""
    weight_ih, weight_hh, *biases = weights
    return [weight_ih.data, weight_hh.data, *(
        weight_ih.data.new_zeros(len(weight_ih.data)) if bias is None else bias.data
        for bias in biases)]
