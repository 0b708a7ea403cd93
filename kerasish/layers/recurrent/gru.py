"""The gated recurrent unit: a state that is kept or replaced, unit by unit."""

from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.recurrent.derivatives import sigmoid_backward, tanh_backward
from kerasish.layers.recurrent.layer import States
from kerasish.layers.recurrent.recurrence import Recurrence
from kerasish.layers.recurrent.walks import Walk, room


class GRU(Recurrence):
    """Reads a sequence step by step; gates decide what of its state is kept, and what is seen.

        r = σ(W_ir x + b_ir + W_hr h' + b_hr)
        z = σ(W_iz x + b_iz + W_hz h' + b_hz)
        m = W_hn h' + b_hn
        n = tanh(W_in x + b_in + r · m)
        h = (1 - z) · n + z · h'

    at each step, where h' is the h of the step before. Rows of the weights: r, z, n.

    Shapes: x (N, T, input_size), or (x, h0) with h0 (N, K, H); y (N, D · H), the last h_t of each
        direction (of the reverse one: h at the first step), or (N, T, D · H) with
        `return_sequences`; (y, h_n) with `return_state`, h_n (N, K, H). H is hidden_size, D the
        number of directions, K = num_layers · D. The batch is axis 0 of states, too.
    Backward: through time, from the last step to the first, where dh is what comes from above and
        from the step after. With a for what is inside of σ and tanh, and [...] for what is
        computed for all steps at once, before:
        da_n = dh · [(1 - z)(1 - n²)],           dm = dh · [(1 - z)(1 - n²) r],
        da_r = dh · [(1 - z)(1 - n²) m r(1 - r)],  da_z = dh · [(h' - n) z(1 - z)],
        dh' = dh · z + (da_r, da_z, dm) W_hh;  and then, at once for all steps, from da_r, da_z and
        da_n the gradients of x, W_ih and b_ih, from da_r, da_z and dm those of W_hh and b_hh.
    Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", eqs.
        5 to 8. As in torch, r acts on W_hn h' + b_hn and not on h', which makes one product of
        three. Initial values: W_ih as in He et al. (2015), eq. 10; W_hh
        orthogonal, as in Saxe et al. (2014), so that what goes round neither grows nor fades (torch
        draws both from a narrower uniform distribution); biases start at zero.
    Raises: ValueError for sizes below 1, a dropout outside [0, 1], batch_first=False.

    Args:
        input_size: size of the last axis of x. Left out, it is learned at build, and a single
            size is hidden_size: `GRU(128)` is `GRU(hidden_size=128)`.
        hidden_size: how many units a layer has.
        num_layers: how many layers, each on the outputs of the one before.
        bias: whether the biases are added.
        batch_first: True, always.
        dropout: the share of outputs that is dropped between layers while training.
        bidirectional: whether a second layer beside each reads from the last step to the first.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        return_sequences: whether y has every step.
        return_state: whether the states after the last step are returned as well.
        per_parameter: weight_ih_initializer, weight_hh_regularizer, bias_ih_constraint and so on,
            each for all layers and directions.

    Example:
        >>> GRU(128).build((10, 7))
        (128,)
    """

    formula: ClassVar[str] = "h = (1 - z) · tanh(W_in x + r · W_hn h') + z · h'"
    backward_formula: ClassVar[str] = (
        "da = dh · φ'(a) from the last step to the first,  dh' = dh · z + da W_hh,  dx = da "
        "W_ih,  dW_ih = daᵀ x,  dW_hh = Σ daᵀ h',  db_ih = Σ da,  db_hh = Σ da")
    gates: ClassVar[int] = 3
    kept: ClassVar[int] = 5

    def joint_bias(self, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
        """b_hn meets r before it meets b_in, so it waits."""
        bias, size = bias_ih.clone(), 2 * self.hidden_size
        bias[:size] += bias_hh[:size]
        return bias

    def forward_through_time(
        self, gates: Tensor, starts: States, weight: Tensor, bias: Tensor | None, walk: Walk,
        keep: bool,
    ) -> tuple[Tensor, States, tuple[Tensor, ...]]:
        length, size = len(gates), self.hidden_size
        h, m = walk.history(starts[0], length), room(starts[0], length, keep)
        (r, z, n), rz = gates.chunk(3, -1), gates.narrow(-1, 0, 2 * size)
        weight_rz_t, weight_n_t = weight[: 2 * size].t(), weight[2 * size :].t()
        bias_n = weight.new_zeros(size) if bias is None else bias[2 * size:]
        series = rz, r, z, n, m, walk.before(h), walk.after(h)
        for rz_t, r_t, z_t, n_t, m_t, h_before, h_t in zip(*map(walk.steps, series), strict=True):
            rz_t.addmm_(h_before, weight_rz_t).sigmoid_()
            torch.addmm(bias_n, h_before, weight_n_t, out=m_t)
            n_t.addcmul_(r_t, m_t).tanh_()
            torch.lerp(n_t, h_before, z_t, out=h_t)
        return h, [walk.end(h)], (r, z, n, m)

    def backward_through_time(
        self, h: Tensor, kept: tuple[Tensor, ...], dh: Tensor | None, dends: States,
        weight: Tensor, walk: Walk,
    ) -> tuple[Tensor, Tensor, States]:
        (r, z, n, m), (dh_t,), size = kept, dends, self.hidden_size
        da = r.new_empty(*r.shape[:2], 4, size)  # at first the factors of dh
        da_r, da_z, dm, da_n = da.unbind(2)
        tanh_backward(1 - z, n, grad_input=da_n)
        torch.mul(da_n, r, out=dm)
        sigmoid_backward(m, r, grad_input=da_r).mul_(da_n)
        sigmoid_backward(walk.before(h) - n, z, grad_input=da_z)
        da_hh = da[:, :, :3].flatten(2)
        series = z, da, da_hh
        for z_t, da_t, da_hh_t, met in zip(
            *map(walk.steps_back, series), walk.met(dh, len(h) - 1), strict=True
        ):
            da_t.mul_(dh_t.unsqueeze(1))
            dh_t = dh_t * z_t if met is None else torch.addcmul(met, dh_t, z_t)
            dh_t.addmm_(da_hh_t, weight)
        return torch.cat((da_r, da_z, da_n), -1), da_hh, [dh_t]
