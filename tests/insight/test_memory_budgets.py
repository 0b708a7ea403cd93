"""Model.plan: the batch that fits a budget, the table, and that no trace is left."""


import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import LambdaCallback
from kerasish.layers import BatchNorm1d, Linear, ReLU
from kerasish.losses.factors import factor
from kerasish.module import Module
from kerasish.random import global_states
from kerasish.trees import leaves
from tests.insight.memory_nets import batch_for, compiled, conv_net, mlp, small
from tests.traces import everything

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


def normed():
    return compiled(Linear(32), BatchNorm1d(), ReLU(), Linear(3), optimizer="adam",
                    loss="cross_entropy")


def test_the_search_begins_with_the_least_batch_that_a_net_trains_on():
    model = normed()
    plan = model.plan(input_shape=(2,), budget="1MB")
    assert plan.peak <= 10**6 < model.plan(plan.batch_size + 1, input_shape=(2,)).peak
    tight = model.plan(2, input_shape=(2,)).peak
    assert model.plan(input_shape=(2,), budget=tight).batch_size == 2


def test_the_least_batch_of_a_frozen_norm_and_of_a_prediction_is_one_sample():
    model = normed()
    one = model.plan(1, input_shape=(2,), training=False)
    assert one.largest_batch(one.peak) == 1
    model.module[1].trainable = False
    one = model.plan(1, input_shape=(2,))
    assert one.largest_batch(one.peak) == 1


def test_not_even_the_least_batch_may_fit():
    model = normed()
    tight = model.plan(2, input_shape=(2,)).peak - 1
    with pytest.raises(ValueError, match=(
            r"^plan\(budget\) expects memory for 2 samples at least, the fewest that all modules "
            rf"train on; got {tight}, and 2 samples take .* in all, at the ")):
        model.plan(input_shape=(2,), budget=tight)


@pytest.mark.parametrize("budget", ["8", "8 Gb", "1 B", None])
def test_a_budget_is_refused_in_the_name_of_who_is_asked(budget):
    model = small()
    if budget is not None:
        with pytest.raises(ValueError, match=r"^plan\(budget\) expects"):
            model.plan(input_shape=(3,), budget=budget)
    with pytest.raises((ValueError, TypeError), match=r"^largest_batch\(budget\) expects"):
        model.plan(input_shape=(3,)).largest_batch(budget)


@pytest.mark.parametrize(("x", "what"), [
    (np.zeros((500, 3)), r"a ndarray of shape \(500, 3\)"),
    (torch.zeros(500, 3), r"a Tensor of shape \(500, 3\)"),
    ([[0.0] * 3] * 500, "a list"),
])
def test_data_in_the_place_of_the_batch_size_are_not_printed(x, what):
    with pytest.raises(TypeError, match=rf"^plan\(batch_size\) expects a whole number first; got "
                                        rf"{what}\. Write plan\(32, x, y\)\.$"):
        small().plan(x, torch.zeros(500, 1))
    assert small().plan(np.int64(4), input_shape=(3,)).batch_size == 4


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
    before = everything(model)
    if fails:
        with pytest.raises(ValueError, match="expects"):
            model.plan(8, np.zeros((2, 3, 24, 24)), np.zeros((2, 4, 4)))
    else:
        model.plan(8, input_shape=(3, 24, 24))
        model.plan(8, input_shape=(3, 24, 24), training=False)
    assert everything(model) == before
    assert not torch.empty(0).is_meta


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_plan_before_the_first_step_changes_no_gradient(dtype):
    factor.cache_clear()  # as in a process that has trained nothing yet
    model = Model(Linear(1, bias=False), device="cpu")
    model.compile("sgd", "mse")
    model.module.build((1,))
    model.module.to(dtype=dtype)
    peaks = [model.plan(batch, input_shape=(1,)).peak for batch in (1, 7, 1, 7)]
    assert peaks[:2] == peaks[2:]
    model.module.weight.data = torch.tensor([[3.0]], dtype=dtype)
    model.train_on_batch([[1.0]], [[0.0]])
    assert float(model.module.weight.data) == pytest.approx(3 - 0.01 * 2 * 3)


def test_a_plan_in_the_middle_of_a_fit_changes_no_bit():
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
    assert lines[-1] == "Peak: 1.02 kB (1,020 bytes), at the backward of 0 Linear"
    ends = {len(line) for line in lines if line.endswith("B") and "Linear" in line}
    assert len(ends) == 1
    assert repr(plan) == "<MemoryPlan: batch_size=5, peak 1.02 kB at the backward of 0 Linear>"
    assert str(small().plan(5, input_shape=(3,), training=False)).startswith("A prediction,")


@pytest.mark.parametrize("layers", [(Linear(2), ReLU()), (ReLU(), Linear(2))], ids=repr)
def test_a_row_without_bytes_is_explained(layers):
    model = Model(*layers, device="cpu")
    model.compile("sgd", "mse")
    plan = model.plan(5, input_shape=(3,))
    runs_within = isinstance(layers[1], ReLU)  # the layer before it runs it
    assert runs_within == any(not row.forward for row in plan.rows)
    assert runs_within == ("\nRows without bytes are of modules that are not " in str(plan))
