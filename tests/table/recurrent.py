"""Recurrent layers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from kerasish.layers import GRU, LSTM, RNN
from tests.table.row import Row


def _twin(cls: Any, *sizes: int, sequences: bool = False, state: bool = False,
          **settings: Any) -> Callable[[], nn.Module]:
    """Torch's layer with the batch as axis 0 of states, too, and the last steps alone as y."""

    class Twin(cls):
        def forward(self, x: Tensor, *starts: Tensor) -> Any:
            starts = tuple(start.transpose(0, 1).contiguous() for start in starts) or (None,)
            y, ends = super().forward(x, starts if len(starts) == 2 else starts[0])
            ends = [end.transpose(0, 1) for end in (ends if cls is nn.LSTM else [ends])]
            if not sequences:  # of the reverse direction, if there is one, the last step is at 0
                y = torch.cat((y[:, -1, : self.hidden_size], y[:, 0, self.hidden_size :]), -1)
            return (y, *ends) if state else y

    return lambda: Twin(*sizes, batch_first=True, **settings)


ROWS = [
    Row("RNN", lambda: RNN(4), (5, 3), _twin(nn.RNN, 3, 4)),
    Row("RNN of ReLU, every step", lambda: RNN(3, 4, 1, "relu", return_sequences=True), (5, 3),
        _twin(nn.RNN, 3, 4, nonlinearity="relu", sequences=True)),
    Row("RNN, two layers both ways, with states",
        lambda: RNN(3, num_layers=2, bidirectional=True, return_sequences=True, return_state=True),
        ((4, 2), (4, 3)), _twin(nn.RNN, 2, 3, 2, bidirectional=True, sequences=True, state=True)),
    Row("LSTM", lambda: LSTM(4), (5, 3), _twin(nn.LSTM, 3, 4)),
    Row("LSTM of one step without bias", lambda: LSTM(3, 4, 1, False), (1, 3),
        _twin(nn.LSTM, 3, 4, bias=False)),
    Row("LSTM both ways, its last steps", lambda: LSTM(2, bidirectional=True, bias=False), (5, 3),
        _twin(nn.LSTM, 3, 2, bidirectional=True, bias=False)),
    Row("LSTM both ways, every step",
        lambda: LSTM(2, bidirectional=True, return_sequences=True), (4, 3),
        _twin(nn.LSTM, 3, 2, bidirectional=True, sequences=True)),
    Row("LSTM, two layers with states", lambda: LSTM(3, num_layers=2, return_state=True),
        ((3, 2), (2, 3), (2, 3)), _twin(nn.LSTM, 2, 3, 2, state=True),
        differs={"huge values": "from a memory of 1e300 torch's gradients are NaN; ours are 0"}),
    Row("LSTM, three layers with dropout",
        lambda: LSTM(3, num_layers=3, dropout=0.4, return_sequences=True), (3, 2),
        _twin(nn.LSTM, 2, 3, 3, dropout=0.4, sequences=True), random=True),
    Row("GRU", lambda: GRU(4), (5, 3), _twin(nn.GRU, 3, 4)),
    Row("GRU without bias, every step", lambda: GRU(4, bias=False, return_sequences=True), (2, 3),
        _twin(nn.GRU, 3, 4, bias=False, sequences=True)),
    Row("GRU, two layers both ways, with states and dropout",
        lambda: GRU(2, num_layers=2, bidirectional=True, dropout=0.3, return_state=True),
        ((4, 3), (4, 2)), _twin(nn.GRU, 3, 2, 2, bidirectional=True, dropout=0.3, state=True),
        random=True),
]

EQUIVALENT = {
    r"(RNN|LSTM|GRU|Recurrence)\.backward.*strict=True\).* \+ .*strict=False\)":
        "it guards against series of different lengths, and there are none",
    r"GRU\.backward_through_time: .* \+ torch\.mul\(r, da_n, out=dm\)$":
        "a product is the same in either order",
    r"LSTM\.backward_through_time: .* \+ dc_t\.addcmul_\(dc_by_dh_t, dh_t\)$":
        "a product is the same in either order",
    r"Recurrence\.backward: .* \+ dx = dx\.transpose\(1, 0\)$": "the same two axes are exchanged",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
