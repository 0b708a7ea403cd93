"""Dense modules, and modules that change shapes alone."""

from collections.abc import Callable
from typing import Any

from torch import nn

from kerasish.layers import (
    Bilinear,
    Flatten,
    Identity,
    Lambda,
    Linear,
    Permute,
    Reshape,
    Unflatten,
)
from tests.table.row import Row


class Function(nn.Module):
    """A function with autograd."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Any) -> Any:
        return self.function(*x)


OVERFLOW = {"huge values": "products of two overflow, and the order decides which infinities meet"}

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
    Row("Bilinear", lambda: Bilinear(4), ((3,), (2,)), lambda: nn.Bilinear(3, 2, 4),
        differs=OVERFLOW),
    Row("Bilinear with all sizes and no bias", lambda: Bilinear(3, 2, 4, False), ((3,), (2,)),
        lambda: nn.Bilinear(3, 2, 4, False), differs=OVERFLOW),
    Row("Bilinear on sequences", lambda: Bilinear(out_features=2), ((2, 3), (2, 5)),
        lambda: nn.Bilinear(3, 5, 2), differs=OVERFLOW),
    Row("Bilinear from one to one", lambda: Bilinear(1), ((1,), (1,)),
        lambda: nn.Bilinear(1, 1, 1)),
    Row("Identity", lambda: Identity(54, unused=0.1), (2, 3), lambda: Function(lambda x: x * 1)),
    Row("Identity of a dict", Identity, {"a": (2,), "b": (3, 2)},
        lambda: Function(lambda x: {name: part * 1 for name, part in x.items()})),
    Row("Lambda", lambda: Lambda(lambda x: x.sin() * 2, lambda dy, x, y: 2 * dy * x.cos()), (5,),
        lambda: Function(lambda x: x.sin() * 2)),
    Row("Lambda that reads y and changes the shape",
        lambda: Lambda(lambda x: x.sum(2).tanh(),
                       lambda dy, x, y: (dy * (1 - y * y)).unsqueeze(2).expand_as(x), (2,)),
        (2, 3), lambda: Function(lambda x: x.sum(2).tanh())),
    Row("Lambda of two", lambda: Lambda(lambda x: x[0] * x[1],
                                        lambda dy, x, y: (dy * x[1], dy * x[0])),
        ((2, 3), (2, 3)), lambda: Function(lambda a, b: a * b)),
    Row("Flatten", Flatten, (2, 3, 4), nn.Flatten),
    Row("Flatten of one axis", Flatten, (5,), nn.Flatten),
    Row("Flatten from axis 2", lambda: Flatten(2), (2, 3, 4), lambda: nn.Flatten(2)),
    Row("Flatten axes 1 to 2", lambda: Flatten(1, 2), (2, 3, 4), lambda: nn.Flatten(1, 2)),
    Row("Flatten the last two axes", lambda: Flatten(start_dim=-2), (2, 3, 4),
        lambda: nn.Flatten(-2)),
    Row("Flatten axes -3 to -2", lambda: Flatten(-3, -2), (2, 3, 4), lambda: nn.Flatten(-3, -2)),
    Row("Unflatten", lambda: Unflatten(1, (3, 2)), (6,), lambda: nn.Unflatten(1, (3, 2))),
    Row("Unflatten the last axis", lambda: Unflatten(-1, [2, -1, 1]), (3, 6),
        lambda: nn.Unflatten(-1, (2, -1, 1))),
    Row("Reshape", lambda: Reshape((4, 3)), (2, 6),
        lambda: Function(lambda x: x.reshape(-1, 4, 3))),
    Row("Reshape with -1", lambda: Reshape((2, -1)), (3, 4),
        lambda: Function(lambda x: x.reshape(-1, 2, 6))),
    Row("Permute", lambda: Permute((2, 1)), (3, 4), lambda: Function(lambda x: x.mT * 1)),
    Row("Permute to channels last", lambda: Permute((2, 3, 1)), (2, 3, 4),
        lambda: Function(lambda x: x.permute(0, 2, 3, 1) * 1)),
]

EQUIVALENT = {
    r"Linear\.backward: .* if dy\.dim\(\) == 2 .* = dy\.flatten\(0, -2\)$":
        "with two axes there is nothing to join, and flatten answers dy itself",
    r"Linear\.backward: .* \+ return dx\.view\(\*dy\.shape\[:-1\], dx\.shape\[1\]\)$":
        "with two axes this is the shape that dx has",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
