"""What recurrent layers share: layers, directions and the products over all steps at once."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.differentiable import is_saving
from kerasish.layers.products import add_outer, affine, back
from kerasish.layers.recurrent.layer import Recurrent, States, Weights
from kerasish.layers.recurrent.walks import Walk


class Recurrence(Recurrent):
    """Base of recurrent layers: a cell that walks along time, stacked, in one or two directions.

        h_t = cell(W_ih x_t + W_hh h_{t-1} + b_ih + b_hh)

    W_ih meets every step at once, in one matrix product for all of them; so do, on the way back,
    the gradients of x and of all parameters. What remains for each step is the product with W_hh
    and the cell: a subclass writes them in `forward_through_time` and `backward_through_time`.
    """

    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False

    # ---- the cell, which a subclass writes --------------------------------------------------

    def forward_through_time(
        self, gates: Tensor, starts: States, weight: Tensor, bias: Tensor | None, walk: Walk,
        keep: bool,
    ) -> tuple[Tensor, States, tuple[Tensor, ...]]:
        """Walks along time from the states it is given.

        Returns: the history of h, the states at the end, and what backward needs besides.

        Args:
            gates: W_ih x_t + b of all steps, (T, N, gates · H), to be overwritten.
            starts: the states before the walk.
            weight: W_hh.
            bias: b_hh, for a cell that has not put it into `gates`.
            walk: the direction.
            keep: whether backward will follow.
        """
        raise NotImplementedError

    def backward_through_time(
        self, h: Tensor, kept: tuple[Tensor, ...], dh: Tensor | None, dends: States,
        weight: Tensor, walk: Walk,
    ) -> tuple[Tensor, Tensor, States]:
        """Walks back, with the gradients of every h_t, if any, and of the states at the end.

        Returns: the gradients of W_ih x_t and of W_hh h_{t-1}, and those of the starts.
        """
        raise NotImplementedError

    def joint_bias(self, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
        """What can be added before the walk begins: both biases, if they meet in a sum."""
        return bias_ih + bias_hh

    # ---- layers and directions --------------------------------------------------------------

    def forward(self, x: Any) -> Any:
        series, starts = self._taken(x)
        keep, ways = is_saving(), self._ways
        ends, kept = [], []
        for index in range(0, self.num_layers * ways, ways):
            if index and self.between is not None:
                series = self.between.forward(series)
            runs = [self.forward_layer(series, [start[:, place] for start in starts],
                                       self._weights(place), Walk(place > index), keep)
                    for place in range(index, index + ways)]
            series = runs[0][0] if ways == 1 else torch.cat([run[0] for run in runs], -1)
            ends += [run[1] for run in runs]
            kept += [run[2] for run in runs]
        self.save_for_backward(kept, series.shape, isinstance(x, tuple))
        if self.return_sequences:
            y = series.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        else:
            y = torch.cat([h for h, *_ in ends[-ways:]], -1)
        states = (torch.stack(state, 1) for state in zip(*ends, strict=True))
        return (y, *states) if self.return_state else y

    def backward(self, dy: Any, need_dx: bool = True) -> Any:
        kept, shape, with_states = self.saved_tensors()
        ways, size = self._ways, self.hidden_size
        dx, dends = self._arriving(dy, shape)
        dstarts: list[States] = [[]] * len(kept)
        for index in range(len(kept) - ways, -1, -ways):
            dh, dx = dx, None
            for place in range(index, index + ways):
                part = None if dh is None else dh.narrow(-1, (place - index) * size, size)
                back, dstarts[place] = self.backward_layer(
                    kept[place], part, dends[place], self._weights(place), Walk(place > index),
                    need_dx or index > 0)
                dx = back if dx is None else dx.add_(back)
            if index and self.between is not None:
                dx = self.between.backward(dx)
        if not need_dx:
            return None
        dx = dx.transpose(0, 1)
        states = (torch.stack(state, 1) for state in zip(*dstarts, strict=True))
        return (dx, *states) if with_states else dx

    def forward_layer(
        self, series: Tensor, starts: States, weights: Weights, walk: Walk, keep: bool
    ) -> tuple[Tensor, States, Any]:
        """One direction of one layer.

        Returns: h of every step, the states at the end, and what `backward_layer` needs.
        """
        (weight_ih, weight_hh, bias_ih, bias_hh), rows = weights, series.flatten(0, 1)
        if bias_ih is None or bias_hh is None:
            gates, bias = affine(rows, weight_ih.data), None
        else:
            bias = bias_hh.data
            gates = affine(rows, weight_ih.data, self.joint_bias(bias_ih.data, bias))
        h, ends, kept = self.forward_through_time(
            gates.view(*series.shape[:2], gates.shape[1]), starts, weight_hh.data, bias, walk, keep)
        return walk.after(h), ends, (rows, h, kept)

    def backward_layer(
        self, kept: Any, dh: Tensor | None, dends: States, weights: Weights, walk: Walk,
        need_dx: bool,
    ) -> tuple[Tensor | None, States]:
        """Goes back through one direction of one layer, and adds to the gradients of its weights.

        Returns: the gradient of its input series, if needed, and those of the states it started at.
        """
        (rows, h, kept), (weight_ih, weight_hh, bias_ih, bias_hh) = kept, weights
        if dh is not None:
            dends[0].add_(walk.end(dh))
        dgates_ih, dgates_hh, dstarts = self.backward_through_time(
            h, kept, dh, dends, weight_hh.data, walk)
        shape, rows_ih = dgates_ih.shape[:2], dgates_ih.flatten(0, 1)
        rows_hh_t = dgates_hh.flatten(0, 1).t()
        if weight_ih.trainable:
            add_outer(weight_ih.grad, rows_ih.t(), rows)
        if weight_hh.trainable:
            add_outer(weight_hh.grad, rows_hh_t, walk.before(h).flatten(0, 1))
        for bias, rows_t in ((bias_ih, rows_ih.t()), (bias_hh, rows_hh_t)):
            if bias is not None and bias.trainable:
                bias.add_row_sum(rows_t)
        if not need_dx:
            return None, dstarts
        return back(rows_ih, weight_ih.data).view(*shape, rows.shape[1]), dstarts

    def unwind(self, dy: Any = None) -> None:
        if self.between is not None:
            for _ in range(self.num_layers - 1):
                self.between.unwind()
        super().unwind(dy)
