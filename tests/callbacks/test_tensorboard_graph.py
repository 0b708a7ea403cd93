"""TensorBoard's graph page: the nodes and arrows of forward and backward, written once."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from kerasish import Model, Module, Sequential
from kerasish.callbacks import Callback, TensorBoard
from kerasish.callbacks.tensorboard import wire
from kerasish.callbacks.tensorboard.graph_def import backward_graph, forward_graph
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
    Dropout,
    Linear,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.losses import MSE
from tests.callbacks.stopped import Dies, killed_and_started_again
from tests.callbacks.test_tensorboard import compiled, data, fit

NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
"""Which names of nodes the format allows."""


def built(module: Module, shape: Any) -> Structure:
    module.build(shape)
    return Structure(module)


def shape_of(node: Any, port: int) -> str:
    shape = node.attr["_output_shapes"].list.shape[port]
    return "x".join("N" if dim.size == -1 else str(dim.size) for dim in shape.dim)


def arrows(graph: Any, leaving_out: str = "Parameter Gradient") -> set[str]:
    """What goes where with which shape, but for nodes of some kinds."""
    nodes = {node.name: node for node in graph.node}
    found = set()
    for node in graph.node:
        for given in node.input:
            name, _, port = given.partition(":")
            if not {nodes[name].op, node.op} & set(leaving_out.split()):
                found.add(f"{given} -> {node.name} {shape_of(nodes[name], int(port or 0))}")
    return found


def one_eye() -> Graph:
    left, right = Input((2,)), Input((2,))
    eye = Sequential(Linear(3), ReLU())
    return Graph({"left": left, "right": right}, {"all": Concat()((eye(left), eye(right)))})


KNOWN: dict[str, tuple[Callable[[], Module], Any, set[str], set[str]]] = {
    "a leaf": (
        lambda: Linear(2), (3,),
        {"input -> Linear/forward Nx3", "Linear/forward -> output Nx2"},
        {"loss -> Linear/backward Nx2"}),
    "Sequential": (
        lambda: Sequential(Linear(2), ReLU()), (3,),
        {"input -> 0_Linear/forward Nx3", "0_Linear/forward -> 1_ReLU/forward Nx2",
         "1_ReLU/forward -> output Nx2"},
        {"loss -> 1_ReLU/backward Nx2", "1_ReLU/backward -> 0_Linear/backward Nx2"}),
    "Residual": (
        lambda: Sequential(Tanh(), Residual(Linear(3))), (3,),
        {"input -> 0_Tanh/forward Nx3",
         "0_Tanh/forward -> 1_Residual/body_Linear/forward Nx3",
         "0_Tanh/forward -> 1_Residual/shortcut_Identity/forward Nx3",
         "1_Residual/body_Linear/forward -> 1_Residual/merge_Add/forward Nx3",
         "1_Residual/shortcut_Identity/forward -> 1_Residual/merge_Add/forward Nx3",
         "1_Residual/merge_Add/forward -> output Nx3"},
        {"loss -> 1_Residual/merge_Add/backward Nx3",
         "1_Residual/merge_Add/backward -> 1_Residual/body_Linear/backward Nx3",
         "1_Residual/merge_Add/backward:1 -> 1_Residual/shortcut_Identity/backward Nx3",
         "1_Residual/body_Linear/backward -> 0_Tanh/backward Nx3",
         "1_Residual/shortcut_Identity/backward -> 0_Tanh/backward Nx3"}),
    "Parallel": (
        lambda: Parallel(Linear(2), ReLU()), (3,),
        {"input -> 0_Linear/forward Nx3", "input -> 1_ReLU/forward Nx3",
         "0_Linear/forward -> output.0 Nx2", "1_ReLU/forward -> output.1 Nx3"},
        {"loss -> 0_Linear/backward Nx2", "loss:1 -> 1_ReLU/backward Nx3"}),
    "Shared": (
        lambda: Sequential(Shared(Linear(2)), Add()), ((3,), (3,)),
        {"input.0 -> 0_Shared/module_Linear/forward Nx3",
         "input.1 -> 0_Shared/module_Linear-2/forward Nx3",
         "0_Shared/module_Linear/forward -> 1_Add/forward Nx2",
         "0_Shared/module_Linear-2/forward -> 1_Add/forward Nx2", "1_Add/forward -> output Nx2"},
        {"loss -> 1_Add/backward Nx2",
         "1_Add/backward -> 0_Shared/module_Linear/backward Nx2",
         "1_Add/backward:1 -> 0_Shared/module_Linear-2/backward Nx2"}),
    "Recompute": (
        lambda: Recompute(Linear(2)), (3,),
        {"input -> module_Linear/forward Nx3", "module_Linear/forward -> output Nx2"},
        {"loss -> module_Linear/backward Nx2"}),
    "Graph": (
        one_eye, {"left": (2,), "right": (2,)},
        {"left -> 0_Sequential/0_Linear/forward Nx2",
         "0_Sequential/0_Linear/forward -> 0_Sequential/1_ReLU/forward Nx3",
         "right -> 0_Sequential-2/0_Linear/forward Nx2",
         "0_Sequential-2/0_Linear/forward -> 0_Sequential-2/1_ReLU/forward Nx3",
         "0_Sequential/1_ReLU/forward -> 1_Concat/forward Nx3",
         "0_Sequential-2/1_ReLU/forward -> 1_Concat/forward Nx3", "1_Concat/forward -> all Nx6"},
        {"loss -> 1_Concat/backward Nx6",
         "1_Concat/backward -> 0_Sequential/1_ReLU/backward Nx3",
         "1_Concat/backward:1 -> 0_Sequential-2/1_ReLU/backward Nx3",
         "0_Sequential/1_ReLU/backward -> 0_Sequential/0_Linear/backward Nx3",
         "0_Sequential-2/1_ReLU/backward -> 0_Sequential-2/0_Linear/backward Nx3"}),
    "several outputs": (
        lambda: Sequential(LSTM(3, return_state=True), Pick(1)), (5, 2),
        {"input -> 0_LSTM/forward Nx5x2", "0_LSTM/forward -> 1_Pick/forward Nx3",
         "0_LSTM/forward:1 -> 1_Pick/forward Nx1x3", "0_LSTM/forward:2 -> 1_Pick/forward Nx1x3",
         "1_Pick/forward -> output Nx1x3"},
        {"loss -> 1_Pick/backward Nx1x3", "1_Pick/backward -> 0_LSTM/backward Nx3",
         "1_Pick/backward:1 -> 0_LSTM/backward Nx1x3",
         "1_Pick/backward:2 -> 0_LSTM/backward Nx1x3"}),
    "TransformerEncoder": (
        lambda: TransformerEncoder(TransformerEncoderLayer(nhead=2, dim_feedforward=8), 1), (5, 4),
        {"input -> layers.0_TransformerEncoderLayer/forward Nx5x4",
         "layers.0_TransformerEncoderLayer/forward -> output Nx5x4"},
        {"loss -> layers.0_TransformerEncoderLayer/backward Nx5x4"}),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_forward_is_known(name: str) -> None:
    make, shape, forward, _ = KNOWN[name]
    assert arrows(forward_graph(built(make(), shape))) == forward


@pytest.mark.parametrize("name", KNOWN)
def test_backward_is_the_reverse_and_starts_with_the_loss(name: str) -> None:
    make, shape, _, backward = KNOWN[name]
    assert arrows(backward_graph(built(make(), shape), MSE())) == backward


@pytest.mark.parametrize("name", KNOWN)
def test_names_are_valid_and_unique_and_arrows_lead_somewhere(name: str) -> None:
    make, shape, *_ = KNOWN[name]
    net = built(make(), shape)
    for graph in (forward_graph(net), backward_graph(net, MSE())):
        names = [node.name for node in graph.node]
        assert len(set(names)) == len(names) and all(map(NAME.fullmatch, names))
        scopes = {each.rpartition("/")[0] for each in names}
        assert not scopes & set(names), "TensorBoard cannot show a node that is a scope too"
        for node in graph.node:
            for given in node.input:
                source, _, port = given.partition(":")
                (found,) = (each for each in graph.node if each.name == source)
                assert int(port or 0) < len(found.attr["_output_shapes"].list.shape)


def test_parameters_are_nodes_in_the_scope_of_their_module() -> None:
    net = built(Sequential(Linear(3), ReLU(), Linear(1)), (2,))
    net.module[2].trainable = False
    forward = {node.name: node for node in forward_graph(net).node}
    assert list(forward["0_Linear/forward"].input) == ["input", "0_Linear/weight", "0_Linear/bias"]
    weight = forward["0_Linear/weight"]
    assert (weight.op, shape_of(weight, 0), weight.attr["path"].s) == ("Parameter", "3x2",
                                                                       b"0.weight")
    assert "frozen" not in weight.attr and forward["2_Linear/bias"].attr["frozen"].s == b"yes"
    backward = {node.name: node for node in backward_graph(net, MSE()).node}
    assert [name for name in backward if name.endswith("grad")] == ["0_Linear/weight.grad",
                                                                    "0_Linear/bias.grad"]
    gradient = backward["0_Linear/weight.grad"]
    assert (gradient.op, shape_of(gradient, 0)) == ("Gradient", "3x2")
    assert list(gradient.input) == ["0_Linear/backward:1"]
    assert shape_of(backward["0_Linear/backward"], 1) == "3x2"


def test_calls_that_share_parameters_add_into_one_gradient() -> None:
    net = built(one_eye(), {"left": (2,), "right": (2,)})
    backward = {node.name: node for node in backward_graph(net, MSE()).node}
    gradients = {name: list(node.input) for name, node in backward.items() if node.op == "Gradient"}
    assert gradients == {
        "0_Sequential/0_Linear/weight.grad": ["0_Sequential-2/0_Linear/backward:1",
                                              "0_Sequential/0_Linear/backward:1"],
        "0_Sequential/0_Linear/bias.grad": ["0_Sequential-2/0_Linear/backward:2",
                                            "0_Sequential/0_Linear/backward:2"]}  # fmt: skip
    forward = {node.name: node for node in forward_graph(net).node}
    again = forward["0_Sequential-2/0_Linear/weight"].attr
    assert again["shared with"].s == b"0_Sequential/0_Linear/weight"
    assert forward["0_Sequential-2/0_Linear/forward"].attr["call"].s == b"2 of 2"


def test_a_node_tells_its_formula_and_settings() -> None:
    net = built(Sequential(Linear(3, bias=False)), (2,))
    told = {node.name: node for node in forward_graph(net).node}["0_Linear/forward"]
    assert told.op == "Linear"
    assert told.attr["formula"].s.decode() == Linear.formula
    assert told.attr["module"].s == b"Linear(3, bias=False)" and told.attr["path"].s == b"0"
    assert told.attr["parameters"].i == 6
    loss = backward_graph(net, MSE()).node[0]
    assert (loss.name, loss.op, loss.attr["loss"].s) == ("loss", "MSE", b"MSE()")


def test_hostile_names_become_valid_ones_that_stay_apart() -> None:
    first, second = Input((2,)), Input((2,))
    net = Graph({"a/b:0": first, "a b:0": second}, {
        "loss": Linear(1)(first), "^é漢": Linear(1)(second), "_": ReLU()(second)})
    structure = built(net, {"a/b:0": (2,), "a b:0": (2,)})
    names = [node.name for node in forward_graph(structure).node if node.op in ("Input", "Output")]
    assert names == ["a_b_0", "a_b_0-2", "loss", ".___", "._"]
    backward = [node.name for node in backward_graph(structure, MSE()).node]
    assert backward.count("loss") == 1


# ---- in the files -------------------------------------------------------------------------------


def graphs(run: Path) -> list[bytes]:
    """All graphs in the files of a run."""
    return [event.graph_def for path in sorted(run.iterdir())
            for event in EventFileLoader(str(path)).Load() if event.HasField("graph_def")]


def read(run: Path, caplog: pytest.LogCaptureFixture) -> set[str]:
    """The names of what TensorBoard itself reads; it warns where there are two graphs."""
    events = EventAccumulator(str(run))
    with caplog.at_level(logging.WARNING, logger="tensorboard"):
        events.Reload()
    assert not caplog.records
    return {node.name for node in events.Graph().node}


def test_tensorboard_reads_both_runs(tmp_path: Path, caplog) -> None:
    fit(compiled(), TensorBoard(tmp_path))
    assert read(tmp_path / "train", caplog) == {
        "input", "0_Linear/forward", "0_Linear/weight", "0_Linear/bias", "1_Tanh/forward",
        "output"}  # fmt: skip
    assert read(tmp_path / "graph_backward", caplog) == {
        "loss", "1_Tanh/backward", "0_Linear/backward", "0_Linear/weight.grad",
        "0_Linear/bias.grad"}  # fmt: skip


def test_it_can_be_looked_at_while_the_first_epoch_is_trained(tmp_path: Path) -> None:
    seen = []

    class Looks(Callback):
        def on_train_batch_begin(self, batch, logs=None) -> None:
            seen.append([len(graphs(tmp_path / run)) for run in ("train", "graph_backward")])

    fit(compiled(), TensorBoard(tmp_path), Looks(), epochs=1)
    assert seen == [[1, 1]] * 4


def test_scalars_are_beside_it_in_one_file(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path))
    assert len(list((tmp_path / "train").iterdir())) == 1
    events = EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    assert events.Tags()["graph"] and "epoch_loss" in events.Tags()["scalars"]


def test_several_fits_write_it_once_and_another_net_writes_its_own(tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path)
    for _ in range(3):
        fit(model, board)
    assert len(graphs(tmp_path / "train")) == len(graphs(tmp_path / "graph_backward")) == 1
    other = Model(Linear(1), device="cpu")
    other.compile("sgd", loss="mse")
    fit(other, board)
    assert len(graphs(tmp_path / "train")) == 2


def test_another_callback_in_the_same_folder_writes_what_has_changed_alone(tmp_path: Path) -> None:
    model = compiled()
    for _ in range(2):
        fit(model, TensorBoard(tmp_path))
    fit(compiled(), TensorBoard(tmp_path))  # an equal net
    assert len(graphs(tmp_path / "train")) == len(graphs(tmp_path / "graph_backward")) == 1
    model.module.layers[0].bias.trainable = False
    for _ in range(2):
        fit(model, TensorBoard(tmp_path))
    assert len(graphs(tmp_path / "train")) == len(graphs(tmp_path / "graph_backward")) == 2


def test_a_layer_frozen_between_two_fits_of_one_callback_is_drawn_anew(tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path)
    fit(model, board)
    for trainable in (True, False, False, True):
        model.module.layers[0].bias.trainable = trainable
        fit(model, board)
    assert len(graphs(tmp_path / "train")) == len(graphs(tmp_path / "graph_backward")) == 3


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20000])
def test_a_graph_is_found_again_in_its_event(size: int) -> None:
    assert wire.graph_of(wire.graph_event(12.5, b"x" * size)) == b"x" * size
    assert not wire.graph_of(wire.first_event(12.5)) and not wire.graph_of(wire.event(1.0, 4, b""))


@pytest.mark.parametrize("removed", ["", "train", "graph_backward"])
def test_what_was_removed_between_two_fits_is_written_again(removed: str, tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path / "runs")
    fit(model, board)
    shutil.rmtree(tmp_path / "runs" / removed)
    fit(model, board)
    for run in ("train", "graph_backward"):
        assert graphs(tmp_path / "runs" / run)


@pytest.mark.parametrize(("dies", "save_freq"), [
    (Dies(3), "epoch"), (Dies(1, batch=2), 3), (Dies(0), "epoch"), (Dies(0, batch=1), 1),
], ids=["after an epoch", "within an epoch", "in the first epoch", "within the first"])
def test_a_run_started_again_has_it_once(dies, save_freq, tmp_path, caplog) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(compiled(), TensorBoard(tmp_path / "runs"), *callbacks, epochs=5, seed=1)

    killed_and_started_again(train, tmp_path, dies, save_freq)
    for run in ("train", "graph_backward"):
        assert len(graphs(tmp_path / "runs" / run)) == 1
        read(tmp_path / "runs" / run, caplog)


def test_it_can_be_left_out(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path, write_graph=False))
    assert [run.name for run in tmp_path.iterdir()] == ["train"]
    assert graphs(tmp_path / "train") == []
    with pytest.raises(ValueError, match=r"TensorBoard\(write_graph\) expects True or False"):
        TensorBoard(tmp_path, write_graph="no")


def test_a_fit_of_no_epochs_writes_none(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path / "runs"), epochs=0)
    assert list(tmp_path.iterdir()) == []


def test_several_inputs_outputs_and_losses(tmp_path: Path, caplog) -> None:
    left, right = Input((2,)), Input((2,))
    eye = Sequential(Linear(3), Dropout(0.5))
    seen = eye(left), eye(right)
    model = Model(Graph({"left": left, "right": right}, {"a": Linear(1)(seen[0]),
                                                         "b": Linear(1)(Concat()(seen))}),
                  device="cpu")
    model.compile("sgd", loss={"a": "mse", "b": "mae"}, loss_weights={"a": 0.5})
    x = {"left": torch.rand(6, 2), "right": torch.rand(6, 2)}
    y = {"a": torch.rand(6, 1), "b": torch.rand(6, 1)}
    model.fit(x, y, verbose=0, callbacks=TensorBoard(tmp_path))
    assert {"left", "right", "a", "b"} <= read(tmp_path / "train", caplog)
    assert "loss" in read(tmp_path / "graph_backward", caplog)


def test_training_is_the_same_with_it(tmp_path: Path) -> None:
    plain, watched = compiled(), compiled()
    fit(plain, seed=1)
    fit(watched, TensorBoard(tmp_path), seed=1)
    x, _ = data()
    assert torch.equal(torch.from_numpy(plain.predict(x, verbose=0)),
                       torch.from_numpy(watched.predict(x, verbose=0)))
