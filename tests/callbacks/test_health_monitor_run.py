"""HealthMonitor within a run: it leaves no trace, goes on where it was, and fits every step."""

import pytest
import torch

from kerasish import Model, Module, Sequential, datasets, set_seed
from kerasish.callbacks import BackupAndRestore, Callback, HealthMonitor, TerminateOnNaN
from kerasish.callbacks.health_monitor.extremes import Extremes
from kerasish.callbacks.health_monitor.gauges import gauge_of
from kerasish.containers import Graph, Input
from kerasish.layers import (
    ELU,
    GELU,
    BatchNorm1d,
    Conv1d,
    Conv2d,
    Dropout,
    Hardtanh,
    LeakyReLU,
    Linear,
    LogSoftmax,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from kerasish.optimizers import SGD, Adam
from kerasish.random import global_states

X, Y = datasets.disc(train=96, test=0)[0]


def compiled(*layers, optimizer=None, loss="mse") -> Model:
    layers = layers or (Linear(8), BatchNorm1d(), ReLU(), Dropout(0.3), Linear(1), Tanh())
    model = Model(*layers, device="cpu")
    model.compile(optimizer or Adam(0.01), loss)
    return model


def fit(model: Model, *callbacks: Callback, **arguments):
    options = {"batch_size": 16, "epochs": 4, "verbose": 0, "seed": 0} | arguments
    return model.fit(X, Y, callbacks=list(callbacks), **options)


def trace(model: Model) -> list:
    """All that training has changed, and what modules are and hold besides their plans."""
    state = model.optimizer.state_dict()
    return [model.module.state_dict(), state, global_states(), model.batches_trained,
            [(type(part), part.training, part._saved, sorted(part.__getstate__()))
             for part in model.module.modules()]]


# ---- no trace -----------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("arguments", [{}, {"steps_per_epoch": 4}, {"batch_size": 7}], ids=str)
def test_training_is_the_same_to_the_bit(every, arguments) -> None:
    traces = []
    for callbacks in ([], [HealthMonitor(every, 6)]):
        set_seed(1)
        model = compiled()
        history = fit(model, *callbacks, **arguments).history
        traces.append(repr([history, *trace(model)]))
    assert traces[0] == traces[1]


def test_it_leaves_nothing_behind_when_a_step_raises() -> None:
    class Fails(Module):
        def forward(self, x):
            if model.batches_trained == 9:
                raise ZeroDivisionError
            return x

        def backward(self, dy):
            return dy

    model = compiled(Linear(4), ReLU(), Fails(), Linear(1))
    with pytest.raises(ZeroDivisionError):
        fit(model, HealthMonitor(1, 2))
    parts = list(model.module.modules())
    assert [type(part) for part in parts] == [Sequential, Linear, ReLU, Fails, Linear]
    assert not any(part._saved for part in parts)
    assert not any(part.grad.any() for part in model.module.parameters())


def test_the_device_is_read_once_a_window(monkeypatch) -> None:
    read = []
    for name in ("tolist", "item", "__float__", "__bool__", "__int__", "numpy", "cpu"):
        known = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda *a, known=known, name=name, **k: (
            read.append(name), known(*a, **k))[1])
    counts = []
    for callbacks in ([], [HealthMonitor(1, 6, samples=1)]):
        read.clear()
        fit(compiled(), *callbacks)  # 24 steps: 4 windows
        counts.append(len(read))
    assert counts[1] - counts[0] == 4


def test_between_the_steps_that_are_looked_at_nothing_is_done(monkeypatch) -> None:
    starts = []
    start = Extremes.start
    monkeypatch.setattr(Extremes, "start", lambda extremes: (starts.append(1), start(extremes)))
    fit(compiled(), HealthMonitor(5, 10), epochs=5)  # 30 steps
    assert len(starts) == 6


# ---- going on -----------------------------------------------------------------------------------


class Stops(Exception):
    pass


