"""LearningRateScheduler: which functions it takes, and what becomes of their numbers."""

import functools

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import LearningRateScheduler
from kerasish.layers import Linear
from kerasish.optimizers import SGD
from kerasish.schedules import Constant


def fit(schedule, rate=0.1, epochs: int = 3, **arguments):
    model, x = Model(Linear(1), device="cpu"), torch.ones(4, 1)
    model.compile(SGD(rate), "mse")
    scheduler = LearningRateScheduler(schedule, **arguments)
    return model, model.fit(x, x, epochs=epochs, verbose=0, callbacks=scheduler).history


class Halving:
    def __call__(self, epoch, lr):
        return lr / 2


def half(epoch, lr, factor=0.5):
    return lr * factor


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch: 0.5**epoch, [1.0, 0.5, 0.25]),
        (lambda epoch, lr: lr + epoch, [0.1, 1.1, 3.1]),
        (lambda epoch, lr=9: lr, [0.1, 0.1, 0.1]),
        (lambda *both: both[1], [0.1, 0.1, 0.1]),
        (lambda epoch, *, scale=2.0: scale, [2.0, 2.0, 2.0]),
        (half, [0.05, 0.025, 0.0125]),
        (functools.partial(half, factor=1.0), [0.1, 0.1, 0.1]),
        (Halving(), [0.05, 0.025, 0.0125]),
        ({0: 0.3, 2: 0.2}.get, [0.3, 0.3, 0.2]),
    ],
    ids=["of the epoch", "of both", "with a default", "of any", "keywords stay", "three", "partial",
         "an object", "a dict"],
)  # fmt: skip
def test_the_arguments_of_the_function_decide_what_it_is_given(schedule, rates) -> None:
    model, history = fit(schedule)
    assert history["learning_rate"] == pytest.approx(rates, rel=1e-15)
    assert model.optimizer.learning_rate == history["learning_rate"][-1]


def test_the_rate_is_not_rounded() -> None:
    given = []
    fit(lambda epoch, lr: given.append(lr) or lr, rate=0.01)
    assert given == [0.01, 0.01, 0.01]


@pytest.mark.parametrize(
    "value",
    [1, 0, 0.25, np.float32(0.25), np.float64(0.25), np.int64(2), np.array(0.5), torch.tensor(0.5),
     torch.tensor(2)],
    ids=repr,
)  # fmt: skip
def test_any_number_will_do(value) -> None:
    rates = fit(lambda epoch: value)[1]["learning_rate"]
    assert rates == [float(value)] * 3 and type(rates[0]) is float


@pytest.mark.parametrize(
    "value",
    [None, "0.1", -0.1, float("nan"), float("inf"), True, 1j, [0.1], np.zeros(1),
     torch.zeros(1), torch.tensor(-1.0)],
    ids=repr,
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_its_epoch(value) -> None:
    with pytest.raises(ValueError, match=r"(?s)LearningRateScheduler\(schedule\).*for epoch 1\.") \
            as caught:
        fit(lambda epoch: 0.1 if epoch < 1 else value)
    assert repr(value) in str(caught.value)


def test_an_error_inside_the_function_comes_through() -> None:
    calls = []

    def schedule(epoch, lr):
        calls.append(epoch)
        return "0.1" * 0.5

    with pytest.raises(TypeError, match="multiply sequence"):
        fit(schedule)
    assert calls == [0]


@pytest.mark.parametrize("schedule", [0.1, None, "cosine", lambda: 0.1, lambda a, b, c: a, Halving,
                                      float, max, [0.1].__getitem__])  # fmt: skip
def test_what_is_no_such_function_is_refused(schedule) -> None:
    with pytest.raises(TypeError, match=r"expects a function of \(epoch, lr\) or of \(epoch\)"):
        LearningRateScheduler(schedule)


def test_a_schedule_of_updates_is_sent_to_the_optimizer() -> None:
    with pytest.raises(TypeError, match=r"counts updates.*learning_rate=Constant\(0.1\)"):
        LearningRateScheduler(Constant(0.1))


def test_an_optimizer_with_a_schedule_is_refused_before_training() -> None:
    with pytest.raises(TypeError, match=r"LearningRateScheduler expects .*Constant\(0.1\)"):
        fit(lambda epoch: pytest.fail("called"), rate=Constant(0.1))


def test_a_rate_that_was_set_in_place_of_a_schedule_is_free() -> None:
    model, x = Model(Linear(1), device="cpu"), torch.ones(4, 1)
    model.compile(SGD(Constant(0.1)), "mse")
    model.optimizer.learning_rate = 0.2
    model.fit(x, x, verbose=0, callbacks=LearningRateScheduler(lambda epoch, lr: lr))
    assert model.optimizer.learning_rate == 0.2


def test_it_says_the_rates_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fit(lambda epoch: 0.5**epoch, verbose=1)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and "Epoch 3" in said[2] and "0.25" in said[2]
    fit(lambda epoch: 0.5**epoch)
    assert capsys.readouterr() == ("", "")
