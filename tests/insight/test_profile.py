"""Model.profile: planted work is found in its place, the numbers add up, and no trace is left."""

import random
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from kerasish import Model, Module, Parameter, Sequential
from kerasish.callbacks import Callback
from kerasish.containers import Add, Graph, Input, Residual
from kerasish.insight import Profile
from kerasish.insight import profile as _profile_function
from kerasish.insight.live import Live
from kerasish.insight.stopwatch import around_phases
from kerasish.layers import BatchNorm1d, Dropout, Embedding, Flatten, Linear, ReLU, Tanh
from kerasish.optimizers import SGD, Adam
from tests.traces import everything

X = torch.linspace(-1, 1, 24).view(8, 3)
Y = X.sum(1, keepdim=True)


class Work:
    """A clock that only planted work moves on, by so many milliseconds."""

    now = 0.0

    def __call__(self):
        return Work.now

    @staticmethod
    def take(ms):
        Work.now += ms / 1000


@pytest.fixture
def work(monkeypatch):
    module = sys.modules["kerasish.insight.profile"]  # its name in `insight` is the function's
    monkeypatch.setattr(module, "clock_of", lambda device: Work())


class Busy(Module):
    """y = w x, which takes as many milliseconds as it is told."""

    returns_view = False

    def __init__(self, forward=0, dx=0, dw=0, spends=Work.take):
        self.costs, self.spends = (forward, dx, dw), spends

    def build(self, shape):
        self.weight = Parameter(torch.ones(shape))
        return shape

    def forward(self, x):
        self.spends(self.costs[0])
        self.save_for_backward(x)
        return x * self.weight.data

    def backward(self, dy, need_dx=True):
        (x,) = self.saved_tensors()
        if self.weight.trainable:
            self.spends(self.costs[2])
            self.weight.grad += (dy * x).sum(0)
        if not need_dx:
            return None
        self.spends(self.costs[1])
        return dy * self.weight.data


def compiled(*modules, optimizer="sgd", **settings):
    model = Model(*modules, device="cpu")
    model.compile(optimizer, loss="mse", **settings)
    return model


def by_path(report):
    return {row.path: row for row in report.rows if row.path is not None}


# ---- known answers ------------------------------------------------------------------------------


def test_planted_work_is_found_to_the_microsecond(work) -> None:
    shared = Busy(forward=1, dx=3, dw=4)
    x = Input((3,))
    h = shared(x)
    twice = Graph(x, shared(h))
    model = compiled(Linear(3), Busy(forward=5, dx=10), Busy(dw=7), twice, Linear(1))
    report = model.profile(X, Y, repeats=2)
    rows = by_path(report)
    slow, heavy, two = rows["1"], rows["2"], rows["3.0"]
    assert (slow.calls, slow.forward_ms, slow.dx_ms) == pytest.approx((1, 5, 10))
    assert slow.dw_ms == pytest.approx(0, abs=1e-9)
    assert (heavy.forward_ms, heavy.dx_ms, heavy.dw_ms) == pytest.approx((0, 0, 7), abs=1e-9)
    assert (two.calls, two.forward_ms, two.dx_ms, two.dw_ms) == pytest.approx((2, 2, 6, 8))
    assert [report.step_ms, report.apart_ms] == pytest.approx([38, 38])
    assert slow.share == pytest.approx(15 / 38)
    assert sum(row.share for row in report.rows) == pytest.approx(1)
    assert [row.path for row in report.sorted()[:3]] == ["3.0", "1", "2"]


def test_a_container_has_the_time_that_its_modules_leave(work) -> None:
    class Slowly(Sequential):
        def forward(self, x):
            Work.take(2)
            y = super().forward(x)
            Work.take(1)
            return y

    model = compiled(Slowly(Busy(forward=5), Busy(forward=7)), Linear(1))
    rows = by_path(model.profile(X, Y, repeats=1))
    assert [rows[path].forward_ms for path in ("0", "0.0", "0.1")] == pytest.approx([3, 5, 7])
    assert rows["0"].name == "0 Slowly, itself" and rows["0.0"].name == "0.0 Busy(forward=5)"


def test_all_of_backward_is_dw_where_no_dx_is_computed(work) -> None:
    rows = by_path(compiled(Busy(dx=3, dw=4), Linear(1)).profile(X, Y, repeats=1))
    assert (rows["0"].dx_ms, rows["0"].dw_ms) == pytest.approx((0, 4))


def test_of_two_calls_only_the_one_without_a_dx_is_all_dw(work) -> None:
    shared = Busy(forward=1, dx=3, dw=4)
    row = by_path(compiled(shared, shared, Linear(1)).profile(X, Y, repeats=1))["0"]
    assert (row.calls, row.dx_ms, row.dw_ms) == pytest.approx((2, 3, 8))


