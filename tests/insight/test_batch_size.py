"""find_batch_size: the largest that fits, known beforehand; the fastest; and a model as it was."""

import random
import signal
import sys

import numpy as np
import pytest
import torch

import kerasish
from kerasish import Model, find_batch_size, progress
from kerasish.callbacks import Callback
from kerasish.insight import BatchSizes
from kerasish.insight.tuning.batch_size import BatchSize
from kerasish.layers import BatchNorm1d, Dropout, Linear, ReLU, Tanh
from kerasish.optimizers import Adam
from kerasish.schedules import ExponentialDecay
from tests.traces import everything

X = torch.linspace(-1, 1, 120).view(40, 3)
Y = X.sum(1, keepdim=True) ** 2


class Work:
    """A clock that only planted work moves on."""

    now = 0.0

    def __call__(self):
        return Work.now


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Few steps a size: what is measured here are counts."""
    monkeypatch.setattr(sys.modules["kerasish.insight.tuning.batch_size"], "_SECONDS", 0.0)


@pytest.fixture
def work(monkeypatch):
    module = sys.modules["kerasish.insight.tuning.batch_size"]
    monkeypatch.setattr(module, "clock_of", lambda _: Work())


def compiled(*modules, optimizer="sgd", **settings):
    model = Model(*modules, device="cpu")
    model.compile(optimizer, loss="mse", **settings)
    return model


class Bounded(Tanh):
    """Has room for so many samples; keeps how many it was tried with."""

    def __init__(self, room, error=MemoryError):
        self.room, self.error, self.tried = room, error, []

    def __deepcopy__(self, memo):
        return self  # what a copy is tried with is seen

    def forward(self, x):
        self.tried.append(len(x))
        if len(x) > self.room:
            raise self.error("DefaultCPUAllocator: can't allocate memory: you tried 99 bytes")
        return super().forward(x)


def sizes(found):
    return [row.batch_size for row in found.rows]


# ---- known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError, RuntimeError])
def test_the_largest_size_that_memory_is_left_for_is_found(error) -> None:
    model = compiled(Linear(1), Bounded(21, error))
    found = find_batch_size(model, X, Y)
    assert sizes(found) == [1, 2, 4, 8, 16, 21] and (found.largest, found.too_large) == (21, 22)
    assert {*model.module[1].tried} == {1, 2, 4, 8, 16, 32, 24, 20, 22, 21}


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    class Failing(Tanh):
        def forward(self, x):
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        find_batch_size(compiled(Linear(1), Failing()), X, Y)


def test_the_largest_size_within_a_budget_is_exact() -> None:
    model = compiled(Linear(3, 64), Tanh(), Linear(64, 1))
    peaks = {row.batch_size: row.peak_bytes for row in find_batch_size(model, X, Y, most=40).rows}
    per_sample = (peaks[32] - peaks[16]) // 16
    for largest in (19, 33):
        between = per_sample // 2  # losses that wait to be added up make a few bytes of difference
        budget = peaks[16] + per_sample * (largest - 16) + between
        found = find_batch_size(model, X, Y, budget=budget)
        assert found.largest == largest and 0 <= budget - found.rows[-1].peak_bytes < per_sample
        assert find_batch_size(model, X, Y, budget=budget - per_sample).largest == largest - 1


def test_a_budget_may_have_a_unit() -> None:
    found = find_batch_size(compiled(Linear(3, 64), Tanh(), Linear(64, 1)), X, Y, budget="20 kB")
    assert found.budget == 20_000 and found.largest < 32


def test_a_budget_is_kept_while_it_is_looked_for() -> None:
    spy = Bounded(1000)
    model = compiled(Linear(3, 64), spy, Linear(64, 1))
    found = find_batch_size(model, X, Y, budget=20_000)
    assert max(spy.tried) == found.largest < 32


def test_a_size_that_is_seen_to_need_more_than_foreseen_does_not_fit() -> None:
    class Steep(Tanh):
        def forward(self, x):
            torch.ones(len(x) ** 3)
            return super().forward(x)

    found = find_batch_size(compiled(Linear(1), Steep()), X, Y, budget=4 * 8**3)
    assert 4 <= found.largest < 8


def test_not_even_the_smallest_may_fit() -> None:
    found = find_batch_size(compiled(Linear(1)), X, Y, budget=10)
    assert found.rows == [] and found.suggestion is found.largest is None
    assert str(found).splitlines()[-1] == "Not even a batch of 1 fits into 10 B."


def test_sizes_double_up_to_the_number_of_samples_or_what_is_asked_for() -> None:
    model = compiled(Linear(1))
    assert sizes(find_batch_size(model, X, Y)) == [1, 2, 4, 8, 16, 32, 40]
    assert sizes(find_batch_size(model, X, Y, most=5)) == [1, 2, 4, 5]
    found = find_batch_size(model, X, Y, most=100)  # samples come again
    assert sizes(found) == [1, 2, 4, 8, 16, 32, 64, 100] and found.largest is None


def test_it_trains_on_all_samples_and_again_on_the_first_ones() -> None:
    seen: dict[int, torch.Tensor] = {}

    class Spy(Tanh):
        def forward(self, x):
            assert self.training
            seen[len(x)] = x.clone()
            return super().forward(x)

    find_batch_size(compiled(Spy(), Linear(1)), X, Y, most=50)
    assert torch.equal(seen[32], X[:32]) and torch.equal(seen[50], torch.cat([X, X[:10]]))


def test_what_a_step_without_memory_has_saved_is_let_go() -> None:
    class Below(Bounded):
        def forward(self, x):
            assert not self._saved
            return super().forward(x)

    found = find_batch_size(compiled(Linear(1), Below(1000), Bounded(21)), X, Y)
    assert found.largest == 21


def test_a_module_that_needs_more_samples_gets_them() -> None:
    assert sizes(find_batch_size(compiled(BatchNorm1d(), Linear(1)), X, Y, most=8)) == [2, 4, 8]
    assert sizes(find_batch_size(compiled(BatchNorm1d(), Linear(1)), X[:1], Y[:1])) == [2]


def test_speed_is_samples_over_the_time_of_a_step(work) -> None:
    class Slow(Tanh):
        def forward(self, x):
            Work.now += (10 + len(x)) / 1000
            return super().forward(x)

    found = find_batch_size(compiled(Linear(1), Slow()), X, Y, most=256)
    assert [row.step_ms for row in found.rows] == pytest.approx(
        [10 + size for size in (1, 2, 4, 8, 16, 32, 64, 128, 256)])
    assert found.rows[3].samples_per_second == pytest.approx(8 / 0.018)
    assert found.suggestion == 128, "the first with 90 % of 256 samples in 266 ms"


def test_it_tries_no_larger_batch_after_a_very_slow_step(work) -> None:
    class Slow(Tanh):
        def forward(self, x):
            Work.now += len(x) / 3
            return super().forward(x)

    assert sizes(find_batch_size(compiled(Linear(1), Slow()), X, Y)) == [1, 2, 4, 8]


# ---- no trace -----------------------------------------------------------------------------------


def any_model():
    return compiled(
        Linear(6), BatchNorm1d(), ReLU(), Dropout(0.5), Linear(1), metrics=["mae"],
        optimizer=Adam(ExponentialDecay(0.01, 10, 0.9), use_ema=True,
                       gradient_accumulation_steps=2))


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
    assert find_batch_size(model, X, Y, budget=4000).largest > 1
    assert everything(model) == before


@pytest.mark.parametrize("how", ["error", "Ctrl-C"])
@pytest.mark.parametrize("built", [True, False])
def test_it_leaves_no_trace_where_it_is_broken_off(how, built) -> None:
    class Failing(Tanh):
        def backward(self, dy):
            if len(dy) == 16:
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
        find_batch_size(model, X, Y)
    assert everything(model) == before


def test_it_can_be_asked_in_the_middle_of_a_fit() -> None:
    class Asks(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(find_batch_size(self.model, X, Y, most=8))

    def fitted(*callbacks):
        model = any_model()
        model.fit(X, Y, batch_size=20, verbose=0, seed=1, callbacks=[*callbacks])
        return model.module.state_dict()

    seen: list[BatchSizes] = []
    one, other = fitted(Asks()), fitted()
    assert len(seen) == 2 and all(torch.equal(one[name], other[name]) for name in one)


# ---- what it takes and shows --------------------------------------------------------------------


def test_the_table_and_the_sentences(capsys) -> None:
    rows = [BatchSize(1, 0.5, 1200), BatchSize(128, 2.0, 3_500_000), BatchSize(256, 4.1, 7_000_000)]
    BatchSizes(rows, 1000, 8_000_000, 290).print()
    assert capsys.readouterr().out == """\
