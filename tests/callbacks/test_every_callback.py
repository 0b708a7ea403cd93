"""The one table of callbacks: every exported one, and what all of them promise."""

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import kerasish.history
import kerasish.hooks
from kerasish import Model, callbacks
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    HealthMonitor,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    NanTracer,
    ReduceLROnPlateau,
    RemoteMonitor,
    SwapEMAWeights,
    TensorBoard,
    TerminateOnNaN,
    Timing,
)
from kerasish.layers import Dropout, Linear, Tanh
from kerasish.optimizers import Adam


class Row(NamedTuple):
    """A callback as it is used, made anew for a folder of its own."""

    id: str
    make: Callable[[Path], Callback]
    batch_hooks: tuple[str, ...] = ()
    """Those that it listens to; all others must cost nothing."""
    may_log_anything: bool = False
    """It does not declare what it adds to the logs, since its functions are the user's."""
    logs_times: bool = False
    """What it logs differs from run to run."""
    evaluates_other_weights: bool = False
    """Validation then gives other values; training does not."""


ROWS = [
    Row("Callback", lambda folder: Callback()),
    Row("History", lambda folder: History()),
    Row("EarlyStopping", lambda folder: EarlyStopping(patience=2)),
    Row("EarlyStopping with everything", lambda folder: EarlyStopping(
        "val_mae", min_delta=0.01, patience=1, mode="min", baseline=0.1, restore_best_weights=True,
        start_from_epoch=1)),
    Row("BackupAndRestore", lambda folder: BackupAndRestore(folder / "backup")),
    Row("BackupAndRestore by batch", lambda folder: BackupAndRestore(folder / "backup", 2)),
    Row("TensorBoard", lambda folder: TensorBoard(folder / "runs")),
    Row("TensorBoard by batch", lambda folder: TensorBoard(folder / "runs", update_freq="batch"),
        ("on_train_batch_end",)),
    Row("TensorBoard with every page", lambda folder: TensorBoard(
        folder / "runs", write_images=True, profile_batch="2,3", embeddings_freq=1, hparams=True,
        write_mistakes=4, pr_curves=True)),
    Row("TensorBoard with histograms", lambda folder: TensorBoard(folder / "runs", 1)),
    Row("ReduceLROnPlateau", lambda folder: ReduceLROnPlateau(min_delta=0.0)),
    Row("LearningRateScheduler", lambda folder: LearningRateScheduler(lambda epoch: 0.05)),
    Row("LearningRateScheduler of two", lambda folder: LearningRateScheduler(lambda epoch, lr: lr)),
    Row("LambdaCallback", lambda folder: LambdaCallback(), may_log_anything=True),
    Row("LambdaCallback by batch", lambda folder: LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs, on_backward_end=lambda batch: batch,
        on_batch_end=lambda batch, logs: logs), ("on_backward_end",), may_log_anything=True),
    Row("TerminateOnNaN", lambda folder: TerminateOnNaN(),
        ("on_backward_end", "on_train_batch_end")),
    Row("NanTracer", lambda folder: NanTracer(folder / "nan", steps=(2, 5)),
        ("on_train_batch_begin", "on_backward_end", "on_train_batch_end")),
    Row("RemoteMonitor", lambda folder: RemoteMonitor("http://127.0.0.1:9", timeout=0.5)),
    Row("ModelCheckpoint", lambda folder: ModelCheckpoint(folder / "{epoch}.safetensors")),
    Row("ModelCheckpoint by batch", lambda folder: ModelCheckpoint(
        folder / "best.safetensors", "loss", save_best_only=True, save_weights_only=True,
        save_freq=2, keep_last=1), ("on_train_batch_end",)),
    Row("CSVLogger", lambda folder: CSVLogger(folder / "log.csv")),
    Row("CSVLogger that appends", lambda folder: CSVLogger(folder / "log.csv", ";", append=True)),
    Row("SwapEMAWeights", lambda folder: SwapEMAWeights(), evaluates_other_weights=True),
    Row("SwapEMAWeights by epoch", lambda folder: SwapEMAWeights(swap_on_epoch=True),
        evaluates_other_weights=True),
    Row("HealthMonitor", lambda folder: HealthMonitor(),
        ("on_train_batch_begin", "on_backward_end", "on_train_batch_end")),
    Row("HealthMonitor of each step", lambda folder: HealthMonitor(1, 4, samples=1),
        ("on_train_batch_begin", "on_backward_end", "on_train_batch_end")),
    Row("Timing", lambda folder: Timing(), logs_times=True),
]  # fmt: skip
BATCH_HOOKS = (
    "on_train_batch_begin", "on_backward_end", "on_train_batch_end", "on_test_batch_begin",
    "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end",
)  # fmt: skip

each = pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])


