"""ReduceLROnPlateau, driven by written logs, and then in a fit."""

from types import SimpleNamespace

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import EarlyStopping, ReduceLROnPlateau
from kerasish.layers import Linear
from kerasish.optimizers import SGD
from kerasish.schedules import Constant

NAN = float("nan")


def begin(callback, rate: float = 1.0, is_open: bool = False) -> SimpleNamespace:
    """Tells it that a fit begins; the optimizer whose rate it sets."""
    optimizer = SGD(rate)
    model = SimpleNamespace(metrics={}, metrics_names=["loss"], optimizer=optimizer)
    callback.set_model(model)
    callback.set_params({"logs": ("loss", "val_loss"), "open": is_open})
    callback.on_train_begin({})
    return optimizer


def drive(callback: ReduceLROnPlateau, values, rate: float = 1.0):
    """The rates after each epoch with these values, and the ones that were logged."""
    optimizer, after, logged = begin(callback, rate), [], []
    for epoch, value in enumerate(values):
        logs = {} if value is None else {"val_loss": value}
        callback.on_epoch_end(epoch, logs)
        after.append(optimizer.learning_rate)
        logged.append(logs["learning_rate"])
    return after, logged


@pytest.mark.parametrize(
    ("arguments", "values", "rates"),
    [
        ({"patience": 2}, [1, 1, 1, 1, 1], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1}, [1, 1, 1], [1, 0.5, 0.25]),
        ({"patience": 0}, [1, 1, 1], [1, 0.5, 0.25]),
        ({"patience": 2}, [4, 3, 2, 1], [1, 1, 1, 1]),
        ({"patience": 2}, [4, 5, 3, 5, 5], [1, 1, 1, 1, 0.5]),
        ({"patience": 1, "cooldown": 2}, [1] * 6, [1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 2, "cooldown": 2}, [1] * 7, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 1, "min_lr": 0.3}, [1] * 4, [1, 0.5, 0.3, 0.3]),
        ({"patience": 1, "min_lr": 2.0}, [1] * 3, [1, 1, 1]),
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 3], [1, 1, 1, 0.5]),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.75, 2], [1, 0.5, 0.5]),
        ({"patience": 1}, [1, NAN, 1], [1, 0.5, 0.25]),
        ({"patience": 2}, [NAN, 3, 2, 1], [1, 1, 1, 1]),
        ({"patience": 2}, [1, None, 1, None, 1], [1, 1, 1, 1, 0.5]),
    ],
    ids=["Keras' own numbers", "1", "0 is the same", "falls", "an improvement starts anew",
         "cooldown", "cooldown, then patience", "down to min_lr", "never up to min_lr", "up",
         "min_delta", "NaN is no improvement", "a first NaN is beaten", "epochs without a value"],
)  # fmt: skip
def test_the_rate_goes_down_where_nothing_improves(arguments, values, rates) -> None:
    assert drive(ReduceLROnPlateau(factor=0.5, **arguments), values)[0] == rates


def test_the_logs_hold_the_rate_that_the_epoch_was_trained_with() -> None:
    after, logged = drive(ReduceLROnPlateau(patience=1, factor=0.5), [1, 1, 1])
    assert logged == [1.0, *after[:-1]]


def test_the_defaults_are_those_of_keras() -> None:
    after, _ = drive(ReduceLROnPlateau(), [1.0, *[1.0 - 1e-5] * 10], rate=0.01)
    assert after == [0.01] * 10 + [0.001]


def test_it_says_what_it_does_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    drive(ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), [1, 1])
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert "Epoch 2: val_loss" in said.err and "from 1 to 0.5" in said.err
    drive(ReduceLROnPlateau(patience=1, factor=0.5), [1, 1])
    assert capsys.readouterr() == ("", "")


def test_running_state_is_made_anew_in_each_fit() -> None:
    callback = ReduceLROnPlateau(patience=2, cooldown=5, factor=0.5)
    drive(callback, [1, 1, 1])
    assert callback.cooldown_counter == 5
    begin(callback)
    assert (callback.best, callback.wait, callback.cooldown_counter) == (None, 0, 0)


@pytest.mark.parametrize("cut", range(1, 9))
def test_its_state_goes_into_another_one_in_the_middle_of_a_run(cut: int) -> None:
    values, make = [3, 3, 3, 3, 3, 3, 2, 2, 2], lambda: ReduceLROnPlateau(
        factor=0.5, patience=2, cooldown=2)  # fmt: skip
    whole, _ = drive(make(), values)
    first, second = make(), make()
    before, _ = drive(first, values[:cut])
    optimizer = begin(second, before[-1])
    second.load_state_dict(first.state_dict())
    for epoch, value in enumerate(values[cut:], cut):
        second.on_epoch_end(epoch, {"val_loss": value})
        before.append(optimizer.learning_rate)
    assert before == whole


@pytest.mark.parametrize("kind", [ReduceLROnPlateau, EarlyStopping])
def test_a_monitor_that_was_seen_before_the_cut_may_be_missing_after_it(kind) -> None:
    first, second = (kind("f1", mode="max", patience=5) for _ in range(2))
    for callback in (first, second):
        begin(callback, is_open=True)
    first.on_epoch_end(0, {"f1": 0.5})
    second.load_state_dict(first.state_dict())
    second.on_epoch_end(1, {"loss": 1.0})
    begin(second, is_open=True)
    with pytest.raises(ValueError, match="'f1'"):
        second.on_epoch_end(1, {"loss": 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1.0}, r"\(factor\) expects a number below 1.*got 1.0.*0.1 is usual"),
        ({"factor": 2}, r"\(factor\) expects a number below 1.*got 2"),
        ({"factor": 0}, r"\(factor\) expects a finite number above 0; got 0"),
        ({"factor": -0.1}, r"\(factor\).*got -0.1"),
        ({"factor": NAN}, r"\(factor\).*got nan"),
        ({"factor": "0.1"}, r"\(factor\).*got '0.1'"),
        ({"patience": -1}, r"\(patience\).*got -1"),
        ({"patience": 2.5}, r"\(patience\).*whole number.*got 2.5"),
        ({"cooldown": -1}, r"\(cooldown\).*got -1"),
        ({"min_lr": -0.1}, r"\(min_lr\).*got -0.1"),
        ({"min_lr": None}, r"\(min_lr\).*got None"),
        ({"min_delta": -1}, r"\(min_delta\).*got -1"),
        ({"mode": "down"}, r"\(mode\).*got 'down'"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)ReduceLROnPlateau{message}"):
        ReduceLROnPlateau(**arguments)


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="epsilon"):
        ReduceLROnPlateau(epsilon=0.1)


def compiled(rate) -> Model:
    model = Model(Linear(1), device="cpu")
    model.compile(SGD(rate), "mse")
    return model


def test_a_fit_logs_the_rate_and_trains_with_it() -> None:
    x, model = torch.ones(4, 1), compiled(0.0)
    model.compile(SGD(0.25), "mse")
    history = model.fit(x, x * 1e6, epochs=4, verbose=0, callbacks=[
        ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e20)])  # fmt: skip
    assert history.history["learning_rate"] == [0.25, 0.25, 0.125, 0.0625]
    assert model.optimizer.learning_rate == 0.03125


def test_a_schedule_of_the_optimizer_is_refused_before_training() -> None:
    model, x = compiled(Constant(0.1)), torch.ones(4, 1)
    with pytest.raises(TypeError, match=r"ReduceLROnPlateau.*Constant\(0.1\).*the optimizer a num"):
        model.fit(x, x, verbose=0, callbacks=ReduceLROnPlateau("loss"))
    assert not model.built, "nothing was done"
