"""What Keras gets wrong, and kerasish right: one test for each entry of a list of its defects.

The first line of each test holds what Keras does. Callbacks have fuller tests of their own.
"""

import inspect
import math
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kerasish
from kerasish import Model, Module, progress
from kerasish.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ModelCheckpoint,
    SwapEMAWeights,
    TensorBoard,
)
from kerasish.layers import Linear, Tanh
from kerasish.metrics import BinaryAccuracy
from kerasish.optimizers import LAMB, SGD
from tests.callbacks.stopped import Dies, killed_and_started_again
from tests.table import numbers

X, Y = numbers(12, 2).float(), numbers(12, 1, seed=1).float()


def net(*modules: Module, optimizer: Any = "sgd", loss: Any = "mse", **settings: Any) -> Model:
    model = Model(*(modules or (Linear(1),)), device="cpu")
    model.compile(optimizer, loss, **settings)
    return model


def fit(model: Model, *callbacks: Callback, x: Any = X, y: Any = Y, **settings: Any) -> History:
    """Three batches an epoch."""
    options = {"batch_size": 4, "verbose": 0, "callbacks": list(callbacks)} | settings
    return model.fit(x, y, **options)


class Notes(Callback):
    """Keeps the epochs and batches that begin, and the loss after each batch."""

    def __init__(self) -> None:
        self.epochs, self.batches, self.losses = [], [], []

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.epochs.append(epoch)

    def on_train_batch_begin(self, batch, logs=None) -> None:
        self.batches.append(batch)

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.losses.append(logs["loss"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_01_a_later_fit_starts_at_its_first_epoch(tmp_path: Path) -> None:
    """The epoch that a backup brought back is kept, and later fits skip epochs."""
    models, notes = [], Notes()

    def train(callbacks: list[Callback]) -> None:
        models.append(net())
        fit(models[-1], *callbacks, notes, epochs=3)

    killed_and_started_again(train, tmp_path, Dies(1))
    assert notes.epochs == [0, 1, 1, 2]
    assert fit(models[-1], epochs=2).epoch == [0, 1]


def test_02_a_run_goes_on_at_its_batch_and_saves_as_often_as_asked(tmp_path: Path) -> None:
    """A restored run begins its epoch again, and `save_freq=False` saves after every batch."""
    notes = Notes()
    killed_and_started_again(
        lambda callbacks: fit(net(), notes, *callbacks), tmp_path, Dies(0, batch=1), save_freq=1)
    assert notes.batches == [0, 1, 1, 2]
    fit(net(), BackupAndRestore(tmp_path / "never", save_freq=False, delete_checkpoint=False))
    assert names(tmp_path / "never") == []


def test_03_the_best_model_may_be_looked_for_every_n_batches(tmp_path: Path) -> None:
    """ModelCheckpoint with a number as save_freq and save_best_only fails in the first epoch."""
    notes = Notes()
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}", "loss", save_best_only=True,
                                 save_freq=2)
    fit(net(), notes, checkpoint, epochs=4)
    assert checkpoint.best == min(notes.losses[1::2])
    assert checkpoint.best_path and Path(checkpoint.best_path).exists()


def test_04_an_epoch_without_the_monitor_saves_no_best_model(tmp_path: Path) -> None:
    """Where the monitor is missing, each epoch is saved as best."""
    best = ModelCheckpoint(tmp_path / "{epoch}", save_best_only=True)
    fit(net(optimizer=SGD(0.0)), best, epochs=5, validation_split=0.25, validation_freq=2)
    assert names(tmp_path) == ["2"]
    with pytest.raises(ValueError, match=r"ModelCheckpoint\(monitor\) .* got 'val_loss'"):
        fit(net(), best)


def test_05_predict_leaves_the_weights_where_averages_were_put_in() -> None:
    """SwapEMAWeights leaves the averages in the model after predict."""
    model = net(optimizer=SGD(0.1, use_ema=True))
    for _ in range(2):
        model.train_on_batch(X, Y)
    before = model.predict(X, verbose=0)
    of_averages = model.predict(X, verbose=0, callbacks=SwapEMAWeights())
    assert not np.array_equal(of_averages, before)
    assert np.array_equal(model.predict(X, verbose=0), before)