def test_a_frozen_module_has_no_dw(work) -> None:
    frozen = Busy(dx=3, dw=4)
    frozen.trainable = False
    rows = by_path(compiled(Linear(3), frozen, Linear(1)).profile(X, Y, repeats=1))
    assert (rows["1"].dx_ms, rows["1"].dw_ms) == pytest.approx((3, 0))


def test_dw_is_never_negative(work) -> None:
    class Odd(Busy):
        def backward(self, dy, need_dx=True):
            self.spends(1 if self.weight.trainable else 6)
            return super().backward(dy)

    row = by_path(compiled(Linear(3), Odd(), Linear(1)).profile(X, Y, repeats=1))["1"]
    assert (row.dx_ms, row.dw_ms) == pytest.approx((1, 0))


def test_loss_update_and_loop_have_rows_of_their_own(work) -> None:
    class Plodding(SGD):
        def update(self, w, g, *slots):
            Work.take(11)
            super().update(w, g, *slots)

    class Slow(Model):
        def record(self, *args):
            Work.take(13)
            super().record(*args)

    def loss(y_true, y_pred):
        Work.take(17)
        return abs(y_true - y_pred)

    model = Slow(Linear(1), device="cpu")
    model.compile(Plodding(), loss="mse", metrics=[loss])
    *_, of_loss, update, loop = model.profile(X, Y, repeats=1).rows
    assert [of_loss.name, update.name, loop.name] == ["Loss", "Update", "Metrics and loop"]
    assert (update.ms, loop.ms) == pytest.approx((11, 30))


def test_accumulation_shares_the_update_among_its_batches(work) -> None:
    class Plodding(SGD):
        def update(self, w, g, *slots):
            Work.take(12)
            super().update(w, g, *slots)

    model = compiled(Busy(forward=5), Linear(1), optimizer=Plodding(gradient_accumulation_steps=3))
    report = model.profile(X, Y, repeats=2)
    assert by_path(report)["0"].forward_ms == pytest.approx(5)
    assert by_path(report)["0"].calls == 1
    assert report.rows[-2].ms == pytest.approx(4) and report.step_ms == pytest.approx(9)


def test_a_real_slow_module_is_found_by_the_real_clock() -> None:
    slow, heavy = Busy(10, 40, spends=_sleep), Busy(dw=30, spends=_sleep)
    report = compiled(Linear(3), slow, heavy, Linear(1)).profile(X, Y, repeats=2)
    first, second = report.sorted()[:2]
    assert (first.path, second.path) == ("1", "2")
    assert first.dx_ms > 1.5 * first.forward_ms and first.forward_ms >= 10
    assert second.dw_ms > 5 * (second.forward_ms + second.dx_ms)
    assert first.share + second.share > 0.7
    assert 0.5 < report.step_ms / report.apart_ms < 2


def _sleep(ms):
    if ms:
        time.sleep(ms / 1000)


def test_the_whole_step_runs_without_what_stands_around_its_phases() -> None:
    model = compiled(Linear(1))
    with around_phases(model, lambda what, call: call()):
        assert {"objective", "step"} < set(vars(model)) and "backward" in vars(model.loss)
    assert not {"objective", "step"} & set(vars(model)) and "backward" not in vars(model.loss)


# ---- memory -------------------------------------------------------------------------------------


def test_bytes_are_those_of_the_tensors_that_are_alive() -> None:
    model = compiled(Linear(3, 64), Tanh(), Linear(64, 1, bias=False))
    x, y = torch.ones(500, 3)[:100], torch.ones(500, 1)[:100]  # only the batch counts
    report = model.profile(x, y, repeats=1)
    rows = by_path(report)
    flat = 4 * (3 * 64 + 64 + 64)  # sizes that need no padding
    base = 2 * flat + 100 * (3 + 1) * 4
    hidden = 100 * 64 * 4
    assert rows["0"].live_after_forward == base + hidden
    assert rows["1"].live_after_forward == base + 2 * hidden
    assert rows["2"].live_after_forward == base + hidden + 400  # Tanh needs no x
    assert report.apart_peak_bytes >= base + 3 * hidden
    assert report.apart_peak_at == "backward of 1"
    assert report.peak_bytes >= base + 2 * hidden


def test_slots_of_the_optimizer_are_alive_from_the_beginning() -> None:
    plain, adam = (compiled(Linear(64), Linear(1), optimizer=name).profile(X, Y, repeats=1)
                   for name in ("sgd", "adam"))
    slots = 2 * 4 * (3 * 64 + 64 + 64 + 16)  # m and v; the bias of one number is padded
    assert (by_path(adam)["0"].live_after_forward
            - by_path(plain)["0"].live_after_forward) == slots


