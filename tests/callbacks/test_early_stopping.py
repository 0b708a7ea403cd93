"""EarlyStopping, driven by written logs, and then in a fit."""

import math
from types import SimpleNamespace

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, EarlyStopping
from kerasish.layers import Linear, Tanh
from kerasish.metrics import MAE, BinaryAccuracy
from kerasish.optimizers import SGD

NAN = float("nan")


class Weights:
    """Stands for a module: one number that a test sets to the number of the epoch."""

    def __init__(self) -> None:
        self.epoch = -1.0

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"weight": torch.tensor(self.epoch)}

    def load_state_dict(self, state) -> None:
        self.epoch = float(state["weight"])


def begin(stopper: EarlyStopping, metrics: dict | None = None) -> SimpleNamespace:
    """Tells a stopper that a fit begins; the model that it gets to see."""
    model = SimpleNamespace(stop_training=False, metrics=metrics or {}, module=Weights())
    stopper.set_model(model)
    stopper.set_params({"logs": ("loss", "val_loss", *model.metrics), "open": False})
    stopper.on_train_begin({})
    return model


def drive(stopper: EarlyStopping, values, first: int = 0, metrics: dict | None = None):
    """Feeds values epoch by epoch until training stops: the epochs run, and the model."""
    model, epochs = begin(stopper, metrics), []
    for epoch, value in enumerate(values, first):
        epochs.append(epoch)
        model.module.epoch = float(epoch)
        stopper.on_epoch_end(epoch, {stopper.monitor: value})
        if model.stop_training:
            break
    stopper.on_train_end({})
    return len(epochs), model


@pytest.mark.parametrize(
    ("arguments", "values", "run"),
    [
        ({}, [5, 4, 3, 2, 1], 5),
        ({}, [5, 4, 4, 3], 3),
        ({"patience": 0}, [5, 6], 2),
        ({"patience": 1}, [5, 6, 1], 2),
        ({"patience": 2}, [5, 6, 7, 1], 3),
        ({"patience": 3}, [5, 6, 7, 8, 9], 4),
        ({"patience": 2}, [5, 6, 4, 6, 6, 1], 5),
        ({"patience": 3}, [10, 9, 8, 9, 9, 9, 9], 6),
        ({"patience": 1}, [10, 9, 8, 9, 9], 4),
        ({"patience": 0}, [10, 9, 8, 9, 9], 4),
        ({"patience": 2}, [5, 5, 5, 5], 3),
    ],
    ids=["falls all the time", "the first stall", "patience 0 stops at once", "1 is the same", "2",
         "3", "an improvement starts the count anew", "Keras' own table, 3", "and 1", "and 0",
         "flat"],
)  # fmt: skip
def test_patience_counts_epochs_without_a_better_value(arguments, values, run: int) -> None:
    stopper = EarlyStopping(**arguments)
    trained, model = drive(stopper, values)
    assert trained == run and model.stop_training == (run < len(values) or values == [5, 6])
    assert stopper.stopped_epoch == (run - 1 if model.stop_training else 0)


def test_epoch_0_never_stops() -> None:
    assert drive(EarlyStopping(patience=0), [NAN, 1.0])[0] == 2


@pytest.mark.parametrize(
    ("mode", "values", "run", "best"),
    [
        ("min", [3, 2, 1, 2], 4, 1.0),
        ("max", [1, 2, 3, 2], 4, 3.0),
        ("max", [3, 2, 1], 2, 3.0),
        ("auto", [3, 2, 1, 2], 4, 1.0),
        ("min", [-1, -2, -1], 3, -2.0),
        ("max", [-3, -2, -4], 3, -2.0),
        ("min", [math.inf, 5, 6], 3, 5.0),
        ("max", [-math.inf, 5, 4], 3, 5.0),
    ],
    ids=["down", "up", "up means up", "a loss by itself", "below zero", "below zero, up",
         "from infinity", "from minus infinity"],
)  # fmt: skip
def test_better_means_lower_or_higher(mode, values, run, best) -> None:
    stopper = EarlyStopping(mode=mode)
    assert drive(stopper, values)[0] == run and stopper.best == best


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [(BinaryAccuracy(), [0.1, 0.5, 0.4], 0.5), (MAE(), [3.0, 2.0, 2.5], 2.0)],
    ids=["up", "down"],
)
@pytest.mark.parametrize("prefix", ["", "val_"])
def test_mode_auto_asks_the_metric(metric, values, best, prefix: str) -> None:
    stopper = EarlyStopping(f"{prefix}mine")
    assert drive(stopper, values, metrics={"mine": metric, "val_mine": None})[0] == 3
    assert stopper.best == best


