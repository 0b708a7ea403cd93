"""A run that is over, told to other callbacks: as they would have heard of it in fit."""

import math
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TensorBoard,
)
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD
from kerasish.schedules import ExponentialDecay
from tests.callbacks.test_tensorboard_resume import points

X = torch.linspace(-1, 1, 12).view(12, 1)


def compiled() -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
    model.compile(SGD(ExponentialDecay(0.1, 4, 0.5)), "mse", metrics=["r2_score"])
    return model


def fit(*callbacks: Callback, **arguments) -> History:
    model = arguments.pop("model", None) or compiled()
    options = {"batch_size": 4, "epochs": 5, "verbose": 0, "validation_split": 0.25,
               "validation_freq": 2, "seed": 1} | arguments
    return model.fit(X, X.square(), callbacks=list(callbacks), **options)


class Hears(Callback):
    """Notes every hook of an epoch and of the run, with the logs."""

    def __init__(self, stops_after: int | None = None) -> None:
        self.heard: list[tuple] = []
        self.stops_after = stops_after

    def _note(self, hook: str, *told) -> None:
        model = self.model
        self.heard.append((hook, *told, model.epochs_trained, model.batches_trained))

    def on_train_begin(self, logs=None) -> None:
        self.heard.append(("on_train_begin", dict(logs)))

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.heard.append(("on_epoch_begin", epoch, dict(logs)))

    def on_epoch_end(self, epoch, logs=None) -> None:
        self._note("on_epoch_end", epoch, dict(logs), self.model.optimizer.learning_rate)
        self.model.stop_training |= epoch == self.stops_after

    def on_train_end(self, logs=None) -> None:
        self._note("on_train_end", dict(logs))

    def close(self) -> None:
        self.heard.append(("close",))


@pytest.mark.parametrize("initial_epoch", [0, 3])
@pytest.mark.parametrize("fits_before", [0, 1])
def test_callbacks_hear_what_they_would_have_heard(fits_before: int, initial_epoch: int) -> None:
    live, again, before = Hears(), Hears(), Callback()
    for _ in range(fits_before):
        fit(before)
    fit(live, initial_epoch=initial_epoch, model=before.model).replay(again)
    assert again.heard == live.heard and len(again.heard) == 3 + 2 * (5 - initial_epoch)


def test_files_of_a_replay_are_those_of_the_run(tmp_path: Path) -> None:
    def loggers(folder: Path) -> list[Callback]:
        return [TensorBoard(folder / "runs"), CSVLogger(folder / "log.csv")]

    history = fit(*loggers(tmp_path / "live"))
    history.save(tmp_path / "history.json")
    History.load(tmp_path / "history.json").replay(loggers(tmp_path / "again"))
    assert (tmp_path / "again" / "log.csv").read_text() == (
        tmp_path / "live" / "log.csv").read_text()
    for run in ("train", "validation"):
        expected = [point for point in points(tmp_path / "live" / "runs" / run)
                    if not point[0].startswith("evaluation_")]  # these are not told again
        assert points(tmp_path / "again" / "runs" / run) == expected and expected


def test_a_history_of_a_history_is_equal() -> None:
    first, second = fit(), History()
    first.replay(second)
    assert second.state_dict() == first.state_dict()
    before = first.state_dict()
    first.replay(first)
    assert first.state_dict() == before


@pytest.mark.parametrize("monitor", ["loss", "val_r2_score"])
def test_a_callback_may_end_it_as_it_would_have_ended_the_fit(monitor: str) -> None:
    whole, live, again = fit(epochs=30), EarlyStopping(monitor, 1e-3), EarlyStopping(monitor, 1e-3)
    stopped = fit(live, epochs=30)
    kept = History()
    whole.replay([again, kept])
    assert again.state_dict() == live.state_dict()
    assert kept.epoch == stopped.epoch


def test_stopping_is_the_flag_of_the_stand_in() -> None:
    hears = Hears(stops_after=1)
    fit().replay(hears)
    assert [hook for hook, *_ in hears.heard].count("on_epoch_end") == 2
    assert hears.heard[-2][0] == "on_train_end" and hears.heard[-2][1] == hears.heard[-3][2]


def test_what_a_replayed_callback_adds_stays_with_its_epoch() -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["added"] = epoch

    history, kept, hears = fit(), History(), Hears()
    history.replay([Adds(), kept, hears])
    assert "added" in hears.heard[-3][2] and "added" not in hears.heard[-2][1]
    assert kept.history["added"] == [0, 1, 2, 3, 4] and "added" not in history.history


def test_without_a_model_what_is_not_known_is_nan_or_counted(tmp_path: Path) -> None:
    history, hears = History(), Hears()
    history.on_epoch_end(0, {"loss": 1.0})
    history.on_epoch_end(1, {"loss": 0.5})
    history.replay(hears)
    ends = [heard for heard in hears.heard if heard[0] == "on_epoch_end"]
    assert [(epoch, trained) for _, epoch, _, _, trained, _ in ends] == [(0, 1), (1, 2)]
    assert all(math.isnan(heard[3]) for heard in ends)
    assert history.progress["learning_rate"] == [None, None]


def test_a_history_of_nothing_is_replayed_too() -> None:
    hears = Hears()
    History().replay(hears)
    assert [hook for hook, *_ in hears.heard] == ["on_train_begin", "on_train_end", "close"]


def test_callbacks_are_closed_when_one_of_them_raises() -> None:
    class Fails(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            raise ValueError("no")

    hears = Hears()
    with pytest.raises(ValueError, match="no"):
        fit().replay([hears, Fails()])
    assert hears.heard[-1] == ("close",)


@pytest.mark.parametrize(("make", "asked"), [
    (lambda folder: EarlyStopping("loss", restore_best_weights=True), "model.module"),
    (lambda folder: ModelCheckpoint(folder / "net"), "model.check_savable"),
    (lambda folder: BackupAndRestore(folder / "backup"), "model.run"),
    (lambda folder: SwapEMAWeights(), "model.optimizer.use_ema"),
], ids=["EarlyStopping", "ModelCheckpoint", "BackupAndRestore", "SwapEMAWeights"])  # fmt: skip
def test_callbacks_that_need_the_model_itself_are_refused(make, asked: str, tmp_path) -> None:
    with pytest.raises(AttributeError) as caught:
        fit().replay(make(tmp_path))
    text = str(caught.value)
    assert "History.replay(callbacks) expects callbacks that need no more of a model" in text
    assert f"asks for {asked}. Give it to fit." in text and list(tmp_path.iterdir()) == []


def test_callbacks_that_steer_are_refused_where_they_would() -> None:
    class Steers(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            self.model.optimizer.learning_rate = 0.1

    with pytest.raises(AttributeError, match=r"callbacks that only watch; .*learning_rate"):
        fit().replay(Steers())
    with pytest.raises(AttributeError, match=r"asks for model.optimizer"):
        fit(epochs=8).replay(ReduceLROnPlateau("loss", patience=1, min_delta=1e9))


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(TypeError, match="callbacks expects instances of Callback"):
        History().replay([CSVLogger])
