"""HealthMonitor on nets whose illness is known, and on healthy ones."""

import pytest
import torch

from kerasish import Model, datasets
from kerasish.callbacks import HealthMonitor
from kerasish.layers import (
    LSTM,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    ReLU,
    Sigmoid,
    Tanh,
)
from kerasish.optimizers import SGD, Adam
from kerasish.schedules import ExponentialDecay

X, Y = datasets.disc(train=320, test=0)[0]
"""Ten batches of 32."""


def compiled(*layers, optimizer=None, loss="mse", build=(2,)) -> Model:
    model = Model(*layers, device="cpu")
    model.compile(optimizer or SGD(0.01), loss)
    model.build(build)
    return model


def watched(model: Model, x=X, y=Y, epochs: int = 5, **settings) -> HealthMonitor:
    """A monitor that has seen 50 steps, and judged them as one window unless told otherwise."""
    monitor = HealthMonitor(**{"every": 5, "window": 50} | settings)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=monitor, seed=0)
    return monitor


def said(monitor: HealthMonitor) -> list[tuple[str, str]]:
    return [(alarm.path, alarm.kind) for alarm in monitor.alarms]


# ---- units --------------------------------------------------------------------------------------


def test_a_dead_layer_is_named_and_nothing_else(capsys) -> None:
    model = compiled(Linear(8), ReLU(), Linear(25), ReLU(), Linear(1))
    model.module[2].bias.data.fill_(-100.0)
    (alarm,) = watched(model).alarms
    assert (alarm.step, alarm.epoch, alarm.path, alarm.kind) == (50, 4, "3", "silent")
    assert alarm.value == 1.0
    assert str(alarm) == alarm.sentence == (
        "layer 3 ReLU: 100 % of units silent for 50 steps. They get no gradient and stay so. Lower "
        "the learning rate and start anew, or use LeakyReLU.")
    assert f"Epoch 5, step 50: {alarm}\n" in capsys.readouterr().err


def test_the_share_of_dead_units_is_counted_and_below_the_limit_nothing_is_said() -> None:
    def model() -> Model:
        model = compiled(Linear(100), ReLU(), Linear(1), optimizer=SGD(1e-3))
        model.module[0].bias.data[:63] = -100.0
        model.module[0].bias.data[63:] = 1.0
        model.module[0].weight.data[63:].abs_()  # these are on for every sample
        return model

    (alarm,) = watched(model()).alarms
    assert alarm.value == 0.63 and "layer 1 ReLU: 63 % of units silent" in alarm.sentence
    assert watched(model(), silent=0.64).alarms == []


def test_a_unit_that_is_on_for_one_sample_of_all_is_not_dead() -> None:
    model = compiled(Linear(4, bias=False), ReLU(), Linear(1), optimizer=SGD(0.0))
    model.module[0].weight.data.fill_(-1.0)
    x = X + 0.1
    x[300] = -1.0  # one sample, in one batch of an epoch
    settings = {"every": 1, "window": 20, "epochs": 2, "updates": (0.0, 1.0)}
    assert said(watched(model, x, **settings)) == []
    assert said(watched(model, X + 0.1, **settings)) == [("1", "silent")]


def test_a_saturated_tanh_is_named() -> None:
    model = compiled(Linear(20), Tanh(), Linear(1), optimizer=SGD(1e-4))
    model.module[0].weight.data.fill_(100.0)
    model.module[0].bias.data.fill_(30.0)
    (alarm,) = watched(model).alarms
    assert (alarm.path, alarm.kind, alarm.value) == ("1", "saturated", 1.0)
    assert alarm.sentence.startswith("layer 1 Tanh: 100 % of units saturated for 50 steps. Hardly")


def test_an_output_near_its_ends_is_healthy_and_one_stuck_at_an_end_is_not() -> None:
    def model(bias: float) -> Model:
        model = compiled(Linear(1), Tanh(), optimizer=SGD(1e-6))
        model.module[0].weight.data[:] = torch.tensor([[1e6, 0.0]])
        model.module[0].bias.data.fill_(bias)
        return model

    assert said(watched(model(-5e5), updates=(0.0, 0.1))) == []
    assert said(watched(model(5e5), updates=(0.0, 0.1))) == [("1", "saturated")]


