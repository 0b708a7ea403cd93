"""Callbacks that watch a number: their settings, and its direction, with several outputs too."""

import re
from functools import partial

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from kerasish.containers import Graph, Input
from kerasish.layers import Linear


def fit(*callbacks: Callback, epochs: int = 3):
    features = Input((1,))
    outputs = {"left": Linear(1)(features), "right": Linear(1)(features)}
    model = Model(Graph(features, outputs), device="cpu")
    model.compile("sgd", {"left": "mse", "right": "mae"},
                  metrics={"left": ["mae", "r2"], "right": ["mae"]})  # fmt: skip
    x = torch.linspace(-1, 1, 8).view(8, 1)
    y = {"left": x, "right": x}
    return model.fit(x, y, epochs=epochs, verbose=0, seed=0, validation_data=(x, y),
                     callbacks=list(callbacks))  # fmt: skip


class Direction(EarlyStopping):
    """Keeps the direction that was found."""

    def on_train_begin(self, logs=None) -> None:
        super().on_train_begin(logs)
        self.found = self._sign


@pytest.mark.parametrize("prefix", ["", "val_"])
@pytest.mark.parametrize(
    ("name", "sign"),
    [("loss", -1), ("left_loss", -1), ("right_loss", -1), ("left_mae", -1), ("left_r2", 1)],
)
def test_mode_auto_knows_the_losses_and_metrics_of_single_outputs(name, sign, prefix) -> None:
    callback = Direction(prefix + name, patience=9)
    fit(callback)
    assert callback.found == sign


def test_the_direction_of_a_number_that_a_callback_logs_is_asked_for() -> None:
    class Rate(Callback):
        adds_to_logs = ("learning_rate",)

    with pytest.raises(ValueError, match=r"mode='auto'.*'learning_rate'.*mode='max' or mode='min'"):
        fit(Rate(), EarlyStopping("learning_rate"))


@pytest.mark.parametrize(("argument", "value", "says"), [
    ("mode", "up", "expects 'auto', 'min' or 'max'; got 'up'. A loss is better when it is lower"),
    ("min_delta", -0.1, "expects a finite number of 0 or more; got -0.1. 0 counts every change."),
    ("min_delta", "small", "expects a finite number of 0 or more; got 'small'."),
    ("patience", -1, "expects a whole number of at least 0; got -1. 10, for instance, is one."),
    ("patience", 2.5, "expects a whole number of at least 0; got 2.5."),
    ("patience", None, "expects a whole number of at least 0; got None."),
    ("patience", float("nan"), "expects a whole number of at least 0; got nan."),
    ("patience", True, "expects a whole number of at least 0; got True."),
    ("start_from_epoch", -1, "expects a whole number of at least 0; got -1."),
    ("start_from_epoch", None, "expects a whole number of at least 0; got None."),
    ("baseline", "0.5", "expects a finite number; got '0.5'. None asks for no baseline."),
    ("baseline", float("nan"), "expects a finite number; got nan."),
    ("restore_best_weights", "yes", "expects True or False; got 'yes'."),
    ("restore_best_weights", 1, "expects True or False; got 1."),
])
def test_settings_out_of_range_are_refused(argument: str, value, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"EarlyStopping({argument}) {says}")):
        EarlyStopping(**{argument: value})


@pytest.mark.parametrize("make", [EarlyStopping, ReduceLROnPlateau, partial(ModelCheckpoint, "x")])
@pytest.mark.parametrize("monitor", [None, 3, ["loss"]], ids=str)
def test_a_monitor_that_is_no_name_is_refused(monitor, make) -> None:
    with pytest.raises(TypeError, match=r"\(monitor\) expects a name in the logs; got .*Write"):
        make(monitor=monitor)
