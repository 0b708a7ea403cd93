"""Which calls and arrows are found in each container, built or not, without running anything."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from kerasish import Module, Sequential, containers
from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Parallel,
    Pick,
    Recompute,
    Residual,
    Shared,
)
from kerasish.insight.structure import Structure
from kerasish.layers import (
    LSTM,
    BatchNorm1d,
    Dropout,
    Flatten,
    LayerNorm,
    Linear,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.random import global_states
from kerasish.watching import Watch


def place(box: Any) -> str:
    call = f"#{box.call}" if box.call > 1 else ""
    return (box.path or box.name) + call


def arrows(module: Module) -> list[str]:
    """What is found: "from -> to" with the shape, and the port if it is not the first."""
    found = []
    for arrow in Structure(module).arrows():
        value = arrow.value
        port = f":{value.port}" if value.port else ""
        shape = "?" if value.shape is None else "x".join(map(str, value.shape))
        found.append(f"{place(value.source)}{port} -> {place(arrow.target)} {shape}")
    return found


def built(module: Module, shape: Any) -> Module:
    module.build(shape)
    return module


def two_ways() -> Graph:
    x = Input((3,))
    h = Linear(4)(x)
    return Graph(x, {"sum": Add()((h, Tanh()(h))), "all": Concat()({"a": h, "b": x})})


def one_eye() -> Graph:
    left, right = Input((2,)), Input((2,))
    eye = Sequential(Linear(3), ReLU())
    return Graph({"left": left, "right": right}, Concat()((eye(left), eye(right))))


KNOWN: dict[str, tuple[Callable[[], Module], Any, list[str]]] = {
    "a leaf": (lambda: Linear(2), (3,), ["input ->  3", " -> output 2"]),
    "Sequential": (lambda: Sequential(Linear(2), ReLU()), (3,),
                   ["input -> 0 3", "0 -> 1 2", "1 -> output 2"]),
    "an empty Sequential": (lambda: Sequential(Sequential(), ReLU()), (3,),
                            ["input -> 0 3", "0 -> 1 3", "1 -> output 3"]),
    "Residual": (lambda: Residual(Sequential(Linear(3), Tanh())), (3,),
                 ["input -> body.0 3", "body.0 -> body.1 3", "input -> shortcut 3",
                  "body.1 -> merge 3", "shortcut -> merge 3", "merge -> output 3"]),
    "Parallel": (lambda: Parallel(Linear(2), ReLU()), (3,),
                 ["input -> 0 3", "input -> 1 3", "0 -> output.0 2", "1 -> output.1 3"]),
    "Parallel and a merge": (lambda: Parallel(Linear(2), ReLU(), merge=Concat()), (3,),
                             ["input -> 0 3", "input -> 1 3", "0 -> merge 2", "1 -> merge 3",
                              "merge -> output 5"]),
    "Shared": (lambda: Sequential(Shared(Linear(2)), Add()), ((3,), (3,)),
               ["input.0 -> 0.module 3", "input.1 -> 0.module#2 3", "0.module -> 1 2",
                "0.module#2 -> 1 2", "1 -> output 2"]),
    "Recompute": (lambda: Recompute(Sequential(Linear(2), ReLU())), (3,),
                  ["input -> module.0 3", "module.0 -> module.1 2", "module.1 -> output 2"]),
    "Graph": (two_ways, (3,),
              ["input -> 0 3", "0 -> 1 4", "0 -> 2 4", "1 -> 2 4", "0 -> 3 4", "input -> 3 3",
               "2 -> sum 4", "3 -> all 7"]),
    "a module called twice": (one_eye, {"left": (2,), "right": (2,)},
                              ["left -> 0.0 2", "0.0 -> 0.1 3", "right -> 0.0#2 2",
                               "0.0#2 -> 0.1#2 3", "0.1 -> 1 3", "0.1#2 -> 1 3",
                               "1 -> output 6"]),
    "several outputs": (lambda: Sequential(LSTM(3, return_state=True), Pick(1)), (5, 2),
                        ["input -> 0 5x2", "0 -> 1 3", "0:1 -> 1 1x3", "0:2 -> 1 1x3",
                         "1 -> output 1x3"]),
    "TransformerEncoder": (
        lambda: TransformerEncoder(TransformerEncoderLayer(nhead=2, dim_feedforward=8), 2,
                                   LayerNorm()), (5, 4),
        ["input -> layers.0 5x4", "layers.0 -> layers.1 5x4", "layers.1 -> norm 5x4",
         "norm -> output 5x4"]),
    "TransformerEncoder and a mask": (
        lambda: TransformerEncoder(TransformerEncoderLayer(nhead=2, dim_feedforward=8), 2),
        {"src": (5, 4), "src_key_padding_mask": (5,)},
        ["src -> layers.0 5x4", "src_key_padding_mask -> layers.0 5", "layers.0 -> layers.1 5x4",
         "src_key_padding_mask -> layers.1 5", "layers.1 -> output 5x4"]),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_the_arrows_of_a_built_net_are_known(name: str) -> None:
    make, shape, known = KNOWN[name]
    assert arrows(built(make(), shape)) == known


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - {"Shared", "TransformerEncoder and a mask",
                                                        "several outputs"}))
def test_a_net_that_is_not_built_has_the_same_arrows(name: str) -> None:
    make, _, known = KNOWN[name]
    module = make()
    bare = [each.rpartition(" ")[0] for each in known]
    assert [each.rpartition(" ")[0] for each in arrows(module)] == bare
    states = isinstance(module, Graph)
    assert arrows(module) == (known if states else [f"{each} ?" for each in bare])
    assert not module.built


def test_shapes_are_known_before_build_as_far_as_the_net_states_them() -> None:
    net = Sequential(Recompute(one_eye()), Linear(2))
    assert arrows(net)[-2:] == ["0.module.1 -> 1 6", "1 -> output 2"]
    net = Sequential(Flatten(), one_eye())
    assert arrows(net)[:2] == ["input -> 0 ?", "0 -> 1.0.0 ?"]


def test_shapes_follow_each_call() -> None:
    first, second = Input((2, 3)), Input((4, 3))
    layer = Linear(5)
    graph = built(Graph((first, second), (layer(first), layer(second))), ((2, 3), (4, 3)))
    assert arrows(graph) == ["input.0 -> 0 2x3", "input.1 -> 0#2 4x3", "0 -> output.0 2x5",
                             "0#2 -> output.1 4x5"]


def test_calls_are_counted_wherever_a_module_is() -> None:
    relu = ReLU()
    calls = [(box.path, box.call, box.calls) for box in Structure(Sequential(
        relu, Linear(2), Residual(relu))).boxes() if box.module is relu]
    assert calls == [("0", 1, 2), ("2.body", 2, 2)]


def test_folded_containers_are_boxes() -> None:
    net = built(Sequential(Residual(Linear(3)), Linear(2)), (3,))
    boxes = Structure(net, expands=False).boxes()
    assert [(box.name, type(box.module).__name__) for box in boxes] == [
        ("input", "NoneType"), ("0", "Residual"), ("1", "Linear"), ("output", "NoneType")]


class Unknown(Module):
    """Holds modules, and does not say how it calls them."""

    def __init__(self, first: Module) -> None:
        self.first = first

    def build(self, shape):
        return self.first.build(shape)

    def forward(self, x):
        return self.first(x)


class Reverses(Sequential):
    """A Sequential with a forward of its own."""

    def forward(self, x):
        return super().forward(x)


class Renamed(Sequential):
    """A Sequential that leaves forward alone."""


class Twice(Unknown):
    """A container of one's own that says how it calls its modules."""

    def forward(self, x):
        return self.first(self.first(x))

    def wiring(self, x, call):
        return call("first", call("first", x))