def test_live_bytes_count_views_once_and_forget_what_is_freed() -> None:
    old = torch.ones(10)
    with Live("cpu", [old]) as live:
        new = torch.ones(100)
        views = [new.view(10, 10), new[:3], old[2:]]
        assert live.size == 440
        del new, views
        assert live.size == 40 and live.peak.size == 440


def test_live_bytes_of_another_device_do_not_count() -> None:
    with Live("cpu", [torch.ones(10, device="meta")]) as live:
        other, own = torch.ones(100, device="meta"), torch.ones(3)
    assert live.size == own.nbytes and other.is_meta


def test_what_an_operation_makes_on_its_way_counts_too() -> None:
    w = torch.ones(8, 8)
    with torch.inference_mode(), Live("cpu", [w]) as live:
        y = torch.linalg.multi_dot([w, w, w])
    assert (live.size, live.peak.size) == (w.nbytes + y.nbytes, w.nbytes + 2 * y.nbytes)


def test_counting_bytes_does_not_import_the_compiler_of_torch() -> None:
    script = ("import sys, torch; from kerasish.insight.live import Live\n"
              "with Live('cpu'): torch.ones(3)\n"
              "assert 'torch._dynamo' not in sys.modules")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_live_bytes_agree_with_torch() -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    net = Sequential(Linear(32), ReLU(), Linear(32), Tanh(), Linear(1))
    x, dy = torch.ones(16, 8), torch.ones(16, 1)

    def step():
        net.forward(x)
        net.backward(dy)

    net.build((8,))
    with torch.inference_mode():
        step()
        with Live("cpu") as live:
            step()
        with torch_profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            step()
    now = peak = 0
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda each: each.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    known = sum(each.grad.nbytes + each.data.nbytes for each in net.parameters())
    assert peak <= live.peak.size <= peak + known + 1024  # grads are seen when they are written


# ---- no trace -----------------------------------------------------------------------------------


def any_model(**settings):
    return compiled(
        Linear(6), BatchNorm1d(), ReLU(), Dropout(0.5), Residual(Sequential(Linear(6), Tanh())),
        Linear(1), metrics=["mae"], **settings)


@pytest.mark.parametrize("built", [False, True])
def test_it_leaves_no_trace(built) -> None:
    model = any_model(optimizer=Adam(use_ema=True, gradient_accumulation_steps=2))
    if built:
        model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
        model.train_on_batch(X, Y)  # waits for an update
    random.seed(1)
    np.random.seed(2)
    before = everything(model)
    model.profile(X, Y, repeats=1)
    assert everything(model) == before
    assert model.built == built


def test_it_leaves_no_trace_where_a_module_raises() -> None:
    class Failing(Tanh):
        def backward(self, dy):
            raise ArithmeticError("planted")

    model = compiled(Linear(6), Dropout(0.5), Failing(), Linear(1))
    model.build((3,))
    before = everything(model)
    with pytest.raises(ArithmeticError, match="planted") as caught:
        model.profile(X, Y)
    assert any("layer 2 of Sequential" in note for note in caught.value.__notes__)
    assert everything(model) == before


def test_training_goes_on_to_the_same_numbers() -> None:
    def trained(profiles):
        model = any_model(optimizer="adam")
        model.fit(X, Y, batch_size=4, verbose=0, seed=1)
        if profiles:
            model.profile(X, Y, repeats=1)
        model.fit(X, Y, batch_size=4, verbose=0, seed=2)
        return model.module.state_dict()

    torch.manual_seed(0)
    one = trained(False)
    torch.manual_seed(0)
    other = trained(True)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_can_be_asked_in_the_middle_of_a_fit() -> None:
    class Asks(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.profile(X, Y, repeats=1))

    def trained(*callbacks):
        model = any_model()
        model.fit(X, Y, batch_size=4, verbose=0, seed=1, callbacks=[*callbacks])
        return model.module.state_dict()

    seen: list[Profile] = []
    one, other = trained(Asks()), trained()
    assert len(seen) == 2 and all(torch.equal(one[name], other[name]) for name in one)


# ---- what it takes and shows --------------------------------------------------------------------


def test_the_table_is_aligned_and_can_be_sorted(capsys) -> None:
    report = any_model().profile(X, Y, repeats=1)
    report.print()
    lines = capsys.readouterr().out.splitlines()
    assert "\n".join(lines) == str(report)
    assert lines[0].split("  ")[0] == "Layer" and set(lines[1]) == {"-"}
    end = lines.index(lines[1], 2)
    assert len(lines[2:end]) == len(report.rows)
    assert {len(line) for line in lines[2:end - 3]} == {len(lines[1])}
    assert lines[end + 1].startswith("A step as fit runs it takes ")
    report.print(sort_by="dw_ms")
    first = capsys.readouterr().out.splitlines()[2]
    assert first.startswith(max(report.rows, key=lambda row: row.dw_ms).name)
    assert repr(report).startswith("<Profile of 15 rows")
    assert all(row.ms == pytest.approx(row.forward_ms + row.dx_ms + row.dw_ms)
               for row in report.rows if row.path is not None)
    assert sum(row.share for row in report.rows) == pytest.approx(1)


