"""The table that summary prints: of a model that is not built, built, compiled, partly frozen."""

import re
from typing import Any

import pytest
import torch

from kerasish import Model, Module, Parameter, Sequential
from kerasish.containers import Concat, Graph, Input, Residual
from kerasish.insight import summary
from kerasish.insight.table import in_units
from kerasish.layers import (
    BatchNorm1d,
    Dropout,
    Flatten,
    Linear,
    MultiheadAttention,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.metrics import BinaryAccuracy
from kerasish.optimizers import SGD, Adam


def table(model: Model, capsys: pytest.CaptureFixture[str], **settings: Any) -> list[str]:
    """The lines that summary prints, without spaces at their ends."""
    assert model.summary(**settings) is None
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("\n")
    assert all(line == line.rstrip() for line in out.splitlines())
    return out.splitlines()


def cells(lines: list[str], start: str) -> list[str]:
    """The columns of the one line that begins like this, indented or not."""
    (line,) = (line for line in lines if line.lstrip().startswith(start))
    return re.split(r" {2,}", line.strip())


def net() -> Model:
    return Model(Linear(25), ReLU(), Dropout(0.1), Linear(1, bias=False), Tanh(), device="cpu")


def test_a_model_that_is_not_built_shows_its_layers_and_no_sizes(capsys) -> None:
    lines = table(net(), capsys)
    assert re.split(r" {2,}", lines[0]) == ["Layer", "Output shape", "Parameters", "Bytes"]
    for index, name in enumerate(["Linear(25)", "ReLU()", "Dropout(0.1)", "Linear(1, bias=False)"]):
        assert cells(lines, f"{index} {name}")[1] == "?"
    assert cells(lines, "Total") == ["Total", "?", "?"] and lines[-1] == "Not compiled yet."


def test_a_built_model_shows_shapes_parameters_and_bytes(capsys) -> None:
    model = net()
    model.build((2,))
    lines = table(model, capsys)
    assert cells(lines, "0 Linear") == ["0 Linear(25)", "(N, 25)", "75", "300 B"]
    assert cells(lines, "1 ReLU") == ["1 ReLU()", "(N, 25)", "0", "0 B"]
    assert cells(lines, "3 Linear") == ["3 Linear(1, bias=False)", "(N, 1)", "25", "100 B"]
    assert cells(lines, "Total") == ["Total", "100", "400 B"]


def test_large_numbers_have_separators_and_columns_are_aligned(capsys) -> None:
    model = Model(Flatten(), Linear(1000), Linear(7), device="cpu")
    model.build((1, 28, 28))
    lines = table(model, capsys)
    assert cells(lines, "1 Linear") == ["1 Linear(1000)", "(N, 1000)", "785,000", "3.14 MB"]
    assert cells(lines, "Total") == ["Total", "792,007", "3.17 MB"]
    rows = [line for line in lines if re.match(r"\d |Total", line)]
    assert len({len(line) for line in rows}) == 1, "numbers end in one column"


def test_bytes_follow_the_type(capsys) -> None:
    model = Model(Linear(3, dtype=torch.float64), device="cpu")
    model.build((1,))
    assert cells(table(model, capsys), "Total") == ["Total", "6", "48 B"]


def test_nested_modules_are_shown_by_their_paths(capsys) -> None:
    model = Model(Sequential(Linear(2), Sequential(ReLU(), Linear(3))), device="cpu")
    model.build((4,))
    lines = table(model, capsys)
    assert cells(lines, "1.1 Linear(3)") == ["1.1 Linear(3)", "(N, 3)", "9", "36 B"]
    assert cells(lines, "Total") == ["Total", "19", "76 B"]


def test_a_shared_module_is_counted_once(capsys) -> None:
    shared = Linear(4)
    model = Model(shared, Tanh(), shared, device="cpu")
    model.build((4,))
    assert cells(table(model, capsys), "Total") == ["Total", "20", "80 B"]


def test_the_rows_add_up_to_the_total(capsys) -> None:
    class Gain(Module):
        """A container that has a parameter of its own."""

        def __init__(self, inner: Module) -> None:
            self.inner = inner

        def build(self, shape):
            shape = self.inner.build(shape)
            self.gain = Parameter(torch.ones(shape))
            self.more = [Parameter(torch.ones(2)), Parameter(torch.ones(1))]
            return shape

    model = Model(Gain(Linear(5)), Tanh(), device="cpu")
    model.build((2,))
    lines = table(model, capsys)
    assert cells(lines, "Total") == ["Total", "23", "92 B"]
    rows = [re.split(r" {2,}", line.strip()) for line in lines if re.match(r" *\d", line)]
    assert sum(int(row[2]) for row in rows) == 23
    assert sum(int(row[3].removesuffix(" B")) for row in rows) == 92


def test_a_single_module_is_a_model_too(capsys) -> None:
    model = Model(Linear(3), device="cpu")
    model.build((2,))
    assert cells(table(model, capsys), "Linear(3)") == ["Linear(3)", "(N, 3)", "9", "36 B"]


def test_frozen_parameters_are_told_apart(capsys) -> None:
    model = net()
    model.build((2,))
    lines = table(model, capsys)
    assert "Trainable" not in lines[0], "all of them are trained"
    assert cells(lines, "Trainable") == ["Trainable", "100", "400 B"]
    assert cells(lines, "Non-trainable") == ["Non-trainable", "0", "0 B"]
    model.module[0].bias.trainable = False
    model.module[3].trainable = False
    lines = table(model, capsys)
    assert re.split(r" {2,}", lines[0])[-1] == "Trainable"
    assert cells(lines, "0 Linear")[-1] == "partly" and cells(lines, "3 Linear")[-1] == "no"
    assert cells(lines, "1 ReLU")[-1] == "0 B", "it has nothing to train"
    assert cells(lines, "Total") == ["Total", "100", "400 B"]
    assert cells(lines, "Trainable") == ["Trainable", "50", "200 B"]
    assert cells(lines, "Non-trainable") == ["Non-trainable", "50", "200 B"]


@pytest.mark.parametrize(
    ("last", "loss", "shown"),
    [
        (Tanh(), "mse", "accuracy = BinaryAccuracy(threshold=0.0)"),
        (Linear(1), "mse", "accuracy = decided by the targets"),
        (Linear(3), "cross_entropy", "accuracy = CategoricalAccuracy(axis=1)"),
        (Linear(1), "binary_crossentropy", "accuracy = BinaryAccuracy(0.0, target_threshold=0.5)"),
    ],
    ids=["signs", "open", "classes", "logits"],
)
def test_a_compiled_model_says_what_accuracy_means(last, loss, shown, capsys) -> None:
    model = Model(Linear(2), last, device="cpu")
    model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    assert any(shown in line for line in table(model, capsys))


def test_what_the_targets_decided_is_shown_afterwards(capsys) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    model.fit([[0.0], [1.0]], [[1.0], [-1.0]], verbose=0)
    assert any("accuracy = BinaryAccuracy(threshold=0.0)" in line for line in table(model, capsys))


def test_a_compiled_model_shows_its_choices(capsys) -> None:
    model = net()
    model.compile(optimizer=Adam(0.01), loss="mae", metrics=["mse", BinaryAccuracy(0.2)])
    lines = table(model, capsys)
    assert "Optimizer: Adam(0.01)" in lines and "Loss: MAE()" in lines
    (metrics,) = (line for line in lines if line.startswith("Metrics"))
    assert "mse = MSE()" in metrics and "binary_accuracy = BinaryAccuracy(0.2)" in metrics


def test_a_model_without_metrics_has_no_line_about_them(capsys) -> None:
    model = net()
    model.compile(optimizer="sgd", loss="mse")
    assert not any(line.startswith("Metrics") for line in table(model, capsys))


def test_summary_changes_nothing(capsys) -> None:
    model = net()
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    table(model, capsys)
    assert not model.built
    model.fit([[0.0, 1.0]], [[1.0]], verbose=0)
    before = model.module.state_dict(), model.module.training
    table(model, capsys)
    after = model.module.state_dict(), model.module.training
    assert before[1] == after[1]
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])