def test_units_are_judged_once_enough_samples_are_seen() -> None:
    def model() -> Model:
        model = compiled(Linear(8), ReLU(), Linear(1))
        model.module[0].bias.data.fill_(-100.0)
        return model

    steps = [alarm.step for alarm in watched(model(), window=10, samples=64).alarms]
    assert steps == [10]  # two steps of 32 samples each
    (alarm,) = watched(model(), window=10, samples=65).alarms
    assert alarm.step == 20 and "for 20 steps" in alarm.sentence
    assert watched(model(), samples=32 * 10 + 1).alarms == []


# ---- gradients ----------------------------------------------------------------------------------


def test_vanishing_gradients_are_named_from_the_first_layer_on() -> None:
    layers = [layer for _ in range(20) for layer in (Linear(10), Sigmoid())]
    monitor = watched(compiled(*layers, Linear(1)), updates=(0.0, 1.0))
    assert all(alarm.kind == "vanishing" and alarm.value < 1e-6 for alarm in monitor.alarms)
    paths = [alarm.path for alarm in monitor.alarms]
    assert paths == [str(place) for place in range(0, 2 * len(paths), 2)] and len(paths) > 5
    assert monitor.alarms[0].sentence.startswith("layer 0 Linear: gradients are ")
    assert "times those of layer 40 Linear for 50 steps" in monitor.alarms[0].sentence


def test_gradients_that_are_large_beside_those_of_later_layers_are_named() -> None:
    model = compiled(Linear(8), Tanh(), Linear(1), optimizer=SGD(1e-9))
    model.module[0].weight.data.div_(1e5)
    (alarm,) = watched(model, X * 1e5, updates=(0.0, 1.0)).alarms
    assert (alarm.path, alarm.kind) == ("0", "exploding") and alarm.value > 1e3
    assert "times those of layer 2 Linear. Lower the learning rate, clip" in alarm.sentence


def test_gradients_that_grow_are_named() -> None:
    x = torch.ones(320, 1) * 1.1
    model = compiled(Linear(1, bias=False), optimizer=SGD(0.9), build=(1,))
    (alarm,) = watched(model, x, Y * 0 + 1, epochs=8, window=10, updates=(0.0, 1e9)).alarms
    assert alarm.kind == "exploding" and alarm.value >= 1e3
    assert "times what they were at first. Lower the learning rate" in alarm.sentence


def test_a_rate_that_is_far_too_high_ends_in_gradients_that_are_not_finite() -> None:
    monitor = watched(compiled(Linear(8), Tanh(), Linear(1), optimizer=SGD(1e4)))
    assert ("2", "not finite") in said(monitor)
    assert {alarm.kind for alarm in monitor.alarms} <= {"not finite", "saturated"}
    assert "TerminateOnNaN tells the batch" in monitor.alarms[-1].sentence


def test_nan_in_the_data_is_told_and_no_unit_is_called_dead_for_it() -> None:
    x = X.clone()
    x[5, 0] = float("nan")
    monitor = watched(compiled(Linear(8), ReLU(), Linear(1)), x)
    assert said(monitor) == [("0", "not finite"), ("2", "not finite")]
    monitor.report()


# ---- updates ------------------------------------------------------------------------------------


def test_tiny_updates_are_named() -> None:
    monitor = watched(compiled(Linear(8), Tanh(), Linear(1), optimizer=SGD(1e-8)))
    assert said(monitor) == [("0", "small updates"), ("2", "small updates")]
    assert "% of the weights for 50 steps. It hardly learns. Raise" in monitor.alarms[0].sentence


def test_huge_updates_are_named() -> None:
    model = compiled(Linear(8), Tanh(), Linear(1), optimizer=Adam(1.0))
    monitor = watched(model, every=1, window=4, epochs=1)
    assert said(monitor)[:2] == [("0", "large updates"), ("2", "large updates")]
    sentence = monitor.alarms[0].sentence
    assert "% of the weights for 4 steps. It does not settle. Lower" in sentence


def test_updates_that_get_small_as_the_rate_decays_are_healthy() -> None:
    optimizer = SGD(ExponentialDecay(0.1, decay_steps=5, decay_rate=0.1))
    assert said(watched(compiled(Linear(8), Tanh(), Linear(1), optimizer=optimizer), epochs=10,
                        window=10)) == []