@pytest.mark.parametrize(
    ("mode", "values", "run"),
    [
        ("min", [1.0, 0.95, 0.91], 3),
        ("min", [1.0, 0.89, 0.80, 0.70], 4),
        ("min", [1.0, 0.875, 0.75], 3),
        ("max", [1.0, 1.05, 1.09], 3),
        ("max", [1.0, 1.2, 1.4, 1.6], 4),
    ],
    ids=["too little", "enough only against the best", "exactly", "too little, up", "enough, up"],
)
def test_min_delta_is_the_least_change_that_counts(mode, values, run) -> None:
    stopper = EarlyStopping(mode=mode, min_delta=0.1, patience=2)
    assert drive(stopper, values)[0] == run


def test_a_change_of_exactly_min_delta_does_not_count() -> None:
    stopper = EarlyStopping(min_delta=0.25, patience=2)
    assert drive(stopper, [1.0, 0.75, 0.75, 0.5])[0] == 3 and stopper.best == 1.0


def test_the_baseline_of_keras_own_test() -> None:
    stopper = EarlyStopping(baseline=0.5, patience=5, restore_best_weights=True)
    run, model = drive(stopper, [0.9, 0.8, 0.7, 0.71, 0.72, 0.73])
    assert run == 5 and stopper.best_epoch == 2 and model.module.epoch == 2


@pytest.mark.parametrize(
    ("mode", "values", "patience", "run"),
    [
        ("min", [0.9, 0.8, 0.7, 0.6, 0.61], 2, 5),
        ("min", [0.9, 0.4, 0.45, 0.45, 0.3], 2, 4),
        ("min", [0.9, 0.91, 0.4, 0.41, 0.42], 3, 5),
        ("max", [0.1, 0.2, 0.15, 0.9], 2, 3),
    ],
    ids=["improving does not count unless it beats it", "beaten once", "beaten late", "up"],
)
def test_only_beating_the_baseline_starts_the_count_anew(mode, values, patience, run) -> None:
    assert drive(EarlyStopping(mode=mode, baseline=0.5, patience=patience), values)[0] == run


def test_an_improving_epoch_never_stops_however_long_the_wait() -> None:
    stopper = EarlyStopping(baseline=0.0, patience=1)
    assert drive(stopper, [9, 8, 7, 6, 5, 4])[0] == 6 and stopper.wait == 6


@pytest.mark.parametrize(("start", "run"), [(0, 2), (1, 3), (3, 5), (9, 6)], ids=str)
def test_epochs_before_start_from_epoch_are_not_looked_at(start: int, run: int) -> None:
    stopper = EarlyStopping(start_from_epoch=start)
    assert drive(stopper, [1, 2, 3, 4, 5, 6])[0] == run
    assert stopper.best == (None if start == 9 else start + 1)


def test_a_fit_that_begins_later_counts_epochs_by_their_numbers() -> None:
    stopper = EarlyStopping(start_from_epoch=11, patience=2)
    assert drive(stopper, [1, 2, 3, 4, 5], first=10)[0] == 4 and stopper.stopped_epoch == 13


# ---- NaN ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "run", "best"),
    [
        ([NAN, 3, 2, 1, 0], 5, 0),
        ([NAN, NAN, NAN], 2, None),
        ([3, NAN, 2, NAN, 1], 5, 1),
        ([3, NAN, NAN, NAN], 3, 3),
    ],
    ids=["first, then improving", "only", "between", "later"],
)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_an_improvement(values, run, best, mode) -> None:
    sign = 1 if mode == "min" else -1
    stopper = EarlyStopping(mode=mode, patience=2, restore_best_weights=True)
    if best is None:
        stopper.patience = 1
    assert drive(stopper, [sign * value for value in values])[0] == run
    assert stopper.best == (None if best is None else sign * best)


def test_without_any_good_epoch_there_is_nothing_to_restore() -> None:
    stopper = EarlyStopping(restore_best_weights=True)
    assert drive(stopper, [NAN, NAN])[1].module.epoch == 1 and stopper.best_weights is None


# ---- restoring ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restore", "values", "kept"),
    [(True, [3, 1, 2, 2], 1), (True, [3, 2, 1], 2), (True, [1, 2, 3], 0), (False, [3, 1, 2], 2)],
    ids=["stopped", "ended by itself at the best", "the first is best", "not asked to"],
)
def test_the_weights_of_the_best_epoch_are_restored(restore, values, kept: int) -> None:
    stopper = EarlyStopping(restore_best_weights=restore, patience=2)
    assert drive(stopper, values)[1].module.epoch == kept
    assert (stopper.best_weights is not None) == restore


def test_weights_are_restored_when_training_ends_before_patience_does() -> None:
    stopper = EarlyStopping(restore_best_weights=True, patience=99)
    run, model = drive(stopper, [3, 1, 2, 2])
    assert run == 4 and model.module.epoch == 1 and not model.stop_training


