"""Noise."""

import torch
from torch import Tensor, nn

from kerasish.layers import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    GaussianNoise,
)
from tests.table.row import Row


class AddedNoise(nn.Module):
    """Keras' GaussianNoise, with autograd."""

    def __init__(self, stddev: float) -> None:
        super().__init__()
        self.stddev = stddev

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stddev * torch.randn_like(x) if self.training else x * 1

ROWS = [
    Row("Dropout of nothing", lambda: Dropout(0), (5,), lambda: nn.Dropout(0)),
    Row("Dropout of 0.3", lambda: Dropout(0.3), (2, 3, 4), lambda: nn.Dropout(0.3), random=True),
    Row("Dropout of everything", lambda: Dropout(1), (5,), lambda: nn.Dropout(1)),
    Row("Dropout1d", lambda: Dropout1d(0.4), (3, 4), lambda: nn.Dropout1d(0.4), random=True),
    Row("Dropout2d", Dropout2d, (3, 2, 4), nn.Dropout2d, random=True),
    Row("Dropout2d of nothing", lambda: Dropout2d(0.0), (3, 2, 4), lambda: nn.Dropout2d(0.0)),
    Row("Dropout3d", lambda: Dropout3d(0.6, True), (3, 2, 1, 4), lambda: nn.Dropout3d(0.6),
        random=True),
    Row("AlphaDropout", AlphaDropout, (5,), nn.AlphaDropout, random=True),
    Row("AlphaDropout of 0.2", lambda: AlphaDropout(0.2), (2, 3, 4), lambda: nn.AlphaDropout(0.2),
        random=True),
    Row("AlphaDropout of nothing", lambda: AlphaDropout(0), (5,), lambda: nn.AlphaDropout(0.0)),
    Row("GaussianNoise", lambda: GaussianNoise(0.5), (5,), lambda: AddedNoise(0.5), random=True),
    Row("GaussianNoise on images", lambda: GaussianNoise(stddev=2), (2, 3, 4),
        lambda: AddedNoise(2.0), random=True),
]

EQUIVALENT: dict[str, str] = {}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