def test_the_ratio_is_that_of_the_update() -> None:
    model = compiled(Linear(1, bias=False), optimizer=SGD(0.1), build=(1,))
    weight = float(model.module.weight.data)
    monitor = HealthMonitor(1, 1)
    model.fit([[1.0]], [[0.0]], verbose=0, callbacks=monitor)
    (linear,) = monitor.numbers
    assert linear.ratio == 0.2 or abs(linear.ratio - 0.2) < 1e-6  # Δw = -0.1 · 2 w
    assert abs(linear.gradient - 2 * abs(weight)) < 1e-6
    assert abs(linear.weight - abs(weight)) < 1e-6


# ---- the disc -----------------------------------------------------------------------------------


def disc_net(rate: float, momentum: float = 0.0) -> Model:
    model = Model(Linear(25), ReLU(), Linear(25), ReLU(), Linear(25), ReLU(), Linear(1), Tanh(),
                  device="cpu")
    model.compile(SGD(rate, momentum), "mse")
    return model


@pytest.mark.parametrize("seed", [0, 1])
def test_too_high_a_rate_kills_the_disc_net_and_its_layers_are_named(seed) -> None:
    x, y = datasets.disc(train=1000, test=0)[0]
    model, monitor = disc_net(0.5, momentum=0.9), HealthMonitor()
    model.fit(x, y, batch_size=32, epochs=16, verbose=0, callbacks=monitor, seed=seed)
    assert model.predict(x, verbose=0).std() == 0  # the output is constant
    assert said(monitor)[-3:] == [("3", "silent"), ("5", "silent"), ("7", "saturated")]
    assert {alarm.step for alarm in monitor.alarms} == {500}


def test_the_disc_net_whose_units_are_all_silent_is_told() -> None:
    x, y = datasets.disc(train=1000, test=0)[0]
    model, monitor = disc_net(0.7), HealthMonitor()
    model.fit(x, y, batch_size=32, epochs=48, verbose=0, callbacks=monitor, seed=0)
    assert model.predict(x, verbose=0).std() == 0
    shares = {each.path: each.share for each in monitor.numbers if each.kind == "silent"}
    assert 1.0 in shares.values() and ("3", "silent") in said(monitor)


# ---- no false alarms ----------------------------------------------------------------------------


def sequences() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randint(0, 20, (320, 6))
    return x, (x > 9).sum(1) // 3


def images() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(320, 1, 6, 6)
    return x, (x.mean((1, 2, 3)) > 0).long()


HEALTHY = {
    "sgd": lambda: (disc_net(0.05), X, Y),
    "momentum": lambda: (disc_net(0.01, 0.9), X, Y),
    "adam": lambda: (compiled(Linear(25), ReLU(), Linear(25), Tanh(), Linear(1), Tanh(),
                              optimizer=Adam(0.01)), X, Y),
    "norms and dropout": lambda: (compiled(
        Linear(25), BatchNorm1d(), ReLU(), Dropout(0.5), Linear(25), LayerNorm(), ReLU(), Linear(1),
        optimizer=Adam(0.01)), X, Y),
    "images": lambda: (compiled(
        Conv2d(8, kernel_size=3), BatchNorm2d(), ReLU(), Conv2d(8, kernel_size=3), ReLU(),
        Flatten(), Linear(2), optimizer=Adam(), loss="cross_entropy", build=(1, 6, 6)), *images()),
    "sequences": lambda: (compiled(
        Embedding(20, 8), LSTM(16), Linear(3), optimizer=Adam(0.01), loss="cross_entropy",
        build=(6,)), *sequences()),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("settings", [{"epochs": 52}, {"every": 5, "window": 50, "epochs": 15}])
def test_of_a_healthy_net_nothing_is_said(name, settings) -> None:
    model, x, y = HEALTHY[name]()
    monitor = HealthMonitor(settings.get("every", 100), settings.get("window", 500))
    model.fit(x, y, batch_size=32, epochs=settings["epochs"], verbose=0, callbacks=monitor, seed=0)
    assert monitor.alarms == [] and len(monitor.numbers) >= 3


def test_of_a_net_with_a_frozen_layer_nothing_is_said() -> None:
    model = compiled(Linear(25), ReLU(), Linear(25), ReLU(), Linear(1), optimizer=SGD(0.05))
    model.module[0].trainable = False
    monitor = watched(model)
    assert monitor.alarms == []
    assert [each.path for each in monitor.numbers] == ["1", "2", "3", "4"]
