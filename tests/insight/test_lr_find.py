"""lr_find: its rates and averages, a suggestion that trains, and a model that is as it was."""

import math
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import kerasish
from kerasish import Model, Module, Parameter, Sequential, lr_find, set_seed
from kerasish.callbacks import Callback
from kerasish.datasets import disc
from kerasish.insight import LearningRates
from kerasish.layers import BatchNorm1d, Dropout, Linear, ReLU, Tanh
from kerasish.optimizers import SGD, Adam
from kerasish.schedules import ExponentialDecay
from tests.traces import everything

X = torch.linspace(-1, 1, 120).view(40, 3)
Y = X.sum(1, keepdim=True) ** 2


def compiled(*modules, optimizer="sgd", **settings):
    model = Model(*modules, device="cpu")
    model.compile(optimizer, loss="mse", **settings)
    return model


class Bowl(Module):
    """y = w, whatever x is: with targets 0 the loss is w², a bowl that is known by heart."""

    def build(self, shape):
        self.weight = Parameter(torch.ones(1))
        return (1,)

    def forward(self, x):
        self.save_for_backward(len(x))
        return self.weight.data.expand(len(x), 1).clone()

    def backward(self, dy):
        self.saved_tensors()
        self.weight.grad += dy.sum()
        return dy


# ---- known answers ------------------------------------------------------------------------------


def test_each_update_has_its_rate_and_the_average_its_correction() -> None:
    found = lr_find(compiled(Bowl()), X, torch.zeros(40, 1), start_lr=1e-3, end_lr=0.4,
                    num_steps=25, smoothing=0.8)
    rates = [1e-3 * (0.4 / 1e-3) ** (i / 24) for i in range(25)]
    assert found.learning_rates == pytest.approx(rates)
    w, losses, average, smoothed = 1.0, [], 0.0, []
    for step, rate in enumerate(rates, 1):
        losses.append(w * w)
        average = 0.8 * average + 0.2 * w * w
        smoothed.append(average / (1 - 0.8**step))
        w -= rate * 2 * w
    assert found.losses == pytest.approx(losses, rel=1e-4)
    assert found.smoothed == pytest.approx(smoothed, rel=1e-4)
    enough = smoothed[5] - 0.9 * (smoothed[5] - smoothed[-1])  # it falls to the end
    begins = next(rate for rate, loss in zip(rates[5:], smoothed[5:], strict=True)
                  if loss <= enough)
    assert found.suggestion == pytest.approx((begins * rates[-1]) ** 0.5 / 3)


def test_a_bowl_explodes_beyond_the_rate_that_is_known() -> None:
    found = lr_find(compiled(Bowl()), X, torch.zeros(40, 1), end_lr=1e4, num_steps=300)
    assert len(found.losses) < 300
    assert found.learning_rates[-1] > 1, "w - 2 α w grows from α = 1 on"
    assert found.smoothed[-1] > 3 * found.smoothed[0] >= max(found.smoothed[:-1])
    assert 0.05 < found.suggestion < 1


def test_it_ends_with_the_first_loss_that_is_not_finite() -> None:
    class Broken(Tanh):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x) * (math.nan if self.calls == 12 else 1.0)

    found = lr_find(compiled(Linear(1), Broken()), X, Y, num_steps=30, batch_size=4)
    assert len(found.losses) == len(found.learning_rates) == 12 and math.isnan(found.losses[-1])
    assert len(found.smoothed) == 11


def test_a_loss_that_never_falls_has_no_suggestion() -> None:
    model = compiled(Linear(1))
    model.trainable = False
    found = lr_find(model, X, torch.zeros(40, 1), batch_size=40, num_steps=20)
    assert found.suggestion is None and len(found.losses) == 20
    assert "the loss did not fall" in str(found) and "suggestion none" in repr(found)


@pytest.mark.parametrize("smoothing", [0.5, 0.9])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_noise_alone_is_no_fall(loss, smoothing) -> None:
    """No rate below 1e-5 trains these nets in 200 updates."""
    for seed in range(4):
        set_seed(seed)
        model = Model(Linear(20), ReLU(), Linear(1 if loss == "mse" else 3), device="cpu")
        model.compile("sgd", loss=loss)
        y = torch.randn(300, 1) if loss == "mse" else torch.randint(0, 3, (300,))
        found = lr_find(model, torch.randn(300, 10), y, end_lr=1e-5, smoothing=smoothing)
        assert found.suggestion is None and "the loss did not fall" in str(found)


def test_a_suggestion_is_not_below_the_rates_that_were_tried() -> None:
    rates = [0.5 * 1.01**step for step in range(30)]
    losses = [1.0, 1.0, 1.0, *[0.1] * 27]  # they fall at once
    assert LearningRates(rates, losses, losses, 2).suggestion == rates[0] == 0.5


def test_data_that_is_not_finite_is_no_matter_of_learning_rates() -> None:
    found = lr_find(compiled(Linear(1)), X * math.nan, Y, num_steps=20)
    assert found.suggestion is None and len(found.losses) == 1
    assert str(found).startswith("The loss of the first batch, before any update, is not finite")
    assert found.plot().axes[0].lines