# ---- nested, shared, frozen ---------------------------------------------------------------------


def nested(device: str = "cpu") -> Model:
    model = Model(Sequential(Linear(2), Residual(Sequential(Linear(2), BatchNorm1d()))), Linear(1),
                  device=device)
    model.build((4,))
    return model


def test_what_a_container_holds_is_indented_below_it(capsys) -> None:
    lines = table(nested(), capsys)
    names = [line.split("  (")[0].rstrip() for line in lines[2:10]]
    assert names == [
        "0 Sequential",
        "  0.0 Linear(2)",
        "  0.1 Residual",
        "    0.1.body Sequential",
        "      0.1.body.0 Linear(2)",
        "      0.1.body.1 BatchNorm1d()",
        "    0.1.shortcut Identity()",
        "    0.1.merge Add()",
    ]
    assert cells(lines, "0 Sequential") == ["0 Sequential", "(N, 2)"], "its rows are below"


def test_a_folded_container_shows_the_sum_of_what_it_holds(capsys) -> None:
    lines = table(nested(), capsys, expand_nested=False)
    assert cells(lines, "0 Sequential") == ["0 Sequential", "(N, 2)", "20", "80 B"]
    assert cells(lines, "1 Linear") == ["1 Linear(1)", "(N, 1)", "3", "12 B"]
    assert not any(line.startswith(" ") for line in lines)
    assert cells(lines, "Total") == cells(table(nested(), capsys), "Total")


