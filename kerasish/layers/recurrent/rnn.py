"""The simple recurrent layer: a dense layer that also sees its own last output."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice
from kerasish.layers.activations.rectifiers import ReLU
from kerasish.layers.activations.sigmoids import Tanh
from kerasish.layers.recurrent.layer import States
from kerasish.layers.recurrent.recurrence import Recurrence
from kerasish.layers.recurrent.walks import Walk, carried
from kerasish.module import Kernels
from kerasish.types import Device

_KERNELS = {"tanh": Tanh.kernels, "relu": ReLU.kernels}


class RNN(Recurrence):
    """Reads a sequence step by step, and carries its output on to the next step.

        h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),    φ = tanh or ReLU

    Shapes: x (N, T, input_size), or (x, h0) with h0 (N, K, H); y (N, D · H), the last h_t of each
        direction (of the reverse one: h at the first step), or (N, T, D · H) with
        `return_sequences`; (y, h_n) with `return_state`, h_n (N, K, H). H is hidden_size, D the
        number of directions, K = num_layers · D. The batch is axis 0 of states, too.
    Backward: through time, from the last step to the first, where dh_t is what comes from above
        and from step t + 1:  da_t = dh_t φ'(a_t),  dh_{t-1} = da_t W_hh;  and then at once
        dx = da W_ih,  dW_ih = daᵀ x,  dW_hh = Σ da_tᵀ h_{t-1},  db_ih = db_hh = Σ da.
    Source: Elman (1990), "Finding Structure in Time"; Werbos (1990), "Backpropagation through
        time: what it does and how to do it". Initial values: W_ih as in He et al. (2015), eq.
        10; W_hh orthogonal, as in Saxe et al. (2014), so that what goes round neither grows nor
        fades (torch draws both from a narrower uniform distribution); biases start at zero.
    Raises: ValueError for sizes below 1, a dropout outside [0, 1], batch_first=False.

    Args:
        input_size: size of the last axis of x. Left out, it is learned at build, and a single
            size is hidden_size: `RNN(128)` is `RNN(hidden_size=128)`.
        hidden_size: how many units a layer has.
        num_layers: how many layers, each on the outputs of the one before.
        nonlinearity: φ, "tanh" or "relu".
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
        >>> RNN(128).build((10, 7))
        (128,)
    """

    formula: ClassVar[str] = "h = φ(W_ih x + b_ih + W_hh h' + b_hh)"
    backward_formula: ClassVar[str] = (
        "da = dh · φ'(a) from the last step to the first,  dh' = da W_hh,  dx = da W_ih,  "
        "dW_ih = daᵀ x,  dW_hh = Σ daᵀ h',  db_ih = Σ da,  db_hh = Σ da")
    size_names: ClassVar[tuple[str, str]] = ("input_size", "hidden_size")
    gates: ClassVar[int] = 1
    kept: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int | None = None,
        hidden_size: int | None = None,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        **per_parameter: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, device, dtype, return_sequences, return_state,
                         **per_parameter)
        self.nonlinearity = check_choice("RNN(nonlinearity)", nonlinearity, _KERNELS)

    def forward_through_time(
        self, gates: Tensor, starts: States, weight: Tensor, bias: Tensor | None, walk: Walk,
        keep: bool,
    ) -> tuple[Tensor, States, tuple[Tensor, ...]]:
        h, weight_t, (activate, _) = walk.history(starts[0], len(gates)), weight.t(), self._kernels
        for a_t, h_before, h_t in zip(
            walk.steps(gates), walk.steps(walk.before(h)), walk.steps(walk.after(h)), strict=True
        ):
            activate(torch.addmm(a_t, h_before, weight_t, out=h_t))
        return h, [walk.end(h)], ()

    def backward_through_time(
        self, h: Tensor, kept: tuple[Tensor, ...], dh: Tensor | None, dends: States,
        weight: Tensor, walk: Walk,
    ) -> tuple[Tensor, Tensor, States]:
        h = walk.after(h)
        (dh_t,), (_, derive), da = dends, self._kernels, torch.empty_like(h)
        for h_t, da_t, met in zip(
            walk.steps_back(h), walk.steps_back(da), walk.met(dh, len(h)), strict=True
        ):
            da_t.copy_(derive(dh_t, h_t))
            dh_t = carried(da_t, weight, met, dh_t)
        return da, da, [dh_t]

    @property
    def _kernels(self) -> Kernels:
        kernels = _KERNELS[self.nonlinearity]
        assert kernels is not None
        return kernels