def test_with_accumulation_all_batches_of_an_update_have_one_rate() -> None:
    seen: list[float] = []

    class Slow(SGD):
        def update(self, w, g, *slots):
            seen.append(self.rate)
            super().update(w, g, *slots)

    model = compiled(Linear(1), optimizer=Slow(gradient_accumulation_steps=3))
    found = lr_find(model, X, Y, batch_size=4, num_steps=20)
    assert seen == pytest.approx(found.learning_rates) and len(found.losses) == 20


def test_it_trains_on_shuffled_batches() -> None:
    seen: list[torch.Tensor] = []

    class Spy(Tanh):
        def forward(self, x):
            assert self.training
            seen.append(x.clone())
            return super().forward(x)

    lr_find(compiled(Spy(), Linear(1)), X, Y, batch_size=40, num_steps=20)
    assert not torch.equal(seen[0], X) and torch.equal(seen[0].sort(0)[0], X)


def test_a_schedule_is_left_aside_and_still_there_afterwards() -> None:
    schedule = ExponentialDecay(0.5, 10, 0.9)
    model = compiled(Linear(1), optimizer=SGD(schedule))
    assert lr_find(model, X, Y, num_steps=20).learning_rates[0] == pytest.approx(1e-6)
    assert model.optimizer.schedule is schedule


def test_losses_of_the_user_s_own_step_are_read_by_their_name() -> None:
    class Own(Model):
        def train_step(self, x, y, sample_weight=None):
            loss, _ = super().train_step(x, y, sample_weight)
            return {"loss": loss + 1, "other": loss}

    model = Own(Bowl(), device="cpu")
    model.compile("sgd", loss="mse")
    assert lr_find(model, X, torch.zeros(40, 1), num_steps=20).losses[0] == 2


# ---- the suggestion trains ----------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_suggestion_trains_the_disc_net(optimizer, seed) -> None:
    (x, y), (x_test, y_test) = disc()
    set_seed(seed)
    net = (Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh())
    model = compiled(*net, optimizer=optimizer, metrics=["accuracy"])
    model.optimizer.learning_rate = lr_find(model, x, y).suggestion
    model.fit(x, y, epochs=30, verbose=0, seed=seed)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.85


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggestion_trains_an_image_net(optimizer) -> None:
    """Ten noisy prototypes of 64 pixels: as hard for this net as MNIST is for a larger one."""
    prototypes = torch.rand(10, 64)
    y = torch.arange(3000) % 10
    x = prototypes[y] + 0.5 * torch.randn(3000, 64)
    model = Model(Linear(64), ReLU(), Linear(10), device="cpu")
    model.compile(optimizer, loss="cross_entropy", metrics=["accuracy"])
    model.optimizer.learning_rate = lr_find(model, x[:2500], y[:2500]).suggestion
    model.fit(x[:2500], y[:2500], epochs=4, verbose=0, seed=0)
    assert model.evaluate(x[2500:], y[2500:], verbose=0)[1] > 0.85


# ---- no trace -----------------------------------------------------------------------------------


def any_model(optimizer=None):
    return compiled(
        Linear(6), BatchNorm1d(), ReLU(), Dropout(0.5), Sequential(Linear(6), Tanh()), Linear(1),
        optimizer=optimizer or Adam(ExponentialDecay(0.01, 10, 0.9), use_ema=True,
                                    gradient_accumulation_steps=2), metrics=["mae"])


def trained():
    model = any_model()
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    model.train_on_batch(X, Y)  # waits for an update
    return model


@pytest.mark.parametrize("make", [any_model, trained])
def test_it_leaves_no_trace(make) -> None:
    model = make()
    random.seed(1)
    np.random.seed(2)
    before = everything(model)
    lr_find(model, X, Y, batch_size=8, num_steps=30)
    assert everything(model) == before


@pytest.mark.parametrize("how", ["error", "Ctrl-C"])
@pytest.mark.parametrize("built", [True, False])
def test_it_leaves_no_trace_where_it_is_broken_off(how, built) -> None:
    class Failing(Tanh):
        calls = 0

        def backward(self, dy):
            type(self).calls += 1
            if type(self).calls == 7:
                if how == "Ctrl-C":
                    signal.raise_signal(signal.SIGINT)
                raise ArithmeticError("planted")
            return super().backward(dy)

    model = compiled(Linear(6), BatchNorm1d(), Dropout(0.5), Failing(), Linear(1),
                     optimizer="adam")
    if built:
        model.build((3,))
    before = everything(model)
    with pytest.raises(KeyboardInterrupt if how == "Ctrl-C" else ArithmeticError):
        lr_find(model, X, Y, batch_size=8)
    assert everything(model) == before and Failing.calls == 7