def compiled() -> Model:
    model = Model(Linear(4), Tanh(), Dropout(0.3), Linear(1), device="cpu")
    model.compile(optimizer=Adam(0.05, use_ema=True), loss="mse", metrics=["mae"])
    return model


def fit(model: Model, callback: Callback | None, **arguments):
    x = torch.linspace(-1, 1, 12).view(12, 1)
    options = {"batch_size": 5, "epochs": 5, "verbose": 0, "seed": 0} | arguments
    return model.fit(x, x.square(), validation_split=0.25, callbacks=callback, **options)


def test_every_exported_callback_has_a_row(tmp_path: Path) -> None:
    exported = {getattr(callbacks, name) for name in callbacks.__all__} - {CallbackList}
    assert {type(row.make(tmp_path)) for row in ROWS} == exported
    assert all(inspect.isclass(thing) and issubclass(thing, Callback) for thing in exported)


@each
def test_it_only_watches_what_is_trained(row: Row, tmp_path: Path) -> None:
    plain, watched = compiled(), compiled()
    whole = fit(plain, None)
    callback = row.make(tmp_path)
    seen = fit(watched, callback)
    epochs, added = len(seen.epoch), callback.adds_to_logs or ()
    history = {name: values for name, values in seen.history.items() if name not in added}
    for name, values in whole.history.items():
        if not (row.evaluates_other_weights and name.startswith("val_")):
            assert history[name] == values[:epochs]
    assert history.keys() == whole.history.keys()
    if epochs == 5 and not getattr(row.make(tmp_path), "restore_best_weights", False):
        for name, value in plain.module.state_dict().items():
            assert torch.equal(value, watched.module.state_dict()[name])


@each
def test_one_instance_serves_several_fits_and_models(row: Row, tmp_path: Path) -> None:
    callback, model = row.make(tmp_path), compiled()
    first = fit(compiled(), callback)
    second = fit(model, callback)
    assert first.epoch == second.epoch and list(first.history) == list(second.history)
    assert first.history == second.history or row.logs_times
    assert callback.model is model
    fit(model, callback, epochs=2)


@each
def test_it_listens_to_no_batch_hook_that_it_does_not_need(row: Row, tmp_path: Path) -> None:
    callback = row.make(tmp_path)
    callback.set_params({"verbose": 0})
    heard = [hook for hook in BATCH_HOOKS if callback.listens(hook)]
    assert tuple(heard) == row.batch_hooks


@each
def test_its_state_is_plain_and_comes_back(row: Row, tmp_path: Path) -> None:
    callback, other = row.make(tmp_path), row.make(tmp_path)
    assert isinstance(callback.state_dict(), dict), "before any fit, too"
    fit(compiled(), callback)
    state = callback.state_dict()
    assert all(isinstance(name, str) for name in state)
    other.set_params({"logs": ("loss", "mae", "val_loss", "val_mae")})
    other.set_model(compiled())
    other.on_train_begin({})
    other.load_state_dict(copy.deepcopy(state))
    assert repr(other.state_dict()) == repr(state)


@each
def test_closing_twice_and_without_any_fit_is_harmless(row: Row, tmp_path: Path) -> None:
    callback = row.make(tmp_path)
    callback.close()
    fit(compiled(), callback, epochs=2)
    callback.close()
    callback.close()


@each
def test_it_may_go_into_evaluate_and_predict(row: Row, tmp_path: Path) -> None:
    callback, model = row.make(tmp_path), compiled()
    x = torch.linspace(-1, 1, 12).view(12, 1)
    model.evaluate(x, x, verbose=0, callbacks=callback)
    model.predict(x, verbose=0, callbacks=callback)
    assert fit(model, callback, epochs=1).epoch == [0]


@each
def test_it_declares_what_it_adds_to_the_logs(row: Row, tmp_path: Path) -> None:
    callback, seen = row.make(tmp_path), Callback()
    seen.on_epoch_end = lambda epoch, logs: setattr(seen, "names", list(logs))
    fit(compiled(), [callback, seen], epochs=1)
    added = set(seen.names) - {"loss", "mae", "val_loss", "val_mae"}
    assert added == set(callback.adds_to_logs or ())
    declares = callback.adds_to_logs is not None
    assert declares or row.may_log_anything or type(callback) is Callback


@each
def test_it_is_documented(row: Row, tmp_path: Path) -> None:
    kind = type(row.make(tmp_path))
    assert kind.__doc__ and kind.__doc__.splitlines()[0].endswith(".")
    for name in inspect.signature(kind).parameters:
        assert f"{name}:" in kind.__doc__, f"{name} is explained"


def test_there_is_one_class_under_each_name() -> None:
    assert callbacks.Callback is kerasish.hooks.Callback
    assert callbacks.History is kerasish.history.History
    assert {cls.__module__ for cls in (EarlyStopping, TensorBoard)} == {
        "kerasish.callbacks.early_stopping", "kerasish.callbacks.tensorboard.callback",
    }  # fmt: skip