Batch size  Samples a second  ms a step  Steps an epoch  Memory
---------------------------------------------------------------
1                      2,000        0.5            1000  1.2 kB
128                   64,000          2               8  3.5 MB
256                   62,439        4.1               4    7 MB
Suggested batch size: 128, the smallest with 90% of the best speed. Larger batches make fewer
    updates: look for their learning rate with lr_find.
The largest that fits into 8 MB: 256.
"""
    found = BatchSizes(rows, 1000)
    assert str(found).endswith("All sizes up to 256 fit into memory.")
    assert repr(found) == "<BatchSizes of 3 sizes, suggestion 128>"


def test_several_inputs_and_weights() -> None:
    from kerasish.containers import Add, Graph, Input

    a, b = Input((3,)), Input((3,))
    model = compiled(Graph((a, b), Linear(1)(Add()((a, b)))))
    found = find_batch_size(model, (X, X), Y, sample_weight=torch.ones(40), most=64)
    assert found.rows[-1].batch_size == 64


@pytest.mark.parametrize(("changes", "message"), [
    ({"budget": 0}, r"find_batch_size\(budget\) expects one byte or more; got 0"),
    ({"budget": "8gb"}, r"find_batch_size\(budget\) expects a unit .*; got 'gb'. .*'GB'"),
    ({"most": 0}, r"find_batch_size\(most\) expects a whole number of at least 1; got 0"),
    ({"y": None}, r"find_batch_size\(y\) expects targets"),
    ({"x": X[:3]}, r"find_batch_size\(x, y\) expects as many samples"),
    ({"x": X[:0], "y": Y[:0]}, r"find_batch_size\(x\) expects at least one sample"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message) -> None:
    model = compiled(Linear(1))
    with pytest.raises(ValueError, match=message):
        find_batch_size(model, **{"x": X, "y": Y} | changes)
    assert not model.built


def test_most_below_what_a_module_needs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"find_batch_size\(most\) expects 2 or more, for Batch.*"):
        find_batch_size(compiled(Linear(3), BatchNorm1d(), Linear(1)), X, Y, most=1)


def test_a_model_that_is_not_compiled_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"^find_batch_size\(model\) expects a compiled"):
        find_batch_size(Model(Linear(1), device="cpu"), X, Y)


def test_it_is_on_top() -> None:
    assert kerasish.find_batch_size is kerasish.insight.find_batch_size


# ---- progress -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("terminal", "patience", "shows"), [
    (True, 0.0, True), (True, 100.0, False), (False, 0.0, False),
])  # fmt: skip
def test_what_takes_long_is_counted_on_a_terminal(
    terminal, patience, shows, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(progress, "draws_bars", lambda: terminal)
    monkeypatch.setattr(progress, "_PATIENCE", patience)
    assert list(progress.counted(iter(range(50)), "Counting", 50)) == list(range(50))
    assert ("Counting" in capsys.readouterr().out) == shows


def test_a_bar_is_closed_and_the_error_goes_on(monkeypatch) -> None:
    def items():
        yield 1
        yield 2
        raise ArithmeticError("planted")

    class Bar:
        n, open = 0, True

        def update(self, more):
            self.n += more

        def close(self):
            self.open = False

    bar = Bar()
    monkeypatch.setattr(progress, "draws_bars", lambda: True)
    monkeypatch.setattr(progress, "_bar", lambda title, total: bar)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with pytest.raises(ArithmeticError, match="planted"):
        list(progress.counted(items(), "Counting", 9))
    assert bar.n == 2 and not bar.open


def test_what_cannot_be_shown_is_done_all_the_same(monkeypatch) -> None:
    def broken(*_):
        raise OSError("closed")

    monkeypatch.setattr(progress, "draws_bars", lambda: True)
    monkeypatch.setattr(progress, "_bar", broken)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    assert list(progress.counted([1, 2], "Counting")) == [1, 2]