def test_it_can_be_asked_in_the_middle_of_a_fit() -> None:
    class Asks(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(lr_find(self.model, X, Y, num_steps=20))

    def fitted(*callbacks):
        model = any_model()
        model.fit(X, Y, batch_size=20, verbose=0, seed=1, callbacks=[*callbacks])
        return model.module.state_dict()

    seen: list[LearningRates] = []
    one, other = fitted(Asks()), fitted()
    assert len(seen) == 2 and all(torch.equal(one[name], other[name]) for name in one)


def test_it_answers_the_same_when_asked_again() -> None:
    model = any_model()
    one, other = (lr_find(model, X, Y, batch_size=8, num_steps=30) for _ in range(2))
    assert one.losses == other.losses


# ---- what it takes and shows --------------------------------------------------------------------


def data_of_every_kind():
    def batches():
        for start in range(0, 40, 8):
            yield X[start : start + 8], Y[start : start + 8]

    yield "loader", DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True)
    yield "dataset", TensorDataset(X, Y)
    yield "function", batches
    yield "list", list(batches())


@pytest.mark.parametrize(("kind", "data"), [*data_of_every_kind()])
def test_it_takes_what_fit_takes(kind, data) -> None:
    model = compiled(Linear(6), Tanh(), Linear(1))
    before = everything(model)
    assert len(lr_find(model, data, num_steps=20, end_lr=0.1).losses) == 20
    assert everything(model) == before


def test_sample_weights_weigh() -> None:
    none = lr_find(compiled(Linear(1)), X, Y, torch.zeros(40), num_steps=20)
    assert none.losses == [0.0] * 20


def test_a_generator_that_is_too_short_is_refused() -> None:
    pairs = ((X[:8], Y[:8]) for _ in range(10))
    with pytest.raises(ValueError, match=r"expects .*10"):
        lr_find(compiled(Linear(1)), pairs, num_steps=20)


@pytest.mark.parametrize(("changes", "message"), [
    ({"start_lr": 0.0}, r"lr_find\(start_lr\) expects a finite number above 0; got 0.0"),
    ({"end_lr": "10"}, r"lr_find\(end_lr\) expects a finite number above 0; got '10'"),
    ({"end_lr": 1e-7}, r"lr_find\(end_lr\) expects a rate above start_lr.*; got 1e-07"),
    ({"num_steps": 19}, r"lr_find\(num_steps\) expects a whole number of at least 20; got 19"),
    ({"smoothing": 1.0}, r"lr_find\(smoothing\) expects a number from 0 to below 1; got 1.0"),
    ({"batch_size": 0}, r"lr_find\(batch_size\) expects a whole number of at least 1; got 0"),
    ({"y": None}, r"lr_find\(y\) expects targets"),
    ({"x": X[:3]}, r"lr_find\(x, y\) expects as many samples"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message) -> None:
    model = compiled(Linear(1))
    with pytest.raises(ValueError, match=message):
        lr_find(model, **{"x": X, "y": Y} | changes)
    assert not model.built


def test_a_model_that_is_not_compiled_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"^lr_find\(model\) expects a compiled model; "):
        lr_find(Model(Linear(1), device="cpu"), X, Y)


def test_print_says_the_suggestion(capsys) -> None:
    found = LearningRates([0.1, 0.2, 0.4, 0.8], [5.0, 1.3, 1.0, 3.0], [5.0, 1.3, 1.0, 3.0], 0)
    found.print()
    assert capsys.readouterr().out == (
        "4 updates, with rates from 1.0e-01 to 8.0e-01: the smoothed loss is lowest from "
        "0.2 to 0.4.\nSuggested learning rate: 0.1\n")
    assert repr(found) == "<LearningRates of 4 updates, suggestion 0.1>"


def test_averages_of_too_few_are_not_looked_at() -> None:
    rates, smoothed = [1.0, 2.0, 4.0, 8.0], [0.1, 3.0, 2.0, 2.5]
    assert LearningRates(rates, smoothed, smoothed, 1).suggestion == pytest.approx(4 / 3)
    assert LearningRates(rates, smoothed, smoothed, 4).suggestion is None


def test_the_picture_shows_losses_averages_and_suggestion(tmp_path: Path) -> None:
    found = lr_find(compiled(Linear(4), Tanh(), Linear(1)), X, Y)
    figure = found.plot(tmp_path / "rates.png")
    (axes,) = figure.axes
    losses, smoothed, suggestion = axes.lines
    assert list(losses.get_ydata()) == found.losses
    assert list(smoothed.get_ydata()) == found.smoothed
    assert suggestion.get_xdata()[0] == found.suggestion
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == (
        "log", "learning rate", "loss")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_not_finite_can_be_drawn() -> None:
    figure = LearningRates([0.1, 0.2], [1.0, math.nan], [1.0], 0).plot()
    figure.draw_without_rendering()


def test_a_name_of_no_picture_and_a_missing_matplotlib_say_what_to_do(monkeypatch) -> None:
    found = LearningRates([0.1, 0.2], [2.0, 1.0], [2.0, 1.0], 0)
    with pytest.raises(ValueError, match=r"LearningRates.plot\(path\) expects .* 'lr_find.png'"):
        found.plot("rates")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'kerasish\[plots\]'"):
        found.plot()


def test_it_is_on_top() -> None:
    assert kerasish.lr_find is kerasish.insight.lr_find
