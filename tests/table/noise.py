"""Noise."""

from torch import nn

from kerasish.layers import Dropout
from tests.table.row import Row

ROWS = [
    Row("Dropout of nothing", lambda: Dropout(0), (5,), lambda: nn.Dropout(0)),
    Row("Dropout of 0.3", lambda: Dropout(0.3), (2, 3, 4), lambda: nn.Dropout(0.3), random=True),
    Row("Dropout of everything", lambda: Dropout(1), (5,), lambda: nn.Dropout(1), random=True),
]

EQUIVALENT: dict[str, str] = {}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