def test_06_rows_are_added_only_under_the_header_that_they_have(tmp_path: Path) -> None:
    """CSVLogger(append=True) writes rows that do not match the header of the file."""
    path = tmp_path / "log.csv"
    path.write_text("epoch,accuracy,loss\n0,0.5,1.0\n")
    with pytest.raises(ValueError, match=r"got .*log.csv' with 'epoch,accuracy,loss'. Choose"):
        fit(net(), CSVLogger(path, append=True))
    model = net(loss="bce", metrics=["accuracy"])
    logs = fit(model, CSVLogger(path, append=True), y=(Y > 0).float()).history
    assert path.read_text().splitlines()[2] == f"0,{logs['accuracy'][0]},{logs['loss'][0]}"


def test_07_the_order_of_samples_follows_the_seed() -> None:
    """Arrays are shuffled in the same order in each fit, whatever the seed."""

    class Order(Model):
        def train_step(self, x, y, sample_weight=None):
            self.seen += x.flatten().tolist()
            return super().train_step(x, y, sample_weight)

    def order(epoch: int = 0, **seed: int) -> list[float]:
        model.seen = []
        fit(model, x=np.arange(12.0)[:, None], initial_epoch=epoch, epochs=epoch + 1, **seed)
        return model.seen

    model = Order(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    assert order(seed=1) == order(seed=1)
    different = [order(seed=1), order(epoch=1, seed=1), order(seed=2), order(), order()]
    assert len(set(map(tuple, different))) == 5


def test_08_evaluate_gives_each_value_once() -> None:
    """Metrics of one name come twice: 4 values for 3 quantities."""
    model = net(metrics=["mae"], weighted_metrics=["mae"])
    weights = np.arange(12.0)
    values = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert len(set(values)) == len(values) == 3
    assert model.metrics_names == ["loss", "mae", "weighted_mae"]
    by_name = model.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    assert by_name == dict(zip(model.metrics_names, values, strict=True))


def test_09_what_is_not_there_is_named_or_empty() -> None:
    """Evaluate before compile, no optimizer and predict of nothing fail with internal errors."""
    with pytest.raises(RuntimeError, match=r"^Model.evaluate expects a compiled model; got one"):
        Model(Linear(1), device="cpu").evaluate(X, Y)
    with pytest.raises(TypeError, match=r"^compile\(optimizer\) expects a name, .*; got None. Wr"):
        net(optimizer=None)
    with pytest.raises(ValueError, match=r"^predict\(x\) expects at least one batch; got a gen"):
        net().predict(batch for batch in [])
    assert net(Linear(3)).predict(X[:0], verbose=0).shape == (0, 3)


def test_10_a_layer_that_is_frozen_stays_as_it_is_at_once() -> None:
    """Freezing after compile works at once, though the documentation says that it does not."""
    model = net(Linear(3), Tanh(), Linear(1))
    fit(model)
    model.get_layer("0").trainable = False
    before = model.get_weights()
    fit(model)
    same = [np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]
    for documented in (Model.trainable, Module.trainable):
        assert "takes effect at once" in str(documented.__doc__)


def test_11_ce_is_a_metric_as_documented() -> None:
    """metrics=['ce'] is documented and refused."""
    model = net(Linear(3), loss="ce", metrics=["ce"])
    values = model.evaluate(X, torch.arange(12) % 3, verbose=0, return_dict=True)
    assert list(values) == ["loss", "ce"] and values["ce"] == pytest.approx(values["loss"])


def test_11_lamb_is_found_by_its_name() -> None:
    """The class is exported, and its name refused."""
    assert [type(net(optimizer=name).optimizer) for name in ("lamb", "LAMB", "Lamb")] == [LAMB] * 3


def test_11_every_argument_that_is_documented_exists() -> None:
    """`count_mode` of the progress bar is documented and not there."""

    def unknown(cls: type) -> Iterator[str]:
        documented = str(cls.__doc__).partition("\n    Args:\n")[2].split("\n\n")[0]
        for line in re.findall(r"^ {8}(\w+(?:, \w+)*): ", documented, re.MULTILINE):
            for name in set(line.split(", ")) - set(inspect.signature(cls).parameters):
                yield f"{cls.__name__}({name})"

    places = [getattr(kerasish, name) for name in kerasish.__all__]
    classes = {value for place in [kerasish, *filter(inspect.ismodule, places)]
               for value in vars(place).values() if isinstance(value, type)}
    assert len(classes) > 150
    assert [name for cls in classes for name in unknown(cls)] == []


def test_12_weights_belong_to_samples_where_there_are_as_many_time_steps() -> None:
    """Weights (N,) hit the time steps when there are N of them, and the metric disagrees."""
    x, y, weights = numbers(5, 5, 2).float(), numbers(5, 5, 1, seed=1).float(), np.arange(5.0)
    model = net(weighted_metrics=["mse"])
    each = ((model.predict(x, verbose=0) - y.numpy()) ** 2).mean((1, 2))
    loss, metric = model.evaluate(x, y, sample_weight=weights, verbose=0)
    assert loss == pytest.approx((each * weights).mean(), rel=1e-5)
    assert metric == pytest.approx((each * weights).sum() / weights.sum(), rel=1e-5)


def test_13_nothing_is_broadcast_and_accuracy_is_that_of_the_loss() -> None:
    """Targets (N, 3) for outputs (N, 1) are taken; several labels are scored as classes."""
    with pytest.raises(ValueError, match=r"y_true in the shape of y_pred, \(12, 1\); got \(12, 3"):
        net().evaluate(X, Y.expand(12, 3), verbose=0)
    model, labels = net(Linear(3), loss="bce", metrics=["accuracy"]), numbers(12, 3, seed=2) > 0
    _, accuracy = model.evaluate(X, labels, verbose=0)
    assert isinstance(model.metrics["accuracy"], BinaryAccuracy)
    said = model.predict(X, verbose=0) > 0  # they are logits
    assert accuracy == pytest.approx((said == labels.numpy()).mean())


def test_14_history_has_a_value_for_each_of_its_epochs() -> None:
    """Where data run out, epochs are listed that logged nothing."""
    model, batches = net(), list(zip(X.split(4), Y.split(4), strict=True))
    history = fit(model, x=batches, y=None, batch_size=None, epochs=3, steps_per_epoch=2)
    assert history.epoch == [0, 1, 2] and len(history.history["loss"]) == 3
    with pytest.raises(ValueError, match=r"expects batches for all epochs and steps.*after 3 batc"):
        fit(model, x=iter(batches), y=None, batch_size=None, epochs=3, steps_per_epoch=2)
    assert model.history.epoch == [0] and len(model.history.history["loss"]) == 1


def test_15_an_error_in_a_schedule_comes_through() -> None:
    """A TypeError of the schedule's own is taken for a wrong number of arguments."""
    for schedule in (lambda epoch, rate: rate + "1", lambda epoch: epoch + "1"):
        with pytest.raises(TypeError, match=r"^unsupported operand type\(s\) for \+"):
            fit(net(), LearningRateScheduler(schedule))


def test_16_a_first_value_that_is_nan_is_improved_upon() -> None:
    """Nothing is ever better than a first NaN, and training stops though it gets better."""
    values = [math.nan, 3.0, 2.0, 1.0]

    class Logs(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["own"] = values[epoch]

    stopping = EarlyStopping("own", patience=1, mode="min")
    assert fit(net(), Logs(), stopping, epochs=4).epoch == [0, 1, 2, 3]
    assert stopping.best == 1.0


def test_17_micro_batches_that_are_left_over_are_used() -> None:
    """Gradients that wait for more when fit ends are dropped."""
    trained = []
    for settings, size in (({}, 12), ({"gradient_accumulation_steps": 4}, 4)):
        model = net(optimizer=SGD(0.5, **settings))
        fit(model, batch_size=size, seed=1)
        trained.append(model.get_weights())
    for whole, parts in zip(*trained, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_18_tensorboard_needs_no_tensorflow_and_its_steps_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it comes, TensorBoard needs TensorFlow; its steps begin again with each fit."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # an import of it fails
    model = net()
    for _ in range(2):
        fit(model, TensorBoard(tmp_path), epochs=2)
    events = EventAccumulator(str(tmp_path / "train"))
    events.Reload()
    assert [event.step for event in events.Scalars("epoch_loss")] == [0, 1, 2, 3]


def test_19_off_a_terminal_there_are_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log file is full of returns, backspaces and colours."""
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)  # a bar, if there is one, shows each batch
    fit(net(), epochs=3, verbose=1)
    lines = capsys.readouterr().out.split("\n")
    assert [line[:9] for line in lines] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3", ""]
    assert all(line.isprintable() for line in lines)


def test_20_ctrl_c_keeps_the_epoch_and_ends_training_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The epoch is not in History, and callbacks are not told of the end."""

    class Presses(Callback):
        ended = False

        def on_train_batch_end(self, batch, logs=None) -> None:
            if self.model.batches_trained == 4:
                signal.raise_signal(signal.SIGINT)

        def on_train_end(self, logs=None) -> None:
            self.ended = True

    before, presses = signal.signal(signal.SIGINT, signal.default_int_handler), Presses()
    try:
        history = fit(net(), presses, epochs=9)
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.epoch == [0, 1] and len(history.history["loss"]) == 2 and presses.ended
    assert "Ctrl-C again" in capsys.readouterr().err