def test_modules_made_of_others_show_their_settings(capsys) -> None:
    model = Model(TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 2), device="cpu")
    model.build((3, 8))
    lines = table(model, capsys)
    assert cells(lines, "layers.1 Trans")[0] == "layers.1 TransformerEncoderLayer(8, 2, 16)"
    folded = table(model, capsys, expand_nested=False)
    assert folded[2].startswith("TransformerEncoder  ")
    assert cells(folded, "layers.0")[2:] == cells(folded, "layers.1")[2:] == ["600", "2.4 kB"]
    assert len(folded) < len(lines)


def test_a_shared_module_has_one_row_that_says_so(capsys) -> None:
    shared = Linear(4)
    model = Model(shared, Sequential(Tanh(), shared), device="cpu")
    model.build((4,))
    lines = table(model, capsys)
    assert cells(lines, "0 Linear")[0] == "0 Linear(4) (shared, also at 1.1)"
    assert not any(line.lstrip().startswith("1.1") for line in lines)


def test_a_module_that_a_graph_calls_twice_has_one_row_that_says_so(capsys) -> None:
    left, right = Input((3,)), Input((3,))
    eye = Linear(2)
    both = Concat()((eye(left), eye(right)))
    model = Model(Graph((left, right), {"sum": Linear(1)(both), "all": both}), device="cpu")
    model.build(((3,), (3,)))
    lines = table(model, capsys)
    assert cells(lines, "Graph") == ["Graph", "{sum: (N, 1), all: (N, 4)}"]
    assert cells(lines, "0 Linear")[0] == "0 Linear(2) (shared, called 2 times)"
    assert cells(lines, "Total") == ["Total", "13", "52 B"]


def test_a_parameter_of_two_modules_is_counted_where_it_comes_first(capsys) -> None:
    class Tied(Module):
        """Two modules with one weight."""

        def __init__(self) -> None:
            self.one, self.other = Linear(3, bias=False), Linear(3, bias=False)

        def build(self, shape):
            shape = self.other.build(self.one.build(shape))
            self.other.weight = self.one.weight
            return shape

    model = Model(Tied(), device="cpu")
    model.build((3,))
    lines = table(model, capsys)
    assert cells(lines, "one") == ["one Linear(3, bias=False)", "(N, 3)", "9", "36 B"]
    assert cells(lines, "other")[0] == "other Linear(3, bias=False) (shares one.weight)"
    assert cells(lines, "other")[2] == "0" and cells(lines, "Total")[1] == "9"


def test_the_column_of_what_is_trained_comes_when_asked_for(capsys) -> None:
    model = net()
    assert cells(table(model, capsys, show_trainable=True), "0 Linear")[-1] == "?"
    model.build((2,))
    lines = table(model, capsys, show_trainable=True)
    assert re.split(r" {2,}", lines[0])[-1] == "Trainable"
    assert cells(lines, "0 Linear")[-1] == "yes"
    model.trainable = False
    assert "Trainable" not in table(model, capsys, show_trainable=False)[0]


