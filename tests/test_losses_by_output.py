"""What compile is given for outputs that a model has not: refused once the outputs are known."""

from typing import Any

import pytest

from kerasish import Model
from kerasish.containers import Concat, Graph, Input, Parallel, Sequential, Shared
from kerasish.layers import LSTM, Flatten, Linear, Sigmoid
from kerasish.module import Module
from kerasish.optimizers import SGD
from tests.table import numbers

X, Y = numbers(6, 3).float(), numbers(6, 1, seed=1).float()


def single(node: bool = False) -> Module:
    x = Input((3,))
    return Graph(x, Sigmoid()(Linear(1)(x)) if node else {"a": Linear(1)(x)})


class Undeclared(Module):
    """A net of its own, which does not say what its forward gives: one output, or two."""

    returns_view = False

    def __init__(self, *names: str) -> None:
        self.names, self.heads = names, tuple(Linear(1) for _ in names or "a")

    def build(self, shape):
        return self._arranged([head.build(shape) for head in self.heads])

    def forward(self, x):
        return self._arranged([head.forward(x) for head in self.heads])

    def backward(self, dy):
        parts = list(dy.values()) if self.names else [dy]
        return sum(head.backward(part) for head, part in zip(self.heads, parts, strict=True))

    def _arranged(self, parts: list) -> Any:
        return dict(zip(self.names, parts, strict=True)) if self.names else parts[0]


def compiled(module: Module, built: bool = False, **settings: Any) -> Model:
    model = Model(module, device="cpu")
    if built:
        model.build((3,))
    model.compile(**{"optimizer": SGD(0.1), "loss": "mse"} | settings)
    return model


ONE_OUTPUT = {
    "a layer": lambda: Linear(1),
    "a layer, reshaped": lambda: Sequential(Linear(1), Flatten()),
    "a graph": lambda: single(node=True),
    "branches that meet": lambda: Parallel(Linear(1), Linear(1), merge=Concat()),
}


@pytest.mark.parametrize("make", ONE_OUTPUT.values(), ids=ONE_OUTPUT)
@pytest.mark.parametrize("loss", [{"a": "mse", "zz": "mae"}, {"a": "mse"}, {}, ["mse", "mae"],
                                  ("mse", None)], ids=str)
@pytest.mark.parametrize("built", [False, True])
def test_losses_of_several_outputs_are_refused_for_a_model_with_one(make, loss, built) -> None:
    with pytest.raises(ValueError, match=r"compile\(loss\) expects one loss for a model with one "
                                         r"output, which has no name; got .*\. Write the loss al"):
        compiled(make(), built, loss=loss)


@pytest.mark.parametrize("who", ["metrics", "weighted_metrics"])
@pytest.mark.parametrize("make", [lambda: Linear(1), lambda: LSTM(1), lambda: Undeclared("a")],
                         ids=["one output", "not known", "not known, a dict"])
def test_metrics_by_names_need_losses_by_names(who: str, make) -> None:
    with pytest.raises(ValueError, match=rf"compile\({who}\) expects one metric or a list for a "
                                         r"model with one loss; got metrics by the names \['a'\]"):
        compiled(make(), **{who: {"a": "mae"}})


@pytest.mark.parametrize(("who", "given"), [
    ("loss", {"a": "mse", "ba": "mse"}), ("loss_weights", {"ba": 2.0}),
    ("metrics", {"ba": "mae"}), ("weighted_metrics", {"a": "mae", "ba": "mae"}),
])
def test_unknown_names_are_refused_with_the_nearest(who: str, given: dict) -> None:
    message = rf"compile\({who}\) expects the names of outputs; got 'ba'. Did you mean 'b' or 'a'"
    x = Input((3,))
    graph = Graph(x, {"a": Linear(1)(x), "b": Linear(1)(x)})
    for module, built in ((graph, False), (Undeclared("a", "b"), True)):
        with pytest.raises(ValueError, match=message):
            compiled(module, built, **{who: given})


def test_a_single_output_with_a_name_is_called_by_it() -> None:
    settings = {"loss": {"a": "mse"}, "metrics": {"a": "mae"}, "loss_weights": {"a": 2.0}}
    for module, built in ((single(), False), (Undeclared("a"), False), (Undeclared("a"), True)):
        model = compiled(module, built, **settings)
        assert list(model.fit(X, {"a": Y}, verbose=0).history) == ["loss", "mae"]
    with pytest.raises(ValueError, match=r"got 'aa'. Did you mean 'a'|Known are 'a'"):
        compiled(single(), loss={"aa": "mse"})


LEFT_RIGHT = Undeclared("left", "right")


@pytest.mark.parametrize(("module", "loss", "says"), [
    (LEFT_RIGHT, {"left": "mse", "rihgt": "mae"},
     r"\['left', 'rihgt'\] in a dict; got \['left', 'right'\]. Did you mean 'right'\? Give"),
    (LEFT_RIGHT, {"left": "mse"}, r"\['left'\] in a dict; got \['left', 'right'\]"),
    (LEFT_RIGHT, ["mse", "mse"], r"\[0, 1\] in a tuple; got \['left', 'right'\]. G"),
    (Undeclared(), {"a": "mse"}, r"\['a'\] in a dict; got a single one. Give a loss"),
    (LSTM(2), {"a": "mse", "zz": "mae"}, r"\['a', 'zz'\] in a dict; got a single one. Give"),
    (Shared(Linear(1)), ["mse"] * 3, r"\[0, 1, 2\] in a tuple; got \[0, 1\]. Give"),
], ids=str)
@pytest.mark.parametrize("method", ["build", "fit"])
def test_outputs_that_a_model_knows_once_it_is_built_are_looked_at_then(
    module, loss, says, method
) -> None:
    model = compiled(module, loss=loss)
    x = numbers(6, 4, 3).float() if isinstance(module, LSTM) else X
    x = (x, x) if isinstance(module, Shared) else x
    shape = tuple(each.shape[1:] for each in x) if isinstance(x, tuple) else x.shape[1:]
    with pytest.raises(ValueError, match=rf"expects a model with the outputs {says}"):
        model.build(tuple(shape)) if method == "build" else model.fit(x, Y, verbose=0)
    assert not model.built


def test_one_loss_serves_each_output_that_a_built_model_is_known_to_have() -> None:
    model = compiled(Undeclared("a", "b"), built=True)
    assert model.metrics_names == ["loss", "a_loss", "b_loss"]
    with pytest.raises(ValueError, match="a loss for each of several outputs; got MSE"):
        compiled(Undeclared("a", "b")).build((3,))


@pytest.mark.parametrize("argument", ["loss", "loss_weights"])
@pytest.mark.parametrize("kind", [list, dict])
def test_more_outputs_than_any_net_has_are_refused(argument: str, kind: Any) -> None:
    many = dict.fromkeys(map(str, range(1001)), 1) if kind is dict else [1] * 1001
    with pytest.raises(ValueError, match=rf"compile\({argument}\) expects at most 1,000 outputs; "
                                         "got 1,001. Join them"):
        Model(Linear(1), device="cpu").compile("sgd", **{"loss": "mse"} | {argument: many})
