"""Timing, with a clock that a test sets."""

import csv
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, CSVLogger, EarlyStopping, LambdaCallback, Timing, timing
from kerasish.layers import Linear


class Clock:
    """Stands for `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def wait(self, seconds: float):
        def hook(*_) -> None:
            self.now += seconds

        return hook


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def fit(*callbacks: Callback, whole: bool = False, **arguments):
    model, x = Model(Linear(1), device="cpu"), torch.ones(10, 1)
    model.compile("sgd", "mse")
    options = {"x": x, "y": x, "batch_size": 4, "epochs": 2, "verbose": 0} | arguments
    history = model.fit(callbacks=list(callbacks), **options)
    return history if whole else history.history


def test_time_and_speed_of_each_epoch(clock: Clock) -> None:
    slow = LambdaCallback(on_train_batch_end=clock.wait(0.5))
    history = fit(Timing(), slow)
    assert history["seconds"] == [1.5, 1.5]
    assert history["batches_per_second"] == [2.0, 2.0]
    assert history["samples_per_second"] == pytest.approx([10 / 1.5] * 2)
    assert "validation_seconds" not in history


def test_validation_is_counted_apart(clock: Clock) -> None:
    slow = LambdaCallback(on_train_batch_end=clock.wait(0.5), on_test_batch_end=clock.wait(0.25))
    history = fit(Timing(), slow, validation_data=(torch.ones(8, 1), torch.ones(8, 1)))
    assert history["seconds"] == [1.5, 1.5] and history["validation_seconds"] == [0.5, 0.5]


def test_an_epoch_that_is_cut_short_has_the_speed_of_its_batches(clock: Clock) -> None:
    def stop(batch, logs) -> None:
        slow.model.stop_training = batch == 1

    slow = LambdaCallback(on_train_batch_begin=clock.wait(0.5), on_train_batch_end=stop)
    history = fit(Timing(), slow)
    assert history["seconds"] == [1.0] and history["batches_per_second"] == [2.0]


def test_the_rest_of_an_epoch_is_timed_where_a_run_goes_on(clock: Clock) -> None:
    callback, logs = Timing(), {}
    callback.set_model(SimpleNamespace(batches_trained=7))
    callback.set_params({"samples": 40, "steps": 10})
    callback.on_train_begin({})
    clock.now += 50.0
    callback.on_epoch_resume(0, 7)
    clock.now += 2.0
    callback.model.batches_trained += 3
    callback.on_epoch_end(0, logs)
    assert logs == {"seconds": 2.0, "batches_per_second": 1.5, "samples_per_second": 6.0}


def test_an_epoch_without_validation_has_no_time_of_one(clock: Clock) -> None:
    callback = Timing()
    callback.set_model(SimpleNamespace(batches_trained=0))
    logged = []
    for epoch in range(2):
        callback.on_epoch_begin(epoch, {})
        if epoch == 0:
            callback.on_test_begin({})
            callback.on_test_end({})
        logged.append({})
        callback.on_epoch_end(epoch, logged[-1])
    assert "validation_seconds" in logged[0] and "validation_seconds" not in logged[1]


def test_samples_of_unknown_number_are_left_out(clock: Clock) -> None:
    callback, logs = Timing(), {}
    callback.set_model(SimpleNamespace(batches_trained=0))
    callback.set_params({"samples": None, "steps": None})
    callback.on_epoch_begin(0, {})
    callback.on_epoch_end(0, logs)
    assert logs == {"seconds": 0.0, "batches_per_second": 0.0}, "no time, and no division by it"


def test_a_monitor_may_watch_it(clock: Clock) -> None:
    slow = LambdaCallback(on_train_batch_end=clock.wait(0.5))
    stop = EarlyStopping("samples_per_second", mode="max", patience=2)
    assert len(fit(Timing(), slow, stop, epochs=9)["seconds"]) == 3


def test_only_what_a_run_will_log_is_declared(clock: Clock, tmp_path: Path) -> None:
    class Sees(Callback):
        def on_train_begin(self, logs=None) -> None:
            self.names = self.params["logs"]

    def declared(**arguments) -> set[str]:
        sees = Sees()
        history = fit(Timing(), sees, CSVLogger(tmp_path / "log.csv"), **arguments)
        assert set(sees.names) == set(history)
        assert "NA" not in (tmp_path / "log.csv").read_text()
        return set(sees.names) - {"loss", "val_loss"}

    x = torch.ones(4, 1)
    always = {"seconds", "batches_per_second"}
    assert declared() == {*always, "samples_per_second"}
    assert declared(validation_data=(x, x)) == set(Timing.adds_to_logs)
    batches = itertools.repeat((x, x))
    assert declared(x=batches, y=None, batch_size=None, steps_per_epoch=2) == always


def test_a_monitor_of_validation_s_time_needs_validation() -> None:
    with pytest.raises(ValueError, match="'validation_seconds'"):
        fit(Timing(), EarlyStopping("validation_seconds", mode="min"))


def test_samples_are_known_on_average_where_an_epoch_is_no_pass(clock: Clock) -> None:
    slow = LambdaCallback(on_train_batch_end=clock.wait(0.5))
    history = fit(Timing(), slow, steps_per_epoch=6)  # of batches of 4, 4 and 2
    assert history["samples_per_second"] == pytest.approx([20 / 3.0] * 2)


def test_a_run_that_is_told_again_is_not_timed(clock: Clock, tmp_path: Path) -> None:
    slow = LambdaCallback(on_train_batch_end=clock.wait(0.5))
    plain, timed = (fit(*callbacks, whole=True) for callbacks in ([slow], [Timing(), slow]))
    for history, names in ((plain, ["loss"]), (timed, list(timed.history))):
        history.replay([Timing(), CSVLogger(tmp_path / "log.csv")])
        rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
        assert list(rows[0]) == ["epoch", *names]
        for name in names:
            assert [float(row[name]) for row in rows] == history.history[name]