def test_what_rows_have_no_number_of_cannot_be_sorted_by() -> None:
    report = compiled(Linear(1)).profile(X, Y, repeats=1)
    with pytest.raises(ValueError, match=r"Profile.sorted\(by\) expects .*'dw_s'.*'dw_ms'"):
        report.sorted("dw_s")


def test_summary_shows_the_times(capsys, work) -> None:
    model = compiled(Linear(3), Residual(Sequential(Busy(5, 10, 7), ReLU())), Linear(1))
    report = model.profile(X, Y, repeats=1)
    model.build((3,))
    model.summary(profile=report)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["Layer", "Output", "shape", "Parameters", "Bytes", "Forward", "ms",
                                "dx", "ms", "dW", "ms", "Share"]
    (busy,) = (line for line in lines if "Busy(" in line)
    assert busy.split()[-4:] == ["5.00", "10.00", "7.00", "100.0%"]
    (total,) = (line for line in lines if line.startswith("Total"))
    assert total.split()[-4:] == ["5.00", "10.00", "7.00", "100.0%"]
    assert any(line.startswith("A step as fit runs it takes 22.00 ms") for line in lines)
    model.summary(expand_nested=False, profile=report, show_trainable=True)
    (folded,) = (line for line in capsys.readouterr().out.splitlines() if "1 Residual" in line)
    assert folded.split()[-5:] == ["yes", "5.00", "10.00", "7.00", "100.0%"]


def test_summary_refuses_what_is_no_profile_of_the_model() -> None:
    model = compiled(Linear(1))
    with pytest.raises(TypeError, match=r"Model.summary\(profile\) expects what .*; got True"):
        model.summary(profile=True)
    report = compiled(Linear(3), Linear(1)).profile(X, Y, repeats=1)
    with pytest.raises(ValueError, match=r"Model.summary\(profile\) expects .*only one .* '0'"):
        model.summary(profile=report)


def test_integers_have_no_dx() -> None:
    model = compiled(Embedding(5, 4), Flatten(), Linear(1))
    rows = by_path(model.profile(torch.tensor([[0, 1], [2, 3]]), [[1.0], [0.0]], repeats=1))
    assert rows["0"].dx_ms == 0 < rows["0"].dw_ms


def test_several_inputs_weights_and_a_net_without_parameters() -> None:
    a, b = Input((3,)), Input((3,))
    model = compiled(Graph((a, b), Linear(1)(Add()((Linear(2)(a), Linear(2)(b))))))
    report = model.profile((X, X), Y, sample_weight=torch.ones(8), repeats=1)
    assert isinstance(report, Profile) and len(report.rows) == 8
    assert by_path(compiled(Tanh()).profile(X, X, repeats=1))[""].forward_ms > 0


def test_it_is_training_that_is_looked_at() -> None:
    class Spy(Tanh):
        def forward(self, x):
            modes.add(self.training)
            return super().forward(x)

    modes: set[bool] = set()
    compiled(Linear(1), Spy()).profile(X, Y, repeats=1)
    assert modes == {True}


def test_a_train_step_of_the_user_s_own_is_timed() -> None:
    class Twice(Model):
        def train_step(self, x, y, sample_weight=None):
            super().train_step(x, y)
            return super().train_step(x, y)

    model = Twice(Linear(3), Linear(1), device="cpu")
    model.compile("sgd", loss="mse")
    assert by_path(model.profile(X, Y, repeats=1))["0"].calls == 2


@pytest.mark.parametrize(("changes", "message"), [
    ({"repeats": 0}, r"profile\(repeats\) expects a whole number of at least 1; got 0"),
    ({"repeats": 1.5}, r"profile\(repeats\) expects a whole number of at least 1; got 1.5"),
    ({"y": None}, r"profile\(y\) expects targets"),
    ({"x": X[:3]}, r"profile.* 3 .*8|profile.* 8 .*3"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message) -> None:
    model = compiled(Linear(1))
    with pytest.raises(ValueError, match=message):
        model.profile(**{"x": X, "y": Y} | changes)
    assert not model.built


def test_a_model_that_is_not_compiled_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"Model.profile expects a compiled model"):
        _profile_function(Model(Linear(1), device="cpu"), X, Y)
