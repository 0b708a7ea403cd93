"""Dense modules, and modules that change shapes alone."""

from torch import nn

from kerasish.layers import Flatten, Linear
from tests.table.row import Row

ROWS = [
    Row("Linear", lambda: Linear(4), (3,), lambda: nn.Linear(3, 4)),
    Row("Linear with both sizes", lambda: Linear(3, 4), (3,), lambda: nn.Linear(3, 4)),
    Row("Linear without bias", lambda: Linear(4, bias=False), (3,),
        lambda: nn.Linear(3, 4, bias=False)),
    Row("Linear with both sizes and no bias", lambda: Linear(3, 4, False), (3,),
        lambda: nn.Linear(3, 4, False)),
    Row("Linear from one to one", lambda: Linear(1), (1,), lambda: nn.Linear(1, 1)),
    Row("Linear on sequences", lambda: Linear(4), (5, 3), lambda: nn.Linear(3, 4)),
    Row("Linear on images, without bias", lambda: Linear(2, bias=False), (2, 5, 3),
        lambda: nn.Linear(3, 2, bias=False)),
    Row("Flatten", Flatten, (2, 3, 4), nn.Flatten),
    Row("Flatten of one axis", Flatten, (5,), nn.Flatten),
    Row("Flatten from axis 2", lambda: Flatten(2), (2, 3, 4), lambda: nn.Flatten(2)),
    Row("Flatten axes 1 to 2", lambda: Flatten(1, 2), (2, 3, 4), lambda: nn.Flatten(1, 2)),
    Row("Flatten the last two axes", lambda: Flatten(start_dim=-2), (2, 3, 4),
        lambda: nn.Flatten(-2)),
    Row("Flatten axes -3 to -2", lambda: Flatten(-3, -2), (2, 3, 4), lambda: nn.Flatten(-3, -2)),
]

EQUIVALENT = {
    r"Linear\.backward: .* if dy\.dim\(\) == 2 .* = dy\.flatten\(0, -2\)$":
        "with two axes there is nothing to join, and flatten answers dy itself",
    r"Linear\.backward: .* \+ return dx\.view\(\*dy\.shape\[:-1\], dx\.shape\[1\]\)$":
        "with two axes this is the shape that dx has",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
