"""The one table: every exported module and loss, what it is fed with, and its twin in torch.

A new module or loss gets its rows in the file of its family, and every proof in
`test_every_module.py`, `test_every_loss.py` and `test_mutations.py` holds for it from then on.
"""

from tests.table import (
    activations,
    attention,
    containers,
    convolutions,
    dense,
    losses,
    noise,
    normalization,
    pooling,
    recurrent,
    resizing,
)
from tests.table.row import LossRow, Row, numbers, seeded, shown, tree_of

__all__ = ["EQUIVALENT", "LOSSES", "MODULES", "LossRow", "Row", "numbers", "seeded", "shown",
           "tree_of"]

FAMILIES = [dense, activations, noise, convolutions, pooling, resizing, normalization, recurrent,
            attention, containers]
MODULES = [row for family in FAMILIES for row in family.ROWS]
LOSSES = losses.ROWS
EQUIVALENT = {change: why for family in [*FAMILIES, losses]
              for change, why in family.EQUIVALENT.items()}