@pytest.mark.parametrize("after", [7, 12, 15, 20])
def test_a_run_that_is_gone_on_with_says_the_same(after, tmp_path) -> None:
    class Killed(Callback):
        def on_settled(self, epoch, batch=None):
            if batch is not None and self.model.batches_trained == after:
                raise Stops

    def model() -> Model:
        set_seed(0)
        model = compiled(Linear(8), ReLU(), Linear(8), Tanh(), Linear(1), optimizer=SGD(1e-9))
        model.build((2,))
        model.module[0].bias.data[:5] = -100.0
        return model

    whole = HealthMonitor(2, 8)
    fit(model(), whole)
    first, second = HealthMonitor(2, 8), HealthMonitor(2, 8)
    with pytest.raises(Stops):
        fit(model(), first, BackupAndRestore(tmp_path, save_freq=1), Killed())
    fit(model(), second, BackupAndRestore(tmp_path, save_freq=1))
    assert len(whole.alarms) >= 3 and second.alarms == whole.alarms
    assert second.numbers == whole.numbers
    assert repr(second.state_dict()) == repr(whole.state_dict())


def test_an_alarm_is_said_once_and_again_if_it_came_back(capsys) -> None:
    class Changes(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            bias = -100.0 if epoch in (0, 1, 3) else 1.0
            self.model.module[0].bias.data.fill_(bias)

    model = compiled(Linear(8), ReLU(), Linear(1), optimizer=SGD(1e-5))
    monitor = HealthMonitor(1, 6, samples=1)
    fit(model, Changes(), monitor)
    assert [(alarm.epoch, alarm.kind) for alarm in monitor.alarms] == [(0, "silent"), (3, "silent")]
    assert capsys.readouterr().err.count("100 % of units silent for 6 steps") == 2


def test_what_is_left_in_the_end_is_judged_and_each_fit_begins_anew() -> None:
    model = compiled(Linear(8), ReLU(), Linear(1), optimizer=SGD(1e-5))
    model.build((2,))
    model.module[0].bias.data.fill_(-100.0)
    monitor = HealthMonitor(2, 1000, samples=1)
    for _ in range(2):
        fit(model, monitor)
        (alarm,) = monitor.alarms
        assert "for 24 steps" in alarm.sentence
    assert alarm.step == 48


# ---- steps of all kinds -------------------------------------------------------------------------


def test_micro_batches_are_looked_at_where_they_make_an_update() -> None:
    def numbers(batch_size, **settings):
        model = compiled(Linear(1, bias=False), optimizer=SGD(0.1, **settings))
        monitor = HealthMonitor(1, 1)
        fit(model, monitor, batch_size=batch_size, shuffle=False, epochs=1)
        return monitor.numbers[0]

    whole, parts = numbers(96), numbers(24, gradient_accumulation_steps=4)
    assert parts.gradient == pytest.approx(whole.gradient, rel=1e-5)
    assert parts.ratio == pytest.approx(whole.ratio, rel=1e-5) and len(parts.updates) == 1


def test_with_several_steps_at_once_the_update_is_that_of_one() -> None:
    model = compiled(Linear(1, bias=False), optimizer=SGD(1e-4))
    model.steps_per_execution = 3
    monitor = HealthMonitor(1, 3)
    fit(model, monitor, epochs=1)
    several = monitor.numbers[0].ratio
    monitor = HealthMonitor(1, 6)
    fit(compiled(Linear(1, bias=False), optimizer=SGD(1e-4)), monitor, epochs=1)
    assert several == pytest.approx(monitor.numbers[0].ratio, rel=0.2)


class TwoNets(Model):
    """A step of one's own: two passes through the net, an update, and a pass without one."""

    def train_step(self, x, y, sample_weight=None):
        losses = []
        for part in (x, x + 1):
            losses.append(self.loss(self.module(part), y))
            self.backward(self.loss.backward())
        self.step()
        with self.module.inference():
            self.module(x)
        return {"loss": sum(losses)}


def test_a_step_of_ones_own_is_looked_at_and_stays_the_same() -> None:
    weights, monitors = [], [HealthMonitor(1, 24, samples=1), None]
    for monitor in monitors:
        set_seed(0)
        model = TwoNets(Linear(8), ReLU(), Linear(1), device="cpu")
        model.compile(SGD(0.01), "mse")
        fit(model, *([monitor] if monitor else []))
        weights.append(model.module.state_dict()["0.weight"])
    assert torch.equal(*weights)
    relu = monitors[0].numbers[1]
    assert relu.units == 16  # two calls of eight units: each stands for itself
    assert len(monitors[0].numbers[0].gradients) == 24


def test_a_step_that_goes_back_once_more_after_its_update_stays_the_same() -> None:
    class Stacked(Model):
        def train_step(self, x, y, sample_weight=None):
            one, other = self.module(x), self.module(x + 1)
            loss = self.loss(other, y)
            self.module.backward(self.loss.backward())
            self.step()
            self.module.backward(torch.ones_like(one))
            return {"loss": loss}

    weights = []
    for callbacks in ([], [HealthMonitor(1, 4)]):
        set_seed(0)
        model = Stacked(Linear(8), ReLU(), Linear(1), device="cpu")
        model.compile(SGD(0.01), "mse")
        fit(model, *callbacks)
        weights.append(model.module.state_dict()["0.weight"])
    assert torch.equal(*weights)


def test_several_outputs_and_a_shared_module() -> None:
    x = Input((2,))
    shared = ReLU()
    h = shared(Linear(8)(x))
    graph = Graph(x, {"a": Linear(1)(shared(Linear(4)(h))), "b": Sigmoid()(Linear(1)(h))})
    model = compiled(graph, loss={"a": "mse", "b": "mse"})
    monitor = HealthMonitor(1, 6, samples=1)
    model.fit(X, {"a": Y, "b": Y * 0 + 0.5}, batch_size=16, verbose=0, callbacks=monitor)
    units = {each.name: each.units for each in monitor.numbers if each.units}
    assert units == {"ReLU": 12, "Sigmoid": 1} and monitor.alarms == []


def test_freezing_a_layer_in_between_begins_a_new_window() -> None:
    class Freezes(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.module[0].trainable = epoch == 0

    monitor = HealthMonitor(1, 24)
    fit(compiled(Linear(8), ReLU(), Linear(1)), monitor, Freezes())
    assert [(each.path, len(each.updates)) for each in monitor.numbers] == [("1", 0), ("2", 18)]


def test_other_callbacks_find_the_net_as_it_is(capsys) -> None:
    monitor = HealthMonitor(1, 6)
    x = X.clone()
    x[3] = float("inf")
    model = compiled(Linear(8), Tanh(), Linear(1))
    model.fit(x, Y, batch_size=16, verbose=0, callbacks=[monitor, TerminateOnNaN()], shuffle=False)
    assert "Linear(8) at '0' is the first whose output is not finite" in capsys.readouterr().err


# ---- units --------------------------------------------------------------------------------------


def units(net: Module, x: torch.Tensor) -> dict[str, int]:
    net(x)
    extremes = Extremes(net)
    with extremes, net.inference():
        net(x)
    return {path: calls[0].numel() for path, calls in extremes.greatest.items()}


def test_units_are_features_or_channels() -> None:
    assert units(Sequential(Linear(7), ReLU()), torch.randn(3, 5)) == {"1": 7}
    assert units(Sequential(Linear(7), ReLU()), torch.randn(3, 4, 5)) == {"1": 7}
    assert units(Sequential(Conv1d(7, kernel_size=1), ReLU()), torch.randn(3, 5, 4)) == {"1": 7}
    assert units(Sequential(Conv2d(7, kernel_size=1), ReLU()), torch.randn(3, 5, 4, 4)) == {"1": 7}
    assert units(Sequential(ReLU()), torch.randn(3, 5, 4, 4)) == {"0": 5}
    assert units(Sequential(ReLU()), torch.randn(3)) == {"0": 1}


class Half(Tanh):
    """Its range is half of what its base declares."""

    def forward(self, x):
        return super().forward(x) / 2


class Cut(Module):
    y_range = (0.0, float("inf"))

    def forward(self, x):
        return x.clamp(min=0)


@pytest.mark.parametrize(("module", "kind", "bound"), [
    (ReLU(), "silent", 0.0), (ReLU6(), "silent", 0.0), (Softplus(), "silent", 0.0),
    (Cut(), "silent", 0.0), (Tanh(), "saturated", -0.99), (Sigmoid(), "saturated", -0.495),
    (Hardtanh(-2, 2), "saturated", -1.98), (ELU(), "saturated", -0.99),
    (Softmax(), "saturated", -0.99),
], ids=repr)
def test_the_range_tells_what_is_at_fault(module, kind, bound) -> None:
    gauge = gauge_of(module, ends=False)
    assert gauge.kind == kind and gauge.bound == pytest.approx(bound)


@pytest.mark.parametrize("module", [LeakyReLU(), LogSoftmax(), Half(), Linear(2), Sequential()],
                         ids=repr)
def test_of_what_has_no_ends_or_is_not_believed_nothing_is_said(module) -> None:
    assert gauge_of(module, ends=False) is None


def test_a_softmax_is_saturated_where_one_wins_by_far_and_never_at_the_end() -> None:
    gauge = gauge_of(Softmax(), ends=False)
    (sure,) = gauge.values(torch.tensor([[0.995, 0.005, 0.0], [0.0, 0.999, 0.001]]))
    (unsure,) = gauge.values(torch.tensor([[0.9, 0.05, 0.05]]))
    assert (sure <= gauge.bound).all() and not (unsure <= gauge.bound).any()
    assert gauge_of(Softmax(), ends=True) is None and gauge_of(GELU(), ends=False) is not None


# ---- the report, and settings -------------------------------------------------------------------


def test_the_report_is_a_table_of_the_latest_window(capsys) -> None:
    monitor = HealthMonitor(1, 6, samples=1)
    monitor.report()
    assert "has looked at nothing yet" in capsys.readouterr().out
    model = compiled(Linear(8), ReLU(), Linear(4), Tanh(), Linear(1), optimizer=SGD(0.01))
    model.build((2,))
    model.module[0].bias.data[:2] = -100.0
    model.module[0].bias.data[2:] = 1.0
    fit(model, monitor)
    monitor.report()
    head, rule, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["Layer", "Class", "Silent", "Saturated", "Gradient", "Weights",
                            "Update"]
    assert set(rule) == {"-"} and len(lines) == 5
    assert lines[1].split() == ["1", "ReLU", "25", "%"]
    assert lines[3].split() == ["3", "Tanh", "0", "%"]
    assert lines[0].split()[:2] == ["0", "Linear"] and lines[0].endswith(" %")


@pytest.mark.parametrize(("settings", "words"), [
    ({"every": 0}, "HealthMonitor(every) expects a whole number of at least 1; got 0. 1 looks"),
    ({"window": 99}, "HealthMonitor(window) expects a whole number of at least 100; got 99. It"),
    ({"samples": 0}, "HealthMonitor(samples) expects a whole number of at least 1; got 0."),
    ({"silent": 0.0}, "HealthMonitor(silent) expects a finite number above 0; got 0.0. 0.5 is"),
    ({"saturated": 1.5}, "HealthMonitor(saturated) expects a finite number of at most 1; got 1.5"),
    ({"vanishing": -1}, "HealthMonitor(vanishing) expects a finite number above 0; got -1."),
    ({"exploding": float("inf")}, "HealthMonitor(exploding) expects a finite number above 0; got"),
    ({"updates": 0.1}, "HealthMonitor(updates) expects two limits; got 0.1. (1e-6, 0.1), for"),
    ({"updates": (0.1, 0.01)}, "of 0.1 or more; got 0.01. The upper limit comes last."),
], ids=str)
def test_settings_out_of_range_are_refused(settings, words) -> None:
    with pytest.raises(ValueError) as error:
        HealthMonitor(**settings)
    assert words in str(error.value)


def test_a_fit_too_short_to_be_looked_at_says_so_once(capsys) -> None:
    fit(compiled(), HealthMonitor(every=25))  # of 24 steps
    said = capsys.readouterr().err
    assert said.count("HealthMonitor has looked at no step") == 1 and "it had 24" in said
    assert "Choose a smaller `every`" in said
    fit(compiled(), HealthMonitor(every=24))
    fit(compiled(), HealthMonitor(every=25), fast_dev_run=True)
    assert "no step" not in capsys.readouterr().err
