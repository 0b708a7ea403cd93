"""What every optimizer takes: decay, clipping, accumulation, averages; and in which order."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from kerasish import Parameter
from kerasish.constraints import Constraint, NonNeg
from kerasish.containers import Sequential
from kerasish.layers import Linear
from kerasish.optimizers import LAMB, SGD, Adagrad, Adam, AdamW, Nadam, Optimizer, RMSprop
from kerasish.regularizers import L2
from tests.optimizers.rows import (
    STEPS,
    Row,
    assert_equal,
    give_gradients,
    one_of_each,
    parameters,
    step_both,
    twins,
)
from tests.table import numbers

EVERYTHING: dict[str, Any] = {
    "weight_decay": 0.1, "global_clipnorm": 0.5, "gradient_accumulation_steps": 3, "use_ema": True,
    "ema_momentum": 0.8, "ema_overwrite_frequency": 2,
}


def moved(optimizer: Optimizer, gradients: list[list[float]]) -> list[list[float]]:
    """Where SGD with rate 1 takes parameters of zeros: minus what it makes of their gradients."""
    own = [Parameter(torch.zeros(len(g), dtype=torch.float64)) for g in gradients]
    optimizer.build(own)
    for parameter, gradient in zip(own, gradients, strict=True):
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
    return [(-p.data).tolist() for p in own]


# ---- nothing that is not asked for ----------------------------------------------------------


@one_of_each
def test_an_optimizer_without_settings_does_nothing_but_update(row: Row) -> None:
    optimizer = row.make(0.1).build(parameters())
    (stage,) = optimizer._stages
    assert stage.func == optimizer.update_all and stage.args == (optimizer._segments,)


@one_of_each
def test_all_settings_together_are_kept_and_give_finite_weights(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1, **EVERYTHING).build(own)
    own[0].regularizer, own[1].constraint = L2(0.1), NonNeg()
    answers = []
    for step in range(12):
        give_gradients(own, step)
        answers.append(optimizer.step(rows=step + 1))
    assert answers == [False, False, True] * 4 and optimizer.iterations == 4
    assert all(p.data.isfinite().all() for p in own) and (own[1].data >= 0).all()
    assert EVERYTHING.items() <= optimizer.get_config().items()


@one_of_each
def test_a_copy_in_the_middle_of_an_accumulation_goes_on_alike(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1, **EVERYTHING).build(own)
    for step in range(5):
        give_gradients(own, step)
        optimizer.step()
    copies = [copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    for each in (optimizer, *copies):
        for step in range(5, 12):
            give_gradients(each.parameters, step)
            each.step()
        each.finalize()
    for each in copies:
        assert all(torch.equal(p.data, o.data)
                   for p, o in zip(own, each.parameters, strict=True))


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="clipnrom"):
        SGD(0.1, clipnrom=1.0)  # type: ignore[call-arg]


# ---- weight decay ---------------------------------------------------------------------------


@one_of_each
def test_decay_is_decoupled_and_leaves_out_what_does_not_decay(row: Row) -> None:
    own = parameters()
    theirs = twins(own)
    optimizer = row.make(0.01, weight_decay=0.3).build(own)
    twin = row.twin(theirs, lr=0.01)
    for step in range(STEPS):
        for parameter, nn_parameter in zip(own, theirs, strict=True):
            if parameter.decay:
                nn_parameter.data -= 0.01 * 0.3 * nn_parameter.data
        step_both(own, optimizer, theirs, twin, step)
        assert_equal(own, theirs)


def test_adamw_is_that_of_torch_where_weights_decay() -> None:
    own = parameters()
    theirs = twins(own)
    groups = [{"params": [t for p, t in zip(own, theirs, strict=True) if p.decay]},
              {"params": [t for p, t in zip(own, theirs, strict=True) if not p.decay],
               "weight_decay": 0.0}]
    optimizer, twin = AdamW(0.1).build(own), torch.optim.AdamW(groups, lr=0.1)
    for step in range(STEPS):
        step_both(own, optimizer, theirs, twin, step)
        assert_equal(own, theirs)


@pytest.mark.parametrize("frozen", [0, 2, 4])
def test_decay_meets_each_weight_once_whatever_is_frozen_between(frozen: int) -> None:
    own = parameters()
    before = [p.data.clone() for p in own]
    own[frozen].trainable = False
    SGD(0.1, weight_decay=0.5).build(own).step()
    for i, (parameter, data) in enumerate(zip(own, before, strict=True)):
        shrunk = parameter.decay and i != frozen
        torch.testing.assert_close(parameter.data, 0.95 * data if shrunk else data)


def test_what_is_frozen_does_not_decay_and_a_later_decay_acts_at_once() -> None:
    own = [Parameter(torch.ones(3)) for _ in range(2)]
    own[0].trainable = False
    optimizer = SGD(0.5, weight_decay=None).build(own)
    optimizer.step()
    assert (own[1].data == 1).all()
    optimizer.weight_decay = 0.5
    optimizer.step()
    assert (own[0].data == 1).all() and (own[1].data == 0.75).all()
    own[1].decay = False
    optimizer.step()
    assert (own[1].data == 0.75).all()


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1"])
def test_a_decay_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"RMSprop\(weight_decay\) expects a finite number of 0"):
        RMSprop(weight_decay=value)
    with pytest.raises(ValueError, match=r"AdamW\(weight_decay\) expects"):
        AdamW(0.1, value)


# ---- clipping -------------------------------------------------------------------------------


GRADIENTS = [[3.0, -4.0], [0.3, 0.4], [0.0, 0.0, 12.0]]  # norms 5, 1/2 and 12: together 13.01


@pytest.mark.parametrize(("settings", "expected"), [
    ({"clipvalue": 2.0}, [[2.0, -2.0], [0.3, 0.4], [0.0, 0.0, 2.0]]),
    ({"clipnorm": 1.0}, [[0.6, -0.8], [0.3, 0.4], [0.0, 0.0, 1.0]]),
    ({"clipnorm": 100.0}, GRADIENTS),
    ({"global_clipnorm": 169.25**0.5 / 2}, [[1.5, -2.0], [0.15, 0.2], [0.0, 0.0, 6.0]]),
    ({"global_clipnorm": 14.0}, GRADIENTS),
])
def test_gradients_are_clipped(settings: Any, expected: list[list[float]]) -> None:
    for got, wanted in zip(moved(SGD(1.0, **settings), GRADIENTS), expected, strict=True):
        assert got == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize("name", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_gradients_of_zero_stay_zero(name: str) -> None:
    settings: Any = {name: 1.0}
    assert moved(SGD(1.0, **settings), [[0.0], [0.0, 0.0]]) == [[0.0], [0.0, 0.0]]


@pytest.mark.parametrize("name", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_clipping_agrees_with_torch_in_each_step(name: str) -> None:
    own, settings = parameters(), {name: 0.3}
    theirs = twins(own)
    optimizer, twin = SGD(0.1, **settings).build(own), torch.optim.SGD(theirs, lr=0.1)
    for step in range(3):
        give_gradients(own, step)
        for parameter, nn_parameter in zip(own, theirs, strict=True):
            nn_parameter.grad = parameter.grad.clone()
        optimizer.step()
        if name == "clipvalue":
            torch.nn.utils.clip_grad_value_(theirs, 0.3)
        for group in [theirs] if name == "global_clipnorm" else [[each] for each in theirs]:
            if name != "clipvalue":
                torch.nn.utils.clip_grad_norm_(group, 0.3)
        twin.step()
    for parameter, nn_parameter in zip(own, theirs, strict=True):
        torch.testing.assert_close(parameter.data, nn_parameter.data, rtol=1e-5, atol=1e-5)


def test_the_global_norm_is_that_of_what_is_trained_whatever_its_type_and_rate() -> None:
    own = [Parameter(torch.zeros(2)), Parameter(torch.zeros(2, dtype=torch.float64)),
           Parameter(torch.zeros(1)), Parameter(torch.zeros(1))]
    own[2].trainable, own[3].learning_rate_multiplier = False, 0.5
    optimizer = SGD(1.0, global_clipnorm=6.5).build(own)
    for parameter, gradient in zip(own, [[3.0, 0.0], [0.0, 4.0], [100.0], [12.0]], strict=True):
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer.step()
    assert [(-p.data).tolist() for p in own] == [[1.5, 0.0], [0.0, 2.0], [0.0], [3.0]]


@pytest.mark.parametrize(("name", "bad", "expected"), [
    ("clipvalue", torch.nan, [[torch.nan, 1.0], [1.0]]), ("clipvalue", torch.inf, [[1, 1], [1]]),
    ("clipnorm", torch.nan, [[torch.nan, torch.nan], [1.0]]),
    ("clipnorm", torch.inf, [[torch.nan, 0.0], [1.0]]),
    ("global_clipnorm", torch.nan, [[torch.nan, torch.nan], [torch.nan]]),
    ("global_clipnorm", torch.inf, [[torch.nan, 0.0], [0.0]]),
])
def test_gradients_that_are_not_finite_do_as_in_torch(name: str, bad: float, expected: Any) -> None:
    settings: Any = {name: 1.0}
    got = moved(SGD(1.0, **settings), [[bad, 3.0], [4.0]])
    torch.testing.assert_close([torch.tensor(g) for g in got],
                               [torch.tensor(e, dtype=torch.float32) for e in expected],
                               equal_nan=True)
    theirs = [torch.zeros(2), torch.zeros(1)]
    theirs[0].grad, theirs[1].grad = torch.tensor([bad, 3.0]), torch.tensor([4.0])
    if name == "clipvalue":
        torch.nn.utils.clip_grad_value_(theirs, 1.0)
    for group in [theirs] if name == "global_clipnorm" else [[each] for each in theirs]:
        if name != "clipvalue":
            torch.nn.utils.clip_grad_norm_(group, 1.0)
    torch.testing.assert_close([torch.tensor(g) for g in got], [t.grad for t in theirs],
                               equal_nan=True)


def test_one_kind_of_clipping_is_enough() -> None:
    with pytest.raises(ValueError, match=r"SGD\(clipnorm, clipvalue, global_clipnorm\) expects one "
                                         "of these at most; got clipnorm and global_clipnorm"):
        SGD(clipnorm=1.0, global_clipnorm=1.0)


@pytest.mark.parametrize("name", ["clipvalue", "clipnorm", "global_clipnorm"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "1"])
def test_limits_are_above_zero(name: str, value: Any) -> None:
    settings: Any = {name: value}
    with pytest.raises(ValueError, match=rf"Adam\({name}\) expects a finite number above 0"):
        Adam(**settings)


# ---- accumulation ---------------------------------------------------------------------------


ROWS = [5, 1, 3]


@pytest.mark.parametrize("clip", [{}, {"clipvalue": 0.1}, {"clipnorm": 0.2},
                                  {"global_clipnorm": 0.2}], ids=str)
@one_of_each
def test_accumulated_and_clipped_equals_the_large_batch_clipped(row: Row, clip: Any) -> None:
    own, other = parameters(), parameters()
    for parameter in (own[0], other[0]):
        parameter.regularizer = L2(0.1)
    small = row.make(0.1, gradient_accumulation_steps=3, **clip).build(own)
    large = row.make(0.1, **clip).build(other)
    assert small.accumulates and not large.accumulates
    for step in range(4):
        samples = [numbers(sum(ROWS), *p.shape, seed=100 * step + i) for i, p in enumerate(own)]
        for parameter, gradients in zip(other, samples, strict=True):
            parameter.grad = gradients.mean(0)
        for k, rows in enumerate(ROWS):
            for parameter, gradients in zip(own, samples, strict=True):
                parameter.grad += rows * gradients.split(ROWS)[k].mean(0)
            assert small.step(rows) is (k == 2)
        assert large.step(sum(ROWS)) is True
        small.zero_grad()
        assert_equal(own, [p.data for p in other])
    assert small.iterations == large.iterations == 4


def accumulating(steps: int, **settings: Any) -> tuple[Parameter, Optimizer]:
    parameter = Parameter(torch.zeros(1))
    optimizer = SGD(1.0, gradient_accumulation_steps=steps, **settings)
    return parameter, optimizer.build([parameter])


def test_left_over_micro_batches_are_flushed_with_their_true_count() -> None:
    parameter, optimizer = accumulating(4)
    for _ in range(3):
        parameter.grad += 6.0
        assert optimizer.step() is False
    assert not parameter.data.any() and optimizer.iterations == 0
    assert optimizer.flush() is True
    assert parameter.data == -6 and optimizer.iterations == 1
    optimizer.zero_grad()
    assert optimizer.flush() is False and optimizer.iterations == 1 and parameter.data == -6
    parameter.grad += 1.0
    assert [optimizer.step() for _ in range(4)] == [False, False, False, True]


def test_flush_weighs_by_rows() -> None:
    parameter, optimizer = accumulating(3)
    for rows, mean in ((2, 5.0), (3, 10.0)):
        parameter.grad += rows * mean
        optimizer.step(rows)
    optimizer.flush()
    assert parameter.data == -8


def test_without_accumulation_there_is_nothing_to_flush_and_rows_do_not_matter() -> None:
    parameter = Parameter(torch.zeros(1))
    optimizer = SGD(1.0).build([parameter])
    parameter.grad += 1.0
    assert optimizer.step(rows=7) is True and optimizer.flush() is False
    assert parameter.data == -1 and optimizer.iterations == 1


def test_clearing_the_gradients_forgets_waiting_micro_batches() -> None:
    parameter, optimizer = accumulating(2)
    parameter.grad += 100.0
    optimizer.step(50)
    optimizer.zero_grad()
    assert optimizer.flush() is False
    for answer in (False, True):
        parameter.grad += 2.0
        assert optimizer.step() is answer
    assert parameter.data == -2


def test_a_schedule_counts_updates() -> None:
    parameter, optimizer = accumulating(2)
    optimizer.learning_rate = lambda step: 1.0 + step
    for _ in range(2):
        parameter.grad += 1.0
        optimizer.step()
    assert optimizer.learning_rate == 2 and optimizer.iterations == 1


@pytest.mark.parametrize("value", [0, 1, -2, 2.0, "2", True])
def test_fewer_than_two_steps_do_not_accumulate(value: Any) -> None:
    with pytest.raises(ValueError, match=r"SGD\(gradient_accumulation_steps\) expects a whole "
                                         r"number of at least 2; got .* None updates in every"):
        SGD(gradient_accumulation_steps=value)


def test_without_parameters_to_train_the_first_micro_batch_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"SGD\(.*\)\.step\(\) expects parameters to train"):
        SGD(gradient_accumulation_steps=2).step()


def test_what_is_frozen_after_the_last_micro_batch_is_not_flushed() -> None:
    parameter, optimizer = accumulating(2)
    parameter.grad += 1.0
    optimizer.step()
    parameter.trainable = False
    assert optimizer.flush() is True and parameter.data == 0


@pytest.mark.parametrize("rows", [0, -1, 2.5])
def test_a_micro_batch_has_rows(rows: Any) -> None:
    _, optimizer = accumulating(2)
    with pytest.raises(ValueError, match=r"SGD\.step\(rows\) expects a whole number of at least 1"):
        optimizer.step(rows)
    assert optimizer.step() is False  # the refused one was not counted


# ---- running averages -----------------------------------------------------------------------


def averages(own: list[Parameter], optimizer: Optimizer) -> list[torch.Tensor]:
    """The averages of the weights, looked at by swapping them in and out again."""
    optimizer.swap_ema()
    seen = [p.data.clone() for p in own]
    optimizer.swap_ema()
    return seen


@one_of_each
def test_averages_follow_their_formula(row: Row) -> None:
    own, other = parameters(), parameters()
    optimizer = row.make(0.1, use_ema=True, ema_momentum=0.7).build(own)
    plain = row.make(0.1).build(other)
    naive: list[torch.Tensor] = []
    for step in range(6):
        for each, params in ((optimizer, own), (plain, other)):
            give_gradients(params, step)
            each.step()
        assert all(torch.equal(p.data, o.data) for p, o in zip(own, other, strict=True))
        naive = [0.7 * average + 0.3 * p.data for average, p in zip(naive, own, strict=True)
                 ] if step else [p.data.clone() for p in own]
        torch.testing.assert_close(averages(own, optimizer), naive, rtol=1e-12, atol=1e-12)
    optimizer.finalize()
    assert_equal(own, naive)
    optimizer.finalize()
    assert_equal(own, naive)


def test_weights_are_overwritten_every_few_updates() -> None:
    parameter = Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    optimizer.build([parameter])
    parameter.grad -= 1.0
    weights = []
    for _ in range(6):
        optimizer.step()
        weights.append(parameter.data.item())
    # averages 1, 1.5, 2.25 (weight 3 becomes 2.25), then of 3.25, 4.25: 2.75, 3.5, and of 5.25
    assert weights == [1, 2, 2.25, 3.25, 4.25, 4.375]


def test_averages_count_updates_not_micro_batches() -> None:
    parameter, optimizer = accumulating(2, use_ema=True, ema_momentum=0.5)
    for _ in range(4):
        parameter.grad = torch.tensor([-2.0])
        optimizer.step()
    assert parameter.data == 2 and averages([parameter], optimizer) == [torch.tensor([1.5])]


def test_before_the_first_update_there_are_no_averages() -> None:
    own = parameters()
    optimizer = Adam(use_ema=True).build(own)
    for act in (optimizer.swap_ema, optimizer.finalize):
        act()
        assert_equal(own, [p.data for p in parameters()])


def test_without_averages_the_weights_stay_as_they_are() -> None:
    own = parameters()
    optimizer = SGD(0.0).build(own)
    optimizer.step()
    optimizer.finalize()
    optimizer.swap_ema()
    assert_equal(own, [p.data for p in parameters()])


def test_what_is_frozen_keeps_its_weights_and_goes_on_from_them_when_thawed() -> None:
    own = [Parameter(torch.full((1,), 4.0)) for _ in range(2)]
    own[0].trainable = False
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5).build(own)
    for _ in range(3):
        give_ones(own)
        optimizer.step()
    own[0].trainable, own[1].trainable = True, False
    give_ones(own)
    optimizer.step()  # weights 3 and 1; averages 4 and 2 before it
    assert averages(own, optimizer) == [torch.tensor([3.5]), torch.tensor([1.0])]
    optimizer.finalize()
    assert [p.data.item() for p in own] == [3.5, 1.0]


def give_ones(own: list[Parameter]) -> None:
    for parameter in own:
        parameter.grad.fill_(1.0)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), None])
def test_the_momentum_of_averages_is_a_share(value: Any) -> None:
    with pytest.raises(ValueError, match=r"SGD\(ema_momentum\) expects a number from 0 to 1"):
        SGD(use_ema=True, ema_momentum=value)


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_the_frequency_of_averages_is_a_count(value: Any) -> None:
    with pytest.raises(ValueError, match=r"SGD\(ema_overwrite_frequency\) expects .* None is for"):
        SGD(use_ema=True, ema_overwrite_frequency=value)


def test_averages_are_made_outside_inference_mode() -> None:
    own = parameters()
    with torch.inference_mode():
        optimizer = SGD(0.1, use_ema=True).build(own)
        optimizer.step()
    optimizer.swap_ema()
    for slots in optimizer.state.values():
        assert list(slots) == ["average"] and not slots["average"].is_inference()


# ---- regularizers, constraints, and the order -----------------------------------------------


def test_regularizers_add_to_the_mean_gradient_before_it_is_clipped() -> None:
    parameter, optimizer = accumulating(2, clipvalue=4.5)
    parameter.data, parameter.regularizer = torch.tensor([2.0]), L2(1.0)
    parameter.grad += 1.0 + 2.0
    optimizer.step()
    optimizer.step()
    assert parameter.data == 2 - 4.5  # of 3 / 2 + 2 · 2
    optimizer.zero_grad()
    parameter.trainable = False
    parameter.grad += 1.0
    optimizer.step()
    optimizer.step()
    assert parameter.grad == 1  # frozen: nothing is added


def test_constraints_come_last_and_spare_what_is_frozen() -> None:
    own = [Parameter(torch.tensor([1.0, -1.0])) for _ in range(3)]
    own[0].constraint = own[1].constraint = NonNeg()
    own[1].trainable = False
    optimizer = SGD(1.0, use_ema=True).build(own)
    for parameter in own:
        parameter.grad.fill_(2.0)
    optimizer.step()
    assert [p.data.tolist() for p in own] == [[0, 0], [1, -1], [-1, -3]]
    assert averages(own, optimizer)[0].tolist() == [-1, -3]  # taken before the constraint


def test_constraints_and_regularizers_act_as_soon_as_they_are_set() -> None:
    parameter = Parameter(torch.tensor([-1.0]))
    optimizer = SGD(0.5).build([parameter])
    parameter.regularizer = L2(0.25)
    optimizer.step()
    assert parameter.data == -0.75
    parameter.regularizer, parameter.constraint = None, NonNeg()
    optimizer.zero_grad()
    optimizer.step()
    assert parameter.data == 0


def test_the_order_of_an_update() -> None:
    told: list[str] = []

    class Told(Constraint):
        def project(self, w: torch.Tensor) -> torch.Tensor:
            told.append(f"constraint at {optimizer.iterations}")
            return w

    class Penalty(L2):
        def gradient(self, w: torch.Tensor) -> torch.Tensor:
            told.append(f"regularizer on mean gradient {parameter.grad.item():g}")
            return super().gradient(w)

    class Recorder(SGD):
        def update(self, w: torch.Tensor, g: torch.Tensor, *slots: torch.Tensor) -> None:
            told.append(f"update of {w[0].item():g} by {g[0].item():g}")
            super().update(w, g, *slots)

    parameter = Parameter(torch.tensor([8.0]))
    parameter.regularizer, parameter.constraint = Penalty(1.0), Told()
    optimizer = Recorder(0.5, weight_decay=0.25, clipvalue=4.0, gradient_accumulation_steps=2)
    optimizer.build([parameter])
    parameter.grad += 6.0
    optimizer.step()
    optimizer.step()
    assert told == ["regularizer on mean gradient 3", "update of 7 by 4", "constraint at 0"]
    assert optimizer.iterations == 1


# ---- multipliers of the rate ----------------------------------------------------------------


@one_of_each
def test_a_multiplier_scales_the_rate_of_its_parameters(row: Row) -> None:
    own = parameters()
    theirs = twins(own)
    multipliers = [0.5, 1.0, 0.5, 0.0, 2.0]
    for parameter, multiplier in zip(own, multipliers, strict=True):
        parameter.learning_rate_multiplier = multiplier
    optimizer = row.make(0.02, weight_decay=0.5).build(own)
    twin = row.twin([{"params": [each], "lr": 0.02 * multiplier}
                     for each, multiplier in zip(theirs, multipliers, strict=True)], lr=0.02)
    for step in range(5):
        for parameter, nn_parameter, multiplier in zip(own, theirs, multipliers, strict=True):
            if parameter.decay:
                nn_parameter.data *= 1 - 0.02 * multiplier * 0.5
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


def test_a_multiplier_of_a_module_acts_at_once_on_all_below_it() -> None:
    net = Sequential(Linear(2), Linear(1))
    net.build((2,))
    optimizer = SGD(1.0).build(net.parameters())
    net.layers[0].learning_rate_multiplier = 0.5
    before = [p.data.clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad.fill_(1.0)
    optimizer.step()
    moves = [before - p.data for before, p in zip(before, net.parameters(), strict=True)]
    assert [(move - by).abs().max() < 1e-6 for move, by in zip(moves, [0.5, 0.5, 1, 1], strict=True)
            ] == [True] * 4


# ---- what is special to one -----------------------------------------------------------------


def test_adagrad_starts_from_its_initial_value() -> None:
    own = parameters()
    theirs = twins(own)
    optimizer = Adagrad(0.1, initial_accumulator_value=0.5).build(own)
    twin = torch.optim.Adagrad(theirs, lr=0.1, initial_accumulator_value=0.5)
    for step in range(5):
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


def test_the_variance_of_a_constant_gradient_is_no_less_than_zero() -> None:
    parameter = Parameter(torch.zeros(64))
    optimizer = RMSprop(0.1, rho=0.5, centered=True).build([parameter])
    parameter.grad.copy_(torch.linspace(0.1, 3.3, 64))
    for _ in range(200):
        optimizer.step()
    assert parameter.data.isfinite().all()


def test_lamb_takes_the_direction_as_it_is_where_a_norm_is_zero() -> None:
    own = [Parameter(torch.zeros(3)), Parameter(torch.full((4,), 2.0)), Parameter(torch.ones(2))]
    optimizer = LAMB(0.1, epsilon=1e-12).build(own)
    for parameter, gradient in zip(own, (5.0, -3.0, 0.0), strict=True):
        parameter.grad.fill_(gradient)
    optimizer.step()  # the direction is the sign of the gradient; norms of w: 0, 4 and √2
    for parameter, value in zip(own, (-0.1, 2 + 0.1 * 2, 1.0), strict=True):
        torch.testing.assert_close(parameter.data, torch.full(parameter.shape, value))


def test_nadam_goes_on_at_once_however_many_updates_were_made() -> None:
    parameter = Parameter(torch.ones(3))
    nadam = Nadam(0.01).build([parameter])
    nadam.iterations = 10**15  # a file may say so
    parameter.grad.fill_(1.0)
    nadam.step()
    assert parameter.data.isfinite().all() and (parameter.data < 1).all()


@pytest.mark.parametrize("make", [Nadam, lambda rate: Nadam(rate, momentum_decay=0.3)])
def test_nadams_product_of_momentums_follows_from_the_iterations(make: Callable[..., Any]) -> None:
    own, other = parameters(), parameters()
    optimizer, restored = make(0.1).build(own), make(0.1).build(other)
    for step in range(6):
        give_gradients(own, step)
        optimizer.step()
        if step == 3:
            for parameter, twin in zip(own, other, strict=True):
                twin.data = parameter.data
            restored.iterations = optimizer.iterations
            for slots, twins_slots in zip(optimizer.state.values(), restored.state.values(),
                                          strict=True):
                for name in slots:
                    twins_slots[name].copy_(slots[name])
        if step > 3:
            give_gradients(other, step)
            restored.step()
    assert all(torch.equal(p.data, o.data) for p, o in zip(own, other, strict=True))
    restored.iterations = 0  # and back
    restored.update(*restored._segments[0][1:3], *restored._segments[0][3])
    assert restored._product == (1, restored._μ(1))