def test_running_state_is_made_anew_in_each_fit() -> None:
    stopper = EarlyStopping(patience=2, restore_best_weights=True)
    first = drive(stopper, [1.0, 2.0, 3.0])[0]
    begin(stopper)
    assert stopper.best is None and stopper.best_weights is None
    assert stopper.best_epoch == stopper.wait == stopper.stopped_epoch == 0
    assert first == 3 and drive(stopper, [9.0, 8.0, 9.0, 7.0])[0] == 4, "better than in this fit"


# ---- what is said -------------------------------------------------------------------------------


def test_it_says_when_it_stops_and_what_it_restores(capsys: pytest.CaptureFixture[str]) -> None:
    drive(EarlyStopping(verbose=1, patience=2, restore_best_weights=True), [2, 1, 3, 3])
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 2
    assert "Epoch 4: early stopping" in said.err and "best epoch: 2" in said.err


def test_it_says_nothing_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    drive(EarlyStopping(patience=2, restore_best_weights=True), [2, 1, 3, 3])
    assert capsys.readouterr() == ("", "")


# ---- the monitor --------------------------------------------------------------------------------


def complaint(stopper: EarlyStopping, logs: tuple[str, ...], **params) -> str:
    stopper.set_model(SimpleNamespace(metrics={}))
    stopper.set_params({"logs": logs, **params})
    with pytest.raises(ValueError) as caught:
        stopper.on_train_begin({})
    return str(caught.value)


def test_a_monitor_that_cannot_exist_is_named_with_the_nearest_names() -> None:
    message = complaint(EarlyStopping("val_los"), ("loss", "val_loss"), open=False)
    assert "EarlyStopping(monitor)" in message and "'val_los'" in message
    assert "Did you mean 'val_loss'" in message and "validation_data" not in message


def test_a_monitor_that_needs_validation_data_says_so() -> None:
    message = complaint(EarlyStopping(), ("loss", "accuracy"), open=False)
    assert "'val_loss'" in message and "validation_data or validation_split" in message


def test_a_monitor_with_nothing_near_is_told_all_names() -> None:
    message = complaint(EarlyStopping("f1"), ("loss", "accuracy"), open=False)
    assert "'accuracy'" in message and "'loss'" in message


@pytest.mark.parametrize("metric", [None, SimpleNamespace(higher_is_better=None)],
                         ids=["no metric of the model", "a metric that does not say"])
def test_a_direction_that_is_not_known_is_asked_for(metric) -> None:
    stopper = EarlyStopping("mine")
    metrics = {"mine": metric} if metric else {}
    stopper.set_model(SimpleNamespace(metrics=metrics, metrics_names=["loss", *metrics]))
    stopper.set_params({"logs": ("loss", "mine")})
    with pytest.raises(ValueError, match=r"mode='auto'.*'mine'.*mode='max' or mode='min'"):
        stopper.on_train_begin({})


def test_a_monitor_that_an_earlier_callback_may_log_is_looked_for_after_the_first_epoch() -> None:
    stopper = EarlyStopping("f1", mode="max")
    stopper.set_model(SimpleNamespace(metrics={}))
    stopper.set_params({"logs": ("loss",), "open": True})
    stopper.on_train_begin({})
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor\).*'f1'"):
        stopper.on_epoch_end(0, {"loss": 1.0})


def test_a_value_that_is_no_number_is_refused() -> None:
    stopper = EarlyStopping("confusion", mode="max")
    begin(stopper, {"confusion": None})
    stopper.params["logs"] = ("confusion",)
    for value in (torch.zeros(2, 2), torch.zeros(2, 2).numpy(), [1, 2], "high"):
        with pytest.raises(ValueError, match=r"\(monitor\).*one number; got .confusion."):
            stopper.on_epoch_end(0, {"confusion": value})


def test_a_value_may_be_any_number() -> None:
    stopper = EarlyStopping()
    assert drive(stopper, [torch.tensor(3.0), torch.tensor(2.0), 5])[0] == 3
    assert stopper.best == 2.0 and type(stopper.best) is float


# ---- its state ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 8))
def test_its_state_goes_into_another_one_in_the_middle_of_a_run(cut: int) -> None:
    values = [9.0, NAN, 5.0, 6.0, 4.0, 5.0, 5.0, 5.0]
    whole, first, second = (EarlyStopping(patience=3, restore_best_weights=True) for _ in range(3))
    assert drive(whole, values)[0] == 8
    model, goes_on = begin(first), begin(second)
    for epoch, value in enumerate(values):
        stopper, trained = (first, model) if epoch < cut else (second, goes_on)
        if epoch == cut:
            second.load_state_dict(first.state_dict())
        assert not trained.stop_training
        trained.module.epoch = float(epoch)
        stopper.on_epoch_end(epoch, {"val_loss": value})
    second.on_train_end({})
    assert goes_on.stop_training and second.state_dict() == whole.state_dict()
    assert goes_on.module.epoch == 4