def test_what_is_frozen_before_build_is_shown(capsys) -> None:
    model = net()
    model.module[0].trainable = False
    lines = table(model, capsys)
    assert cells(lines, "0 Linear")[-1] == "no" and cells(lines, "3 Linear")[-1] == "?"


# ---- what is kept beside parameters -------------------------------------------------------------


def test_buffers_and_the_optimizer_are_apart_from_the_total(capsys) -> None:
    model = nested()
    before = cells(table(model, capsys), "Total")
    assert cells(table(model, capsys), "Buffers") == ["Buffers", "5", "24 B"]
    model.compile(Adam(use_ema=True), "mse")
    lines = table(model, capsys)
    assert cells(lines, "Optimizer (m, v, average)") == ["Optimizer (m, v, average)", "276 B"]
    assert cells(lines, "Total") == before == ["Total", "23", "92 B"]


def test_an_optimizer_that_keeps_nothing_or_is_not_built(capsys) -> None:
    model = net()
    model.compile("adam", "mse")
    assert cells(table(model, capsys), "Optimizer (") == ["Optimizer (m, v)", "?"]
    model.compile(SGD(), "mse")
    model.build((2,))
    assert cells(table(model, capsys), "Optimizer ") == ["Optimizer", "0 B"]


@pytest.mark.parametrize(("size", "shown"), [
    (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
    (1_234_567_890, "1.23 GB"), (5e16, "5e+04 TB"),
])
def test_bytes_have_units(size: float, shown: str) -> None:
    assert in_units(size) == shown


def test_losses_and_metrics_of_several_outputs_are_shown(capsys) -> None:
    x = Input((3,))
    model = Model(Graph(x, {"kind": Linear(3)(x), "size": Linear(1)(x)}), device="cpu")
    model.compile("sgd", {"kind": "cross_entropy", "size": "mse"}, {"kind": 0.5},
                  metrics={"kind": "accuracy"}, weighted_metrics={"size": "mae"})
    lines = table(model, capsys)
    assert "Loss: 0.5 kind: CrossEntropy() + size: MSE()" in lines
    assert "Metrics: kind_accuracy = CategoricalAccuracy(axis=1)" in lines
    assert "Weighted metrics: size_mae = MAE()" in lines


def test_a_model_with_losses_of_its_own_says_so(capsys) -> None:
    class Own(Model):
        """Trains by itself."""

        def train_step(self, x, y, sample_weight=None):
            return {"loss": torch.zeros(())}

    model = Own(Linear(1), device="cpu")
    model.compile("sgd", None)
    assert "Loss: what train_step says" in table(model, capsys)


# ---- how it is printed --------------------------------------------------------------------------


def test_each_line_goes_to_print_fn(capsys) -> None:
    lines: list[str] = []
    model = net()
    model.summary(print_fn=lines.append)
    assert capsys.readouterr().out == "" and "\n".join(lines) == summary(model)


@pytest.mark.parametrize("length", [60, 80, 100])
def test_lines_are_as_long_as_asked_for_and_nothing_is_cut_off(length: int, capsys) -> None:
    model = Model(MultiheadAttention(16, 4, out_proj_bias_regularizer="l1"),
                  Linear(3, weight_regularizer="l2", weight_constraint="nonneg"), device="cpu")
    model.build((5, 16))
    lines = table(model, capsys, line_length=length)
    assert max(map(len, lines)) <= length
    names = "".join("".join(line[: lines[0].index("Output")].split()) for line in lines)
    for module in model.layers:
        assert repr(module).replace(" ", "") in names


@pytest.mark.parametrize(("settings", "error", "message"), [
    ({"line_length": 59}, ValueError, r"line_length\) expects a whole number of at least 60;.* 59"),
    ({"line_length": "80"}, ValueError, "got '80'"),
    ({"print_fn": "print"}, TypeError, r"print_fn\) expects a function of a line; got 'print'"),
])
def test_settings_that_cannot_be_meant_are_refused(settings, error, message, capsys) -> None:
    with pytest.raises(error, match=message):
        net().summary(**settings)
    assert capsys.readouterr().out == ""
