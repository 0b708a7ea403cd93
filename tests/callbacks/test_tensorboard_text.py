"""The text page: what is trained and how, as TensorBoard reads it."""

from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kerasish
from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.text import Text
from kerasish.insight.summary import summary
from kerasish.layers import Dropout, Linear, Tanh
from tests.callbacks.pages import events, same, state_of, tags, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.linspace(-1, 1, 12).view(12, 1)


def fit(*callbacks: Callback, model: Model | None = None, **arguments) -> Model:
    model = model or compiled()
    options = {"batch_size": 5, "epochs": 2, "verbose": 0, "seed": 3} | arguments
    model.fit(X, X.sign(), callbacks=list(callbacks), **options)
    return model


def compiled() -> Model:
    model = Model(Linear(3), Dropout(0.5), Tanh(), Linear(1), device="cpu")
    model.compile("adam", "mse", metrics=["mae"])
    return model


def texts(folder: Path) -> dict[str, str]:
    return {value.tag: value.tensor.string_val[0].decode() for _, value in events(folder)
            if value.metadata.plugin_data.plugin_name == "text"}


def lines(text: str) -> dict[str, str]:
    """The table of names and values in a text."""
    return dict(line.split(None, 1) for line in text.splitlines()[1:-1])


def test_it_holds_the_summary_as_it_is_printed(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Text()))
    found = texts(tmp_path / "train")
    assert list(found) == ["summary", "configuration", "versions"]
    assert found["summary"] == f"```\n{summary(model)}\n```"
    assert "Total" in found["summary"] and "Dropout(0.5)" in found["summary"]


def test_it_holds_how_the_model_is_compiled_and_fitted(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Text()))
    assert lines(texts(tmp_path / "train")["configuration"]) == {
        "optimizer": repr(model.optimizer), "loss": "mse", "metrics": "['mae']",
        "steps_per_execution": "1", "jit_compile": "False", "epochs": "2", "steps": "3",
        "samples": "12", "batch_size": "5", "seed": "3", "device": "cpu"}


def test_it_holds_the_versions(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Text()))
    versions = lines(texts(tmp_path / "train")["versions"])
    assert list(versions) == ["kerasish", "torch", "numpy", "python", "platform"]
    assert versions["kerasish"] == kerasish.__version__
    assert versions["torch"] == torch.__version__


def test_tensorboard_finds_the_texts(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Text()))
    accumulator = EventAccumulator(str(tmp_path / "train"))
    accumulator.Reload()
    assert set(accumulator.PluginTagToContent("text")) == {"summary", "configuration", "versions"}


def test_a_setting_of_several_lines_stays_in_its_line(tmp_path: Path) -> None:
    class Wordy(kerasish.losses.MSE):
        def __repr__(self) -> str:
            return "Wordy(\n  1)"

    model = Model(Linear(1), device="cpu")
    model.compile("sgd", Wordy())
    fit(*with_files(tmp_path, Text()), model=model)
    assert lines(texts(tmp_path / "train")["configuration"])["loss"] == "Wordy( 1)"


def test_a_second_fit_is_described_as_well_and_one_of_no_epochs_is_not(tmp_path: Path) -> None:
    page = Text()
    model = fit(*with_files(tmp_path, page))
    fit(*with_files(tmp_path, page), model=model, epochs=0)
    fit(*with_files(tmp_path, page), model=model)
    assert tags(tmp_path / "train")["summary"] == [0, 2]


def test_a_run_that_is_told_again_has_no_model_to_describe(tmp_path: Path) -> None:
    model = fit()
    model.history.replay(with_files(tmp_path, Text()))
    assert not list(tmp_path.iterdir())


def test_a_run_started_again_has_each_text_once(tmp_path: Path) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(*with_files(tmp_path / "runs", Text()), *callbacks)

    killed_and_started_again(train, tmp_path, Dies(0, batch=2), save_freq=1)
    assert set(map(tuple, tags(tmp_path / "runs" / "train").values())) == {(0,)}


def test_it_leaves_training_as_it_is(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], with_files(tmp_path, Text())):
        torch.manual_seed(0)
        states.append(state_of(fit(*callbacks)))
    assert same(*states)
