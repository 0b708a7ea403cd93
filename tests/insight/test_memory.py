"""Model.plan: what it says beforehand is what torch's memory profiler sees afterwards."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model, Sequential
from kerasish.containers import Recompute, Residual
from kerasish.layers import (
    LSTM,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    MaxPool2d,
    PositionalEncoding,
    ReLU,
    Tanh,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from kerasish.losses import MSE
from kerasish.module import Module
from kerasish.optimizers import SGD, Adam
from kerasish.random import global_states
from kerasish.trees import leaves
from tests.insight.measured import measured_peak


def compiled(*layers: Module, optimizer: Any = "sgd", loss: str = "cross_entropy") -> Model:
    model = Model(Sequential(*layers), device="cpu")
    model.compile(optimizer, loss, metrics=["accuracy"] if loss == "cross_entropy" else None)
    return model


def mlp(optimizer: Any = "sgd") -> Model:
    return compiled(Linear(256), ReLU(), Dropout(0.2), Linear(128), ReLU(), Linear(10),
                    optimizer=optimizer)


def conv_net(optimizer: Any = "sgd") -> Model:
    body = Sequential(Conv2d(16, kernel_size=3, padding=1), BatchNorm2d(), ReLU(),
                      Conv2d(16, kernel_size=3, padding=1), BatchNorm2d())
    return compiled(Conv2d(16, kernel_size=3, padding=1), BatchNorm2d(), ReLU(), Residual(body),
                    ReLU(), MaxPool2d(2), Conv2d(32, kernel_size=3), BatchNorm2d(), ReLU(),
                    MaxPool2d(2), Flatten(), Linear(10), optimizer=optimizer)


def transformer(optimizer: Any = "sgd", dropout: float = 0.1) -> Model:
    layer = TransformerEncoderLayer(nhead=4, dim_feedforward=64, dropout=dropout)
    return compiled(Embedding(500, 32), PositionalEncoding(), TransformerEncoder(layer, 2),
                    Flatten(), Linear(10), optimizer=optimizer)


def small() -> Model:
    return compiled(Linear(3, 4), Tanh(), Linear(2), loss="mse")


def batch_for(model: Model, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.randint(10, (size,))
    if isinstance(model.module[0], Embedding):
        return torch.randint(500, (size, 24)), y
    return torch.randn(size, *((784,) if isinstance(model.module[0], Linear) else (3, 24, 24))), y


NETS = {"mlp": mlp, "conv_net": conv_net, "transformer": transformer,
        "without dropout": lambda optimizer: transformer(optimizer, 0.0)}


# ---- against the profiler -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 32, 256])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("net", NETS)
def test_the_peak_is_within_a_hundredth_of_the_measured_one(net, optimizer, size):
    model = NETS[net](optimizer)
    x, y = batch_for(model, size)
    planned = model.plan(size, x, y)  # of the model that is not built yet
    measured = measured_peak(model, x, y)
    assert planned.peak == pytest.approx(measured, rel=0.01)
    before = planned.constant + planned.batch
    assert planned.peak - before == pytest.approx(measured - before, rel=0.05, abs=10_000)
    assert model.plan(size, x, y).constant == planned.constant


@pytest.mark.parametrize("optimizer", [
    SGD(momentum=0.9), Adam(amsgrad=True, use_ema=True), SGD(clipnorm=1.0),
    SGD(gradient_accumulation_steps=3), Adam(weight_decay=0.1, global_clipnorm=1.0)], ids=repr)
def test_what_the_optimizer_does_counts(optimizer):
    model = mlp(copy.deepcopy(optimizer))
    x, y = batch_for(model, 32)
    planned = model.plan(32, x, y)
    measured = measured_peak(model, x, y)
    assert planned.optimizer == len(optimizer.kept) * planned.parameters
    if not optimizer.accumulates:
        assert planned.peak == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("layers", [
    [LSTM(32, return_sequences=True), LSTM(48), Linear(10)],
    [Recompute(Sequential(Linear(64), Tanh(), Linear(64), Tanh())), Flatten(), Linear(10)],
], ids=["LSTM", "Recompute"])
def test_what_kernels_keep_and_what_is_computed_again_counts(layers):
    model = compiled(*layers, optimizer="adam")
    x, y = torch.randn(64, 12, 20), torch.randint(10, (64,))
    planned = model.plan(64, x, y)
    assert planned.peak == pytest.approx(measured_peak(model, x, y), rel=0.05)


# ---- by hand ------------------------------------------------------------------------------------


def test_the_plan_of_a_small_net_is_that_of_the_hand_to_the_byte():
    plan = small().plan(5, input_shape=(3,))
    assert plan.parameters == plan.gradients == 4 * 64  # W₁, b₁, W₂, b₂: each below 64 bytes
    assert plan.optimizer == plan.buffers == 0
    assert plan.batch == 4 * (5 * 3 + 5 * 2)
    assert plan.kept == 8 + 2 * 4 * 5  # the sum of losses; for each bias a row of ones
    assert plan.saved == 4 * 5 * 4  # tanh h, which Tanh and Linear(2) both keep; x is the batch
    last_step, this_step, loss_dy = 40 + 4, 40 + 4, 40  # y_pred and L; y_pred and L; dy_pred
    saved, dh, through_tanh = 80, 80, 80
    assert plan.activations == last_step + this_step + loss_dy + saved + dh + through_tanh
    assert plan.peak == 512 + 100 + 48 + 368
    assert plan.peak_at == "backward of 0 Linear"
    assert plan.rows[0].backward == plan.peak
    assert plan.rows[0].workspace == through_tanh
    assert plan.rows[1][2:] == (0, 0, 0, 0, 0)  # Linear runs its kernels


def test_of_more_rows_a_bias_takes_their_sum_instead():
    plan = small().plan(100, input_shape=(3,))
    assert plan.kept == 8
    assert plan.activations == 2 * (800 + 4) + 800 + 3 * 1600 + 16


def test_a_prediction_keeps_nothing():
    model = small()
    plan = model.plan(5, input_shape=(3,), training=False)
    assert (plan.saved, plan.kept, plan.batch) == (0, 0, 4 * (5 * 3 + 5 * 2))
    assert plan.activations == 40 + 80 + 40  # the last y_pred, h and this y_pred
    assert plan.peak_at == "forward of 2 Linear"
    bare = Model(Linear(3, 4), device="cpu")
    bare.build((3,))
    assert bare.plan(5, training=False).batch == 4 * 5 * 3


def test_no_gradient_goes_below_what_is_trained():
    model = compiled(Linear(64, 64), Linear(64), Linear(2), loss="mse")
    whole = model.plan(1000, input_shape=(64,))
    model.module[0].trainable = False
    frozen = model.plan(1000, input_shape=(64,))
    assert whole.rows[0].backward > frozen.rows[0].backward == 0
    dx, sum_of_rows = 1000 * 64 * 4, 64 * 4  # there is no dx, so the bias decides
    assert whole.rows[1].backward - frozen.rows[1].backward == dx - sum_of_rows


def test_the_peak_is_at_the_module_that_is_large():
    model = compiled(Linear(8), Linear(5000), Tanh(), Linear(8), loss="mse")
    assert model.plan(64, input_shape=(8,)).peak_at == "backward of 1 Linear"


def test_a_batch_larger_than_any_memory_can_be_asked_for():
    model = conv_net()
    huge, one = (model.plan(size, input_shape=(3, 24, 24)) for size in (10**9, 1))
    assert huge.peak > 10**9 * (one.batch + one.saved)


# ---- what a module declares ---------------------------------------------------------------------


class Doubled(Module):
    """Says nothing of what its backward reads, and asks for a number."""

    def forward(self, x):
        self.save_for_backward(2.0 if float(x.sum()) > -1e9 else 1.0)
        return 2 * x

    def backward(self, dy):
        (factor,) = self.saved_tensors()
        return factor * dy


class Declared(Doubled):
    backward_reads = frozenset({"output"})

    def own_bytes(self, shape):
        return 7


def test_a_module_that_needs_numbers_is_believed_what_it_declares():
    rows = {}
    for module in (Doubled(), Declared()):
        model = compiled(Linear(6), module, Tanh(), Linear(1), loss="mse")
        rows[type(module)] = model.plan(10, input_shape=(6,)).rows[1]
        model.fit(np.ones((10, 6)), np.ones((10, 1)), verbose=0)
    assert rows[Doubled].saved == 10 * (6 + 6) * 4  # the cautious answer: x and y
    assert rows[Declared].saved == 10 * (6 * 4 + 7)


def test_a_loss_that_needs_numbers_is_refused_and_a_metric_is_left_out():
    class Reads(MSE):
        def forward(self, y_pred, y_true, sample_weight=None):
            return super().forward(y_pred, y_true) * float(y_pred.sum())

    def reads(y_true, y_pred):
        return float(y_pred.sum())

    model = Model(Linear(3, 4), device="cpu")
    model.compile("sgd", Reads())
    with pytest.raises(RuntimeError, match=r"Model.plan expects a step .* without numbers; got"):
        model.plan(4, input_shape=(3,))
    peaks = []
    for metrics in (None, [reads]):
        model = Model(Linear(3, 4), device="cpu")
        model.compile("sgd", "mse", metrics=metrics)
        peaks.append(model.plan(4, input_shape=(3,)).peak)
    assert peaks[0] == peaks[1]


def test_an_error_of_a_module_stays_one():
    class Wrong(Module):
        def forward(self, x):
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        compiled(Linear(2), Wrong(), loss="mse").plan(4, input_shape=(3,))


# ---- what it is asked ---------------------------------------------------------------------------


def test_x_and_y_are_looked_at_for_their_shapes_and_types():
    model = compiled(Linear(4), Tanh(), Linear(3))
    indices = model.plan(10, np.zeros((2, 5)), np.zeros(2, dtype=np.int64))
    shares = model.plan(10, np.zeros((2, 5)), np.zeros((2, 3)))
    weighted = model.plan(10, np.zeros((2, 5)), [0, 1], [1.0, 2.0])
    assert (indices.batch, shares.batch, weighted.batch) == (10 * 28, 10 * 32, 10 * 32)
    assert model.plan(10, input_shape=[5]).batch == indices.batch


def test_without_x_integers_are_tried_where_floats_are_not_taken():
    model = transformer()
    assert model.plan(3, input_shape=(24,)).batch == 3 * (24 + 1) * 8
    model.build((24,))
    assert model.plan(3).batch == 3 * (24 + 1) * 8
    assert model.plan().batch_size == 32


def test_what_cannot_be_planned_is_refused():
    model = mlp()
    with pytest.raises(ValueError, match=r"plan\(input_shape\) expects the shape of a sample"):
        model.plan(4)
    with pytest.raises(ValueError, match=r"plan\(batch_size\) expects a whole number of at least"):
        model.plan(0, input_shape=(4,))
    with pytest.raises(ValueError, match=r"plan\(batch_size, budget\) expects one of them"):
        model.plan(4, input_shape=(4,), budget="8GB")
    with pytest.raises(ValueError, match=r"plan\(training\) expects True or False"):
        model.plan(4, input_shape=(4,), training="no")
    with pytest.raises(RuntimeError, match=r"Model.plan expects a compiled model"):
        Model(Linear(2, 2), device="cpu").plan(4)
    with pytest.raises(ValueError, match="class indices of shape"):
        model.plan(4, np.zeros((2, 5)), np.zeros((2, 7)))
    with pytest.raises(ValueError, match=r"plan\(x, y\) expects as many samples"):
        model.plan(4, np.zeros((2, 5)), np.zeros(3))


# ---- budgets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["100kB", "8GB", "3 TiB", 123_456])
def test_the_largest_batch_fits_and_one_more_does_not(budget):
    model, sizes = small(), {"100kB": 10**5, "8GB": 8 * 10**9, "3 TiB": 3 * 2**40}
    plan = model.plan(input_shape=(3,), budget=budget)
    size = sizes.get(budget, budget)
    assert plan.peak <= size < model.plan(plan.batch_size + 1, input_shape=(3,)).peak
    assert plan.largest_batch(budget) == plan.batch_size


def test_a_budget_that_nothing_fits_in_says_what_does_not():
    plan = compiled(Linear(1000, 1000), Linear(1), optimizer="adam",
                    loss="mse").plan(4, input_shape=(1000,))
    for budget, what in [("1 MB", "the parameters alone take 4.01 MB"),
                         ("5 MB", "the parameters and the gradients alone take 8.02 MB"),
                         ("9 MB", "parameters, the gradients and the optimizer alone take 16 MB"),
                         (plan.constant, "one sample takes 16 MB in all, at the ")]:
        with pytest.raises(ValueError, match=f"got {budget!r}, and .*{what}"):
            plan.largest_batch(budget)


@pytest.mark.parametrize(("budget", "kind", "words"), [
    ("8", ValueError, "expects an amount of memory; got '8'. Write '8GB'"),
    ("-1GB", ValueError, "expects an amount of memory"),
    ("8 Gb", ValueError, "expects a unit of memory; got 'Gb'. Known are 'B', 'GB'"),
    ("8 GiBs", ValueError, "expects a unit of memory; got 'GiBs'"),
    ("0 GB", ValueError, "expects one byte or more"),
    (0, ValueError, "expects one byte or more"),
    (float("nan"), ValueError, "expects one byte or more"),
    (float("inf"), ValueError, "expects one byte or more"),
    (True, TypeError, "expects an amount of memory; got True"),
    ([8], TypeError, r"expects an amount of memory; got \[8\]"),
])
def test_budgets_are_read_strictly(budget, kind, words):
    plan = small().plan(4, input_shape=(3,))
    with pytest.raises(kind, match=words):
        plan.largest_batch(budget)


# ---- no trace, and the table --------------------------------------------------------------------


def state_of(model: Model) -> Any:
    parts = [model, model.optimizer, model.loss, *model.module.modules()]
    held = [(dict(vars(part)), type(part)) for part in parts]
    numbers = [each.clone() for each in [*model.module.buffers(),
               *(tensor for p in model.module.parameters() for tensor in (p.data, p.grad))]]
    return held, numbers, global_states()


def assert_same(before: Any, after: Any) -> None:
    for (one, kind), (other, other_kind) in zip(before[0], after[0], strict=True):
        assert one.keys() == other.keys() and kind is other_kind
        assert all(value is other[name] or value == other[name] for name, value in one.items())
    assert all(map(torch.equal, before[1], after[1]))
    assert all(map(np.array_equal, leaves(before[2]), leaves(after[2])))


class Draws(Module):
    """Draws from the global generators, whatever the device."""

    def forward(self, x):
        torch.rand(2, device="cpu")
        self.save_for_backward()
        return x * float(np.random.rand() > 2)

    def backward(self, dy):
        self.saved_tensors()
        return 0 * dy


def test_what_a_module_draws_is_undrawn():
    model, before = compiled(Linear(2), Draws(), loss="mse"), global_states()
    model.plan(4, input_shape=(3,))
    assert all(map(np.array_equal, leaves(before), leaves(global_states())))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_no_trace_is_left(trained, fails):
    model = conv_net("adam")
    if trained:
        model.fit(*batch_for(model, 8), epochs=2, verbose=0)
    before = state_of(model)
    if fails:
        with pytest.raises(ValueError, match="expects"):
            model.plan(8, np.zeros((2, 3, 24, 24)), np.zeros((2, 4, 4)))
    else:
        model.plan(8, input_shape=(3, 24, 24))
        model.plan(8, input_shape=(3, 24, 24), training=False)
    assert_same(before, state_of(model))
    assert not torch.empty(0).is_meta


def test_a_plan_in_the_middle_of_a_fit_changes_no_bit():
    from kerasish.callbacks import LambdaCallback

    weights = []
    for asks in (False, True):
        model = mlp("adam")
        x, y = batch_for(model, 64)
        hook = LambdaCallback(on_train_batch_end=lambda batch, logs, m=model: m.plan(16))
        torch.manual_seed(0)
        model.fit(x.fill_(0.5), y.fill_(1), callbacks=[hook] if asks else [], seed=1, verbose=0)
        weights.append(model.module.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_table_is_aligned_and_says_where_the_peak_is():
    plan = small().plan(5, input_shape=(3,))
    lines = str(plan).splitlines()
    assert lines[0] == "A step of training, batch_size=5"
    assert lines[-1] == "Peak: 1.03 kB (1,028 bytes), at the backward of 0 Linear"
    ends = {len(line) for line in lines if line.endswith("B") and "Linear" in line}
    assert len(ends) == 1
    assert repr(plan) == "<MemoryPlan: batch_size=5, peak 1.03 kB at the backward of 0 Linear>"
    assert str(small().plan(5, input_shape=(3,), training=False)).startswith("A prediction,")
