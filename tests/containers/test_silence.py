"""A backward that forgets to return dx is named wherever something before it is to learn."""

import pytest
import torch

from kerasish import Model
from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Parallel,
    Pick,
    Residual,
    Sequential,
    Shared,
)
from kerasish.layers import Embedding, Flatten, Linear, Tanh
from kerasish.module import Module
from kerasish.trees import leaves
from tests.table import numbers


class Forgets(Module):
    """Twice what goes in; backward returns nothing, from the given call on."""

    def __init__(self, after: int = 0) -> None:
        self.left = after

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        self.left -= 1
        return None if self.left < 0 else 2 * dy


class Sums(Module):
    """Adds two inputs, and forgets both."""

    def build(self, shape):
        return shape[0]

    def forward(self, x):
        return x[0] + x[1]

    def backward(self, dy):
        return None


def step(module: Module, x=None):
    """One forward and backward; x are floats unless given."""
    x = numbers(4, 3).float() if x is None else x
    y = module(x)
    ones = [torch.ones_like(part) for part in leaves(y)]
    return module.backward(tuple(ones) if isinstance(y, tuple) else ones[0])


def graph(module: Module) -> Graph:
    x = Input((3,))
    return Graph(x, Add()((h := Linear(3)(x), module(h))))


NAMED = {
    "Sequential": (lambda: Sequential(Linear(3), Forgets(), Tanh()), "Forgets()"),
    "Sequential at the top": (lambda: Sequential(Linear(3), Tanh(), Forgets()), "Forgets()"),
    "Graph": (lambda: graph(Forgets()), "Forgets()"),
    "Graph with two ways": (lambda: Graph(x := Input((3,)), Sums()((Linear(3)(x), x))), "Sums()"),
    "body": (lambda: Residual(Forgets()), "Forgets()"),
    "shortcut": (lambda: Residual(Linear(3), Forgets()), "Forgets()"),
    "branch": (lambda: Parallel(Linear(3), Forgets(), Tanh()), "Forgets()"),
    "merge": (lambda: Parallel(Linear(3), Tanh(), merge=Sums()), "Sums()"),
    "all branches": (lambda: Sequential(Linear(3), Parallel(Forgets(), Forgets())), "Parallel"),
    "Shared": (lambda: Sequential(Parallel(Linear(3), Tanh()), Shared(Forgets())), "Shared"),
    "a graph of two inputs": (lambda: Sequential(
        Parallel(Linear(3), Tanh()), Graph((a := Input((3,)), b := Input((3,))), Sums()((a, b)))),
        "Graph"),
}


@pytest.mark.parametrize("make, name", NAMED.values())
def test_it_is_named_where_something_before_it_is_to_learn(make, name: str) -> None:
    with pytest.raises(TypeError, match=r"\.backward\(dy\) expects to return dL/dx; got None, so "
                                        "that what lies before it would not learn") as error:
        step(make())
    assert str(error.value).startswith(name)
    noted = error.value.__notes__[0]
    assert noted.split(", ", 1)[1].startswith(name)


@pytest.mark.parametrize(("make", "place"), [
    (lambda: Parallel(Tanh(), Forgets()), "in branch 1 of Parallel, Forgets(after=0)"),
    (lambda: Parallel(Tanh(), Tanh(), merge=Sums()), "in merge of Parallel, Sums()"),
    (lambda: graph(Forgets()), "in part 1 of Graph, Forgets(after=0)"),
])
def test_its_place_is_noted(make, place: str) -> None:
    with pytest.raises(TypeError, match="expects to return dL/dx") as error:
        step(make())
    assert [note.replace("Forgets()", "Forgets(after=0)") for note in error.value.__notes__
            ] == [place]


IDS = torch.tensor([[0, 1], [1, 2], [2, 2]])


@pytest.mark.parametrize("make", [
    lambda: Sequential(Embedding(3, 2), Flatten(), Linear(1)),
    lambda: Sequential(Sequential(Tanh(), Forgets()), Linear(1)),
    lambda: Parallel(Sequential(Embedding(3, 2), Flatten()), Sequential(Embedding(3, 1), Flatten()),
                     merge=Concat()),
    lambda: Shared(Embedding(3, 2)),
    lambda: Graph(x := Input((2,)), Linear(1)(Flatten()(Embedding(3, 2)(x)))),
], ids=["Sequential", "nothing to learn", "Parallel", "Shared", "Graph"])
def test_whole_numbers_have_no_gradient_and_that_is_fine(make) -> None:
    module = make()
    x = (IDS, IDS) if isinstance(module, Shared) else IDS
    x = IDS.float() if any(isinstance(part, Forgets) for part in module.modules()) else x
    for _ in range(2):
        assert step(module, x) is None
    assert all(parameter.grad.any() for parameter in module.parameters())


def test_a_branch_for_whole_numbers_beside_one_for_others() -> None:
    module = Parallel(Sequential(Pick("ids"), Embedding(3, 2), Flatten()),
                      Sequential(Pick("x"), Linear(2)), merge=Concat())
    for _ in range(2):
        dx = step(module, {"ids": IDS, "x": numbers(3, 3).float()})
        assert dx["x"].shape == (3, 3) and dx["x"].any()
    assert all(parameter.grad.any() for parameter in module.parameters())


def test_branches_that_all_give_no_gradient_give_none() -> None:
    assert step(Parallel(Forgets(), Forgets())) is None


@pytest.mark.parametrize("make", [
    lambda forgets: Parallel(Tanh(), forgets), lambda forgets: Sequential(Linear(3), forgets)])
def test_it_is_looked_for_in_the_first_step_alone(make) -> None:
    module = make(Forgets(after=1))
    for _ in range(3):
        step(module)


def test_what_is_frozen_before_it_is_not_to_learn() -> None:
    module = Sequential(Linear(3), Forgets(), Linear(1))
    module.layers[0].trainable = False
    assert step(module) is None and module.layers[2].weight.grad.any()
    whole = graph(Forgets())
    whole.parts[0].trainable = False
    step(whole)


def test_fit_says_it_in_the_first_step() -> None:
    model = Model(Linear(3), Residual(Forgets()), Linear(1), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"Forgets\(\)\.backward\(dy\) expects to return dL/dx"):
        model.fit(numbers(4, 3), numbers(4, 1), verbose=0)
