"""The HPARAMS dashboard: settings, how runs ended, and their final values."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from kerasish import Model
from kerasish.callbacks import Callback, TerminateOnNaN
from kerasish.callbacks.tensorboard.hparams import HParams
from kerasish.layers import Dropout, Linear, Tanh
from kerasish.optimizers import SGD
from tests.callbacks.pages import events, same, state_of, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.linspace(-1, 1, 12).view(12, 1)
SUCCESS, FAILURE = 1, 2


def fit(*callbacks: Callback, x=X, **arguments) -> Model:
    model = Model(Linear(3), Dropout(0.5), Tanh(), Linear(1), device="cpu")
    model.compile(SGD(0.25), "mse", metrics=["mae"])
    options = {"batch_size": 5, "epochs": 2, "verbose": 0, "seed": 3} | arguments
    model.fit(x, X.sign(), callbacks=list(callbacks), **options)
    return model


class Row:
    """What the dashboard finds of a run."""

    def __init__(self, folder: Path) -> None:
        self.settings, self.statuses, self.final, self.starts = {}, [], {}, 0
        for step, value in events(folder / "hparams"):
            content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            if value.tag == "_hparams_/session_start_info":
                self.starts += 1
                for name, each in content.session_start_info.hparams.items():
                    self.settings[name] = getattr(each, each.WhichOneof("kind"))
            elif value.tag == "_hparams_/session_end_info":
                self.statuses.append(content.session_end_info.status)
            else:
                self.final[value.tag] = step, value.tensor.float_val[0]


SETTINGS = {"rate": 0.5, "units": 3, "wide": True, "name": "a"}


def test_settings_keep_their_kinds(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, HParams({**SETTINGS, "epsilon": np.float32(0.5)})))
    row = Row(tmp_path)
    assert row.settings == {**SETTINGS, "epsilon": 0.5} and row.settings["wide"] is True
    assert row.starts == 1 and row.statuses == [SUCCESS]


def test_true_stands_for_what_runs_are_compared_by(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, HParams(True)))
    assert Row(tmp_path).settings == {
        "optimizer": "SGD", "learning_rate": 0.25, "batch_size": 5, "loss": "MSE"}


def test_final_values_are_those_of_the_last_epoch(tmp_path: Path) -> None:
    history = fit(*with_files(tmp_path, HParams(SETTINGS)), validation_data=(X, X)).history.history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    assert Row(tmp_path).final == {
        f"final/{name}": (1, pytest.approx(values[-1])) for name, values in history.items()}


class Fails(Callback):
    def on_epoch_begin(self, epoch, logs=None) -> None:
        if epoch == 1:
            raise OSError("no")


class Interrupts(Callback):
    def on_train_batch_end(self, batch, logs=None) -> None:
        self.model.interrupted = True


def test_a_run_that_fails_is_told_as_failed_with_its_latest_values(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        fit(*with_files(tmp_path, HParams(SETTINGS)), Fails())
    row = Row(tmp_path)
    assert row.statuses == [FAILURE]
    assert {tag: step for tag, (step, _) in row.final.items()} == {"final/loss": 0, "final/mae": 0}


@pytest.mark.parametrize(("callback", "x"), [(Interrupts(), X), (TerminateOnNaN(), X * math.nan)],
                         ids=["interrupted", "diverged"])
def test_a_run_that_ends_early_is_told_as_failed(callback, x, tmp_path: Path) -> None:
    fit(*with_files(tmp_path, HParams(SETTINGS)), callback, x=x)
    assert Row(tmp_path).statuses == [FAILURE]


def test_numbers_that_callbacks_log_are_final_values_too(tmp_path: Path) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs |= {"tensor": torch.tensor(1.5), "note": "3"}

    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0, callbacks=[Adds(), *with_files(tmp_path, HParams(SETTINGS))])
    assert Row(tmp_path).final["final/tensor"] == (0, 1.5)
    assert "final/note" not in Row(tmp_path).final


def test_a_run_that_ends_before_its_first_epoch_is_no_row(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, HParams(SETTINGS)), epochs=0)
    fit().history.replay(with_files(tmp_path, HParams(SETTINGS)))
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of packages within tensorboard
def test_the_dashboard_compares_runs_below_a_folder(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    losses = {}
    for run, epochs in (("a", 1), ("b", 3)):
        model = fit(*with_files(tmp_path / run, HParams({"epochs": epochs})), epochs=epochs)
        losses[f"{run}/hparams"] = float(epochs), pytest.approx(model.history.history["loss"][-1])
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    board = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path)))
    every = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN]
    request = api_pb2.ListSessionGroupsRequest(allowed_statuses=every, slice_size=9)
    groups = Handler(RequestContext(), Context(board), "", request).run().session_groups
    found = {}
    for group in groups:
        metrics = {each.name.tag: each.value for each in group.metric_values}
        assert group.sessions[0].status == SUCCESS and set(metrics) == {"final/loss", "final/mae"}
        found[group.name] = group.hparams["epochs"].number_value, metrics["final/loss"]
    assert found == losses


@pytest.mark.parametrize(("hparams", "error", "message"), [
    ("lr", TypeError, "expects a dict of settings, True or None; got 'lr'"),
    (False, TypeError, "expects a dict of settings, True or None; got False"),
    ({}, ValueError, "expects settings in the dict; got none. True writes the optimizer"),
    ({1: 2}, TypeError, "expects names as keys; got 1. Write a word."),
    ({"": 2}, TypeError, "expects names as keys; got ''"),
    ({"a": None}, TypeError, "for 'a', expects a bool, a number or a text; got None"),
    ({"a": [1]}, TypeError, r"for 'a', expects a bool, a number or a text; got \[1\]"),
    ({"a": math.nan}, ValueError, "for 'a', expects a finite number; got nan. Write it as a text"),
])
def test_what_cannot_be_shown_is_refused(hparams, error, message) -> None:
    with pytest.raises(error, match=rf"^TensorBoard\(hparams\).* ?{message}"):
        HParams(hparams)


def test_it_leaves_training_as_it_is(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], with_files(tmp_path, HParams(True))):
        torch.manual_seed(0)
        states.append(state_of(fit(*callbacks)))
    assert same(*states)


class DiesAtTheEnd(Callback):
    def on_train_end(self, logs=None) -> None:
        raise SystemExit


@pytest.mark.parametrize("dies", [Dies(0), Dies(1, batch=1), Dies(1), DiesAtTheEnd()],
                         ids=["after an epoch", "within one", "after the last", "at the end"])
def test_a_run_started_again_is_one_row_that_succeeded(dies, tmp_path: Path) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(*with_files(tmp_path / "runs", HParams(SETTINGS)), *callbacks)

    killed_and_started_again(train, tmp_path, dies)
    row = Row(tmp_path / "runs")
    assert row.settings == SETTINGS and row.starts == 1 and row.statuses == [SUCCESS]
    assert {step for step, _ in row.final.values()} == {1} and len(row.final) == 2


@pytest.mark.parametrize(("hparams", "message"), [
    ({"a": 10**400}, r"for 'a', expects a finite number; got an int of 1,329"),
    ({"a": "x\ud800"}, r"for 'a', expects a text that can be written as UTF-8; got 'x\\ud800'"),
    ({"\ud800": 1}, r"hparams\) expects a text that can be written as UTF-8; got '\\ud800'"),
], ids=["huge", "text", "name"])  # fmt: skip
def test_what_cannot_be_written_is_refused_before_training(hparams, message) -> None:
    with pytest.raises(ValueError, match=message):
        HParams(hparams)
