"""Model.plan: what it says beforehand is what torch's memory profiler sees afterwards."""

import copy
import re

import numpy as np
import pytest
import torch

from kerasish import Model, Sequential
from kerasish.containers import Graph, Input, Recompute
from kerasish.layers import LSTM, Flatten, Linear, Tanh
from kerasish.losses import MSE
from kerasish.module import Module
from kerasish.optimizers import SGD, Adam
from tests.insight.measured import measured_peak
from tests.insight.memory_nets import batch_for, compiled, conv_net, mlp, small, transformer

NETS = {"mlp": mlp, "conv_net": conv_net, "transformer": transformer,
        "without dropout": lambda optimizer: transformer(optimizer, 0.0)}
X = torch.ones(4, 3)


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
    assert plan.kept == 2 * 4 * 5  # for each bias a row of ones
    assert plan.saved == 4 * 5 * 4  # tanh h, which Tanh and Linear(2) both keep; x is the batch
    last_step, this_step, loss_dy = 40 + 4, 40 + 4, 40  # y_pred and L; y_pred and L; dy_pred
    saved, dh, through_tanh = 80, 80, 80
    assert plan.activations == last_step + this_step + loss_dy + saved + dh + through_tanh
    assert plan.peak == 512 + 100 + 40 + 368
    assert plan.peak_at == "backward of 0 Linear"
    assert plan.rows[0].backward == plan.peak
    assert plan.rows[0].workspace == through_tanh
    assert plan.rows[1][2:] == (0, 0, 0, 0, 0)  # Linear runs its kernels


def test_of_more_rows_a_bias_takes_their_sum_instead():
    plan = small().plan(300, input_shape=(3,))
    assert plan.kept == 0
    assert plan.activations == 2 * (2400 + 4) + 2400 + 3 * 4800 + 16


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
    whole = model.plan(300, input_shape=(64,))
    model.module[0].trainable = False
    frozen = model.plan(300, input_shape=(64,))
    assert whole.rows[0].backward > frozen.rows[0].backward == 0
    dx, sum_of_rows = 300 * 64 * 4, 64 * 4  # there is no dx, so the bias decides
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
    with pytest.raises(ValueError, match=r"a loss for each of several targets; got Cross.*'a'"):
        model.plan(4, np.zeros((2, 5)), {"a": np.zeros(2, int)})


@pytest.mark.parametrize(("y", "got"), [
    (X, "got (Tensor|a single one)"), ({"a": X}, r"got \['a'\]"),
    ({"a": X, "c": X}, r"got \['a', 'c'\]")])
def test_targets_of_other_outputs_are_refused_as_in_a_fit(y, got):
    x = Input((3,))
    model = Model(Graph(x, {"a": Linear(3)(x), "b": Linear(3)(x)}), device="cpu")
    model.compile("sgd", {"a": "mse", "b": "mse"})
    message = rf"^y expects targets with the outputs \['a', 'b'\] in a dict; {got}"
    for ask in (model.fit, lambda x, y: model.plan(4, x, y)):
        with pytest.raises(ValueError, match=message):
            ask(X, y)


@pytest.mark.parametrize("shape", [3, "x", (3.5,), (-1,), {"a": 3}, ((3,), "x")])
def test_an_input_shape_that_is_none_is_refused_at_the_door(shape):
    with pytest.raises(ValueError, match=r"plan\(input_shape\) expects the shape of a sample, .*; "
                                         rf"got {re.escape(repr(shape))}. Write input_shape"):
        mlp().plan(4, input_shape=shape)