def test_a_state_does_not_change_with_the_run_that_it_was_taken_from() -> None:
    stopper = EarlyStopping(patience=9, restore_best_weights=True)
    model = begin(stopper)
    stopper.on_epoch_end(0, {"val_loss": 5.0})
    state = stopper.state_dict()
    model.module.epoch = 1.0
    stopper.on_epoch_end(1, {"val_loss": 4.0})
    assert state["best"] == 5.0 and float(state["best_weights"]["weight"]) == -1.0


def test_its_state_holds_plain_values_and_tensors_alone() -> None:
    stopper = EarlyStopping(restore_best_weights=True)
    drive(stopper, [2.0, 1.0])
    for value in stopper.state_dict().values():
        assert value is None or isinstance(value, int | float | dict)


# ---- in a fit -----------------------------------------------------------------------------------


class Writes(Callback):
    """Logs written values as "score", and marks all weights with the number of the epoch."""

    def __init__(self, values) -> None:
        self.values = values

    def on_epoch_end(self, epoch, logs=None) -> None:
        logs["score"] = self.values[epoch]
        for parameter in self.model.module.parameters():
            parameter.data.fill_(epoch)


def fit(*callbacks, epochs: int = 6, **arguments):
    model = Model(Linear(2), Tanh(), Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse", metrics=["mae"])
    x = torch.linspace(-1, 1, 8).view(8, 1)
    options = {"epochs": epochs, "verbose": 0, "validation_split": 0.25} | arguments
    return model, model.fit(x, x, callbacks=list(callbacks), **options)


def marks(model: Model) -> set[float]:
    return {number for p in model.module.parameters() for number in p.data.flatten().tolist()}


def test_fit_stops_and_history_ends_with_the_epoch() -> None:
    model, history = fit(EarlyStopping(patience=3))
    assert history.epoch == [0, 1, 2, 3], "a rate of 0 never improves"
    assert model.stop_training and len(history.history["val_loss"]) == 4


@pytest.mark.parametrize("monitor", ["loss", "val_loss", "mae", "val_mae"])
def test_fit_stops_by_any_name_that_it_logs(monitor: str) -> None:
    assert len(fit(EarlyStopping(monitor, patience=2))[1].epoch) == 3


@pytest.mark.parametrize(
    ("values", "epochs", "kept"),
    [([1, 3, 2, 2, 9, 9], [0, 1, 2, 3], 1), ([1, 2, 3, 4, 5, 4], [0, 1, 2, 3, 4, 5], 4)],
    ids=["stopped", "ended by itself"],
)
def test_fit_ends_with_the_best_weights(values, epochs, kept: int) -> None:
    stopper = EarlyStopping("score", mode="max", patience=2, restore_best_weights=True)
    model, history = fit(Writes(values), stopper)
    assert history.epoch == epochs and marks(model) == {float(kept)}


def test_fit_ends_with_the_best_weights_when_another_callback_stopped_it() -> None:
    class Stops(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            self.model.stop_training = epoch == 2

    stopper = EarlyStopping("score", mode="max", patience=9, restore_best_weights=True)
    model, history = fit(Writes([1, 5, 2, 3]), stopper, Stops())
    assert history.epoch == [0, 1, 2] and marks(model) == {1.0}


def test_restored_weights_are_trained_on_in_the_next_fit() -> None:
    stopper = EarlyStopping("score", mode="max", restore_best_weights=True)
    model, _ = fit(Writes([5, 1]), stopper)
    model.optimizer.learning_rate = 0.01
    x = torch.linspace(-1, 1, 8).view(8, 1)
    model.fit(x, x, verbose=0)
    assert marks(model) != {0.0}, "the weights are still those that the optimizer trains"


def test_one_instance_serves_several_fits() -> None:
    stopper = EarlyStopping("score", mode="max", patience=2)
    for values, run in (([9, 1, 1, 1], 3), ([1, 2, 3, 4, 5, 6], 6), ([0, 0, 0], 3)):
        assert len(fit(Writes(values), stopper)[1].epoch) == run


def test_a_name_that_is_not_logged_in_every_epoch_is_waited_for() -> None:
    class Sometimes(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            if epoch % 2 == 0:
                logs["score"] = epoch

    stopper = EarlyStopping("score", mode="max", patience=2)
    assert len(fit(Sometimes(), stopper)[1].epoch) == 6 and stopper.best == 4
