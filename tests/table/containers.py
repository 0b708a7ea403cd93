"""Modules that are made of modules."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Multiply,
    Parallel,
    Pick,
    Recompute,
    Residual,
    Sequential,
    Shared,
)
from kerasish.layers import Dropout, Flatten, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from tests.table.row import Row


def _tied() -> Sequential:
    shared = Linear(3)
    return Sequential(shared, Tanh(), shared, Tanh(), shared)


def _tied_twin() -> nn.Module:
    shared = nn.Linear(3, 3)
    return nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), shared)


def _tied_blocks() -> Sequential:
    block, squash = Sequential(Linear(3), LeakyReLU(0.3)), Tanh()
    return Sequential(block, squash, block, squash)


def _tied_blocks_twin() -> nn.Module:
    block, squash = nn.Sequential(nn.Linear(3, 3), nn.LeakyReLU(0.3)), nn.Tanh()
    return nn.Sequential(block, squash, block, squash)


class Several(nn.Module):
    """Modules under given names, and a function of them that is the forward pass."""

    def __init__(self, parts: dict[str, nn.Module], run: Callable[..., Any]) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.run = run

    def forward(self, *x: Any) -> Any:
        return self.run(self, *x)


def _residual(body: nn.Module, shortcut: nn.Module | None = None) -> nn.Module:
    parts = {"body": body} | ({"shortcut": shortcut} if shortcut else {})
    return Several(parts, lambda self, x: self.body(x) + (self.shortcut(x) if shortcut else x))


def _parallel(*branches: nn.Module, merge: Callable[..., Any] = lambda *y: y) -> nn.Module:
    return Several({str(i): branch for i, branch in enumerate(branches)},
                   lambda self, x: merge(*(branch(x) for branch in self.children())))


def _diamond() -> Graph:
    x = Input((3,))
    h = Linear(4)(x)
    left, right = Tanh()(h), Sigmoid()(Linear(4)(h))
    return Graph(x, Linear(2)(Add()((left, right, h))))


def _diamond_twin() -> nn.Module:
    parts = {"0": nn.Linear(3, 4), "1": nn.Tanh(), "2": nn.Linear(4, 4), "5": nn.Linear(4, 2)}

    def run(self, x):
        h = self.get_submodule("0")(x)
        right = self.get_submodule("2")(h).sigmoid()
        return self.get_submodule("5")(h.tanh() + right + h)

    return Several(parts, run)


def _tied_graph() -> Graph:
    a, b = Input((3,)), Input((3,))
    shared = Linear(4)
    u, v = shared(a), Tanh()(shared(b))
    return Graph({"a": a, "b": b},
                 {"both": Concat()((u, v)), "one": u, "product": Multiply()((u, v))})


def _tied_graph_twin() -> nn.Module:
    def run(self, x):
        u, v = self.get_submodule("0")(x["a"]), self.get_submodule("0")(x["b"]).tanh()
        return {"both": torch.cat((u, v), 1), "one": u, "product": u * v}

    return Several({"0": nn.Linear(3, 4)}, run)


def _graph_of_containers() -> Graph:
    a, b = Input((3,)), Input((2, 3))
    pair = Parallel(Linear(2), Tanh())(a)
    flat = Flatten()(b)
    return Graph((a, b), (Pick(0)(pair), Concat()((Pick(1)(pair), Residual(Linear(6))(flat))), a))


def _graph_of_containers_twin() -> nn.Module:
    parts = {"0": _parallel(nn.Linear(3, 2), nn.Tanh()), "4": _residual(nn.Linear(6, 6))}

    def run(self, a, b):
        first, second = self.get_submodule("0")(a)
        return first, torch.cat((second, self.get_submodule("4")(b.flatten(1))), 1), a * 1

    return Several(parts, run)


ROWS = [
    Row("Sequential of nothing", Sequential, (5,), nn.Sequential),
    Row("Sequential of one", lambda: Sequential(Linear(4)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4))),
    Row("Sequential with activations in place",
        lambda: Sequential(Linear(4), ReLU(), Linear(4), LeakyReLU(0.3), Linear(3), Tanh(),
                           Linear(2), Sigmoid()), (3,),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.LeakyReLU(0.3),
                              nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2), nn.Sigmoid())),
    Row("Sequential of activations alone", lambda: Sequential([Tanh(), ReLU(), Sigmoid()]), (5,),
        lambda: nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid())),
    Row("Sequential in Sequential",
        lambda: Sequential(Sequential(Linear(4), Tanh()), Sequential(Sequential(Linear(3))),
                           LeakyReLU(0.3)), (3,),
        lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()),
                              nn.Sequential(nn.Sequential(nn.Linear(4, 3))), nn.LeakyReLU(0.3))),
    Row("Sequential with one Linear thrice", _tied, (3,), _tied_twin),
    Row("Sequential with one Sequential twice", _tied_blocks, (3,), _tied_blocks_twin),
    Row("Sequential with Flatten between",
        lambda: Sequential(Linear(4), Flatten(), Tanh(), Linear(2)), (2, 3),
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.Tanh(), nn.Linear(8, 2))),
    Row("Sequential with Dropout between",
        lambda: Sequential(Linear(6), Dropout(0.3), Tanh(), Dropout(0), Linear(2)), (3,),
        lambda: nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.3), nn.Tanh(), nn.Dropout(0),
                              nn.Linear(6, 2)), random=True),
    Row("Sequential with a stem that trains nothing",
        lambda: Sequential(Flatten(), Sigmoid(), Linear(2), ReLU()), (2, 3),
        lambda: nn.Sequential(nn.Flatten(), nn.Sigmoid(), nn.Linear(6, 2), nn.ReLU())),
    Row("Concat", Concat, ((3,), (2,), (4,)),
        lambda: Several({}, lambda self, *x: torch.cat(x, 1))),
    Row("Concat of channels", Concat, ((2, 3, 4), (1, 3, 4)),
        lambda: Several({}, lambda self, *x: torch.cat(x, 1))),
    Row("Concat on the last axis", lambda: Concat(-1), ((2, 3), (2, 1)),
        lambda: Several({}, lambda self, *x: torch.cat(x, -1))),
    Row("Concat of a dict", lambda: Concat(axis=2), {"a": (2, 3), "b": (2, 1)},
        lambda: Several({}, lambda self, x: torch.cat((x["a"], x["b"]), 2))),
    Row("Add", Add, ((3,), (3,), (3,)), lambda: Several({}, lambda self, *x: sum(x))),
    Row("Add of one", Add, ((3,),), lambda: Several({}, lambda self, x: x * 1)),
    Row("Add of a dict", Add, {"a": (2, 3), "b": (2, 3)},
        lambda: Several({}, lambda self, x: x["a"] + x["b"])),
    Row("Multiply", Multiply, ((3,), (3,)), lambda: Several({}, lambda self, a, b: a * b)),
    Row("Multiply of three", Multiply, ((2, 3), (2, 3), (2, 3)),
        lambda: Several({}, lambda self, a, b, c: a * b * c)),
    Row("Multiply of a dict", Multiply, {"a": (3,), "b": (3,)},
        lambda: Several({}, lambda self, x: x["a"] * x["b"])),
    Row("Pick of a tuple", lambda: Pick(1), ((3,), (2,)),
        lambda: Several({}, lambda self, a, b: b * 1)),
    Row("Pick of a dict", lambda: Pick("b"), {"a": (3,), "b": (2,)},
        lambda: Several({}, lambda self, x: x["b"] * 1)),
    Row("Residual", lambda: Residual(Sequential(Linear(4), Tanh(), Linear(3))), (3,),
        lambda: _residual(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)))),
    Row("Residual with a shortcut", lambda: Residual(Linear(4), Linear(4, bias=False)), (3,),
        lambda: _residual(nn.Linear(3, 4), nn.Linear(3, 4, bias=False))),
    Row("Residual that concatenates", lambda: Residual(Linear(4), merge=Concat()), (3,),
        lambda: Several({"body": nn.Linear(3, 4)},
                        lambda self, x: torch.cat((self.body(x), x), 1))),
    Row("Parallel", lambda: Parallel(Linear(4), Tanh(), Sequential(Linear(2), ReLU())), (3,),
        lambda: _parallel(nn.Linear(3, 4), nn.Tanh(),
                          nn.Sequential(nn.Linear(3, 2), nn.ReLU()))),
    Row("Parallel of one, in a list", lambda: Parallel([Linear(4)]), (3,),
        lambda: _parallel(nn.Linear(3, 4))),
    Row("Parallel, concatenated", lambda: Parallel(Linear(4), Tanh(), merge=Concat()), (3,),
        lambda: _parallel(nn.Linear(3, 4), nn.Tanh(), merge=lambda *y: torch.cat(y, 1))),
    Row("Parallel, multiplied", lambda: Parallel(Linear(4), Sequential(Linear(4), Sigmoid()),
                                                 merge=Multiply()), (3,),
        lambda: _parallel(nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 4), nn.Sigmoid()),
                          merge=lambda a, b: a * b)),
    Row("Shared", lambda: Shared(Sequential(Linear(4), Tanh())), ((3,), (3,)),
        lambda: Several({"module": nn.Sequential(nn.Linear(3, 4), nn.Tanh())},
                        lambda self, *x: tuple(map(self.module, x)))),
    Row("Shared by a dict", lambda: Shared(Linear(4)), {"a": (3,), "b": (3,), "c": (3,)},
        lambda: Several({"module": nn.Linear(3, 4)},
                        lambda self, x: {name: self.module(part) for name, part in x.items()})),
    Row("Recompute", lambda: Recompute(Sequential(Linear(4), Tanh(), Linear(2))), (3,),
        lambda: Several({"module": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))},
                        lambda self, x: self.module(x))),
    Row("Recompute of noise", lambda: Recompute(Sequential(Linear(6), Dropout(0.4), Tanh())), (3,),
        lambda: Several({"module": nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.4), nn.Tanh())},
                        lambda self, x: self.module(x)), random=True),
    Row("Graph", _diamond, (3,), _diamond_twin),
    Row("Graph of dicts with a shared module", _tied_graph, {"a": (3,), "b": (3,)},
        _tied_graph_twin),
    Row("Graph of containers, an input as output", _graph_of_containers, ((3,), (2, 3)),
        _graph_of_containers_twin),
]

EQUIVALENT = {
    r"Graph\.backward: - place = 0 \+ place = 1$":
        "the loop sets the place before anything can fail",
    r"Sequential\.backward: .*index, dx = \(0, dy\) \+ index, dx = \(1, dy\)$":
        "the loop sets the index before anything can fail",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