def test_who_does_not_say_how_it_calls_its_modules_is_one_box() -> None:
    for module in (Unknown(Linear(3)), Reverses(Linear(3))):
        assert arrows(built(module, (3,))) == ["input ->  3", " -> output 3"]


def test_a_wiring_is_believed_where_forward_is_not_overridden_below_it() -> None:
    assert arrows(built(Renamed(Linear(3)), (3,))) == ["input -> 0 3", "0 -> output 3"]
    assert arrows(built(Twice(Linear(3)), (3,))) == ["input -> first 3", "first -> first#2 3",
                                                     "first#2 -> output 3"]


def test_a_net_that_is_being_watched_looks_the_same() -> None:
    net = built(Sequential(Linear(3), Residual(Reverses(Linear(3)))), (3,))
    known = arrows(net)
    with Watch(net):
        assert arrows(net) == known


def everything(module: Module) -> list[tuple[Any, dict]]:
    return [(part, dict(vars(part))) for part in module.modules()]


@pytest.mark.parametrize("is_built", [True, False])
@pytest.mark.parametrize("name", KNOWN)
def test_it_leaves_no_trace(name: str, is_built: bool) -> None:
    make, shape, _ = KNOWN[name]
    module = Sequential(make(), Dropout(0.5))
    if is_built:
        module.build(shape)
    before, states = everything(module), global_states()
    Structure(module)
    after = everything(module)
    assert [part for part, _ in before] == [part for part, _ in after]
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert old.keys() == new.keys() and all(old[name] is new[name] for name in old)
    assert torch.equal(states["torch"], torch.get_rng_state())


def test_parameters_and_who_shares_them() -> None:
    net = Sequential(Linear(3), BatchNorm1d(), Linear(3))
    net.build((3,))
    net[2].weight = net[0].weight
    structure = Structure(net)
    boxes = {box.name: box for box in structure.boxes()}
    assert [name for name, _ in boxes["1"].parameters()] == ["weight", "bias"]
    assert structure.sharing(boxes["2"]) == [boxes["0"], boxes["2"]]
    assert structure.sharing(boxes["1"]) == [boxes["1"]]
    assert structure.sharing(boxes["input"]) == []


def test_every_container_has_a_row() -> None:
    shown = {type(part) for make, *_ in KNOWN.values() for part in make().modules()}
    own = {each for each in vars(containers).values() if isinstance(each, type)}
    assert own - shown == {containers.Multiply}, "which holds nothing"
