"""The table that summary prints: of a model that is not built, built, compiled, partly frozen."""

import re

import pytest
import torch

from kerasish import Model, Module, Parameter, Sequential
from kerasish.layers import Dropout, Flatten, Linear, ReLU, Tanh
from kerasish.metrics import BinaryAccuracy
from kerasish.optimizers import Adam


def table(model: Model, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that summary prints, without spaces at their ends."""
    assert model.summary() is None
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("\n")
    assert all(line == line.rstrip() for line in out.splitlines())
    return out.splitlines()


def cells(lines: list[str], start: str) -> list[str]:
    """The columns of the one line that begins like this."""
    (line,) = (line for line in lines if line.startswith(start))
    return re.split(r" {2,}", line)


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
    assert cells(lines, "0 Linear") == ["0 Linear(25)", "(N, 25)", "75", "300"]
    assert cells(lines, "1 ReLU") == ["1 ReLU()", "(N, 25)", "0", "0"]
    assert cells(lines, "3 Linear") == ["3 Linear(1, bias=False)", "(N, 1)", "25", "100"]
    assert cells(lines, "Total") == ["Total", "100", "400"]


def test_large_numbers_have_separators_and_columns_are_aligned(capsys) -> None:
    model = Model(Flatten(), Linear(1000), Linear(7), device="cpu")
    model.build((1, 28, 28))
    lines = table(model, capsys)
    assert cells(lines, "1 Linear") == ["1 Linear(1000)", "(N, 1000)", "785,000", "3,140,000"]
    assert cells(lines, "Total") == ["Total", "792,007", "3,168,028"]
    rows = [line for line in lines if re.match(r"\d |Total", line)]
    assert len({len(line) for line in rows}) == 1, "numbers end in one column"


def test_bytes_follow_the_type(capsys) -> None:
    model = Model(Linear(3, dtype=torch.float64), device="cpu")
    model.build((1,))
    assert cells(table(model, capsys), "Total") == ["Total", "6", "48"]


def test_nested_modules_are_shown_by_their_paths(capsys) -> None:
    model = Model(Sequential(Linear(2), Sequential(ReLU(), Linear(3))), device="cpu")
    model.build((4,))
    lines = table(model, capsys)
    assert cells(lines, "1.1 Linear(3)") == ["1.1 Linear(3)", "(N, 3)", "9", "36"]
    assert cells(lines, "Total") == ["Total", "19", "76"]


def test_a_shared_module_is_counted_once(capsys) -> None:
    shared = Linear(4)
    model = Model(shared, Tanh(), shared, device="cpu")
    model.build((4,))
    assert cells(table(model, capsys), "Total") == ["Total", "20", "80"]


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
    assert cells(lines, "Total") == ["Total", "23", "92"]
    rows = [re.split(r" {2,}", line) for line in lines if re.match(r"\d", line)]
    assert sum(int(row[2]) for row in rows) == 23 and sum(int(row[3]) for row in rows) == 92


def test_a_single_module_is_a_model_too(capsys) -> None:
    model = Model(Linear(3), device="cpu")
    model.build((2,))
    assert cells(table(model, capsys), "Linear(3)") == ["Linear(3)", "(N, 3)", "9", "36"]


def test_frozen_parameters_are_told_apart(capsys) -> None:
    model = net()
    model.build((2,))
    assert not any("Trainable" in line for line in table(model, capsys)), "all of them are trained"
    for parameter in model.module[0].parameters():
        parameter.trainable = False
    lines = table(model, capsys)
    assert cells(lines, "Total")[1] == "100"
    assert any(re.search(r"Trainable: 25\b", line) for line in lines)


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
