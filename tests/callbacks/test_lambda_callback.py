"""LambdaCallback: functions at the hooks that they are named after."""

import inspect

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, CallbackList, EarlyStopping, LambdaCallback
from kerasish.layers import Linear

HOOKS = sorted(name for name in vars(Callback) if name.startswith("on_"))


def fit(callbacks, **arguments):
    model, x = Model(Linear(1), device="cpu"), torch.ones(4, 1)
    model.compile("sgd", "mse")
    options = {"batch_size": 2, "epochs": 2, "validation_data": (x, x), "verbose": 0} | arguments
    return model, model.fit(x, x, callbacks=callbacks, **options)


def test_functions_are_called_in_the_order_of_events_with_keras_arguments() -> None:
    told = []

    def note(name):
        return lambda *arguments: told.append((name, *arguments))

    fit(LambdaCallback(
        on_epoch_begin=note("epoch"), on_epoch_end=lambda epoch, logs: told.append(sorted(logs)),
        on_train_begin=note("train"), on_train_end=lambda logs: told.append("end"),
        on_train_batch_begin=note("batch"), on_backward_end=note("backward"),
        on_train_batch_end=lambda batch, logs: told.append((batch, logs["loss"] >= 0)),
        on_test_begin=note("test")), epochs=1)  # fmt: skip
    assert told == [
        ("train", {}), ("epoch", 0, {}), ("batch", 0, {}), ("backward", 0), (0, True),
        ("batch", 1, {}), ("backward", 1), (1, True), ("test", {}), ["loss", "val_loss"], "end",
    ]  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_may_be_given_by_its_name(hook: str) -> None:
    told = []
    callback = LambdaCallback(**{hook: lambda *arguments: told.append(arguments)})
    names = list(inspect.signature(getattr(Callback, hook)).parameters)[1:]
    told_as = hook.replace("on_batch_", "on_train_batch_")
    getattr(CallbackList([callback]), told_as)(*names)
    assert told == [tuple(names)]


@pytest.mark.parametrize("hook", [name for name in HOOKS if "_batch_" in name or "_back" in name])
def test_it_listens_to_what_it_was_given_alone(hook: str) -> None:
    callback = LambdaCallback(**{hook: print})
    assert [name for name in HOOKS if callback.listens(name)] == [hook]
    assert not any(LambdaCallback(**{hook: None}).listens(name) for name in HOOKS)


def test_two_of_them_do_not_mix() -> None:
    first, second = LambdaCallback(on_epoch_end=lambda epoch, logs: 1), LambdaCallback()
    assert "on_epoch_end" in vars(first) and "on_epoch_end" not in vars(second)


def test_a_later_callback_sees_what_it_logs() -> None:
    score = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=float(epoch)))
    _, history = fit([score, EarlyStopping("score", mode="min", patience=2)], epochs=9)
    assert history.history["score"] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "near"),
    [("on_epoch_ends", "'on_epoch_end'"), ("on_backward", "'on_backward_end'"),
     ("close", "on_"), ("model", "on_")],
)  # fmt: skip
def test_a_name_that_is_no_hook_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(TypeError, match=rf"LambdaCallback\({name}=.*{near}"):
        LambdaCallback(**{name: print})


@pytest.mark.parametrize("value", [1, "print", [print]], ids=repr)
def test_what_is_no_function_is_refused(value) -> None:
    with pytest.raises(TypeError, match=r"LambdaCallback\(on_epoch_end\) .* \(epoch, logs\); got"):
        LambdaCallback(on_epoch_end=value)


@pytest.mark.parametrize(
    ("hook", "function"),
    [("on_epoch_end", lambda epoch: 0), ("on_train_begin", lambda: 0),
     ("on_train_batch_end", lambda batch, logs, more: 0), ("on_backward_end", lambda: 0)],
    ids=["too few", "none", "too many", "of another hook"],
)  # fmt: skip
def test_a_function_of_other_arguments_is_refused_at_once(hook: str, function) -> None:
    names = ", ".join(list(inspect.signature(getattr(Callback, hook)).parameters)[1:])
    with pytest.raises(TypeError, match=rf"\({hook}\) expects a function of \({names}\).*lambda"):
        LambdaCallback(**{hook: function})


def test_a_function_that_does_not_tell_its_arguments_is_taken() -> None:
    assert LambdaCallback(on_epoch_end=max).on_epoch_end is max


def test_one_hook_under_two_names_is_refused() -> None:
    with pytest.raises(ValueError, match=r"on_batch_end.*on_train_batch_end as well"):
        LambdaCallback(on_train_batch_end=print, on_batch_end=print)
