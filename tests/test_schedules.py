"""Learning rates that change: the numbers of the formulas, and what is refused."""

import math
from typing import Any

import pytest
import torch

from kerasish import Parameter, schedules
from kerasish.optimizers import SGD
from kerasish.schedules import (
    Constant,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    Schedule,
)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (5, 0.1 * 0.5**0.5), (10, 0.05),
                                            (15, 0.1 * 0.5**1.5), (30, 0.0125)])
def test_exponential_decay_follows_its_formula(step: int, rate: float) -> None:
    assert ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(step) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.1), (9, 0.1), (10, 0.05), (19, 0.05),
                                            (20, 0.025)])
def test_a_staircase_goes_down_in_steps(step: int, rate: float) -> None:
    schedule = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5, staircase=True)
    assert schedule(step) == pytest.approx(rate)


def test_a_rate_that_decays_to_zero_stays_there() -> None:
    schedule = ExponentialDecay(0.1, decay_steps=1, decay_rate=0.0)
    assert schedule(0) == 0.1 and schedule(1) == schedule(7) == 0.0


@pytest.mark.parametrize(("step", "rate"), [
    (0, 0.2), (25, 0.1 + 0.1 * math.sqrt(0.5)), (50, 0.1), (75, 0.1 - 0.1 * math.sqrt(0.5)),
    (100, 0.0), (101, 0.0), (10**6, 0.0),
])
def test_cosine_decay_follows_its_formula_and_ends_at_zero(step: int, rate: float) -> None:
    assert CosineDecay(0.2, decay_steps=100)(step) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize(("step", "rate"), [(0, 0.2), (50, 0.125), (100, 0.05), (500, 0.05)])
def test_alpha_is_the_share_of_the_rate_that_remains(step: int, rate: float) -> None:
    assert CosineDecay(0.2, decay_steps=100, alpha=0.25)(step) == pytest.approx(rate)


@pytest.mark.parametrize(("step", "rate"), [
    (0, 0.0), (5, 0.1), (9, 0.18), (10, 0.2), (60, 0.1), (110, 0.0), (200, 0.0),
])
def test_the_warm_up_is_straight_and_comes_before_the_cosine(step: int, rate: float) -> None:
    schedule = CosineDecay(0.0, decay_steps=100, warmup_target=0.2, warmup_steps=10)
    assert schedule(step) == pytest.approx(rate, abs=1e-15)


def test_the_warm_up_starts_from_the_initial_rate() -> None:
    schedule = CosineDecay(0.1, decay_steps=100, warmup_target=0.3, warmup_steps=10)
    assert [schedule(step) for step in (0, 5, 10, 60)] == pytest.approx([0.1, 0.2, 0.3, 0.15])


def test_rates_are_plain_numbers_and_depend_on_the_step_alone() -> None:
    for schedule in (ExponentialDecay(0.1, 10, 0.5), CosineDecay(0.1, 10)):
        rates = [schedule(step) for step in range(20)]
        assert all(type(rate) is float for rate in rates)
        assert [schedule(step) for step in reversed(range(20))] == rates[::-1]
        assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("make", [
    lambda value: ExponentialDecay(value, 10, 0.5),
    lambda value: ExponentialDecay(0.1, 10, value),
    lambda value: CosineDecay(value, 10),
    lambda value: CosineDecay(0.1, 10, alpha=value),
    lambda value: CosineDecay(0.1, 10, warmup_target=value, warmup_steps=5),
    lambda value: PiecewiseConstantDecay([1], [0.1, value]),
    lambda value: PolynomialDecay(value, 10),
    lambda value: PolynomialDecay(0.1, 10, end_learning_rate=value),
    lambda value: InverseTimeDecay(value, 10, 0.5),
    lambda value: InverseTimeDecay(0.1, 10, value),
    lambda value: CosineDecayRestarts(value, 10),
    lambda value: CosineDecayRestarts(0.1, 10, m_mul=value),
    lambda value: CosineDecayRestarts(0.1, 10, alpha=value),
])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1"], ids=repr)
def test_rates_out_of_range_are_refused(make: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"\(\w+\) expects a finite number of 0 or more") as e:
        make(value)
    assert repr(value) in str(e.value)


@pytest.mark.parametrize("make", [lambda steps: ExponentialDecay(0.1, steps, 0.5),
                                  lambda steps: CosineDecay(0.1, steps),
                                  lambda steps: PolynomialDecay(0.1, steps),
                                  lambda steps: InverseTimeDecay(0.1, steps, 0.5),
                                  lambda steps: CosineDecayRestarts(0.1, steps)])
@pytest.mark.parametrize("steps", [0, -1, math.nan, math.inf, "10"])
def test_decay_steps_are_above_zero(make: Any, steps: Any) -> None:
    with pytest.raises(ValueError, match=rf"_steps\) expects .* above 0; got {steps!r}.*Epochs"):
        make(steps)


def test_the_config_makes_an_equal_schedule() -> None:
    for schedule in (ExponentialDecay(0.1, 10, decay_rate=0.5, staircase=True),
                     CosineDecay(0.0, 10, alpha=0.1, warmup_target=0.2, warmup_steps=3),
                     Constant(0.1), PiecewiseConstantDecay([1, 2], values=[0.3, 0.2, 0.1]),
                     PolynomialDecay(0.1, 10, cycle=True), InverseTimeDecay(0.1, 2, 0.5, True),
                     CosineDecayRestarts(0.1, 4, m_mul=0.5), OneCycle(0.1, total_steps=15)):
        twin = type(schedule)(**schedule.get_config())
        assert twin.get_config() == schedule.get_config()
        assert [twin(step) for step in range(20)] == [schedule(step) for step in range(20)]


def test_a_schedule_without_its_formula_says_what_is_missing() -> None:
    class Bare(Schedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Bare needs a __call__\(step\) method"):
        SGD(Bare()).learning_rate  # noqa: B018 (reading it asks the schedule)


# ---- Keras' formulas, written naively -------------------------------------------------------


def polynomial(step: float, first: float, steps: float, end: float, power: float,
               cycle: bool) -> float:
    if cycle:
        steps = steps * (1.0 if step == 0 else math.ceil(step / steps))
    else:
        step = min(step, steps)
    return float((first - end) * (1 - step / steps) ** power + end)


def inverse_time(step: float, first: float, steps: float, rate: float, staircase: bool) -> float:
    share = step / steps
    return first / (1 + rate * (math.floor(share) if staircase else share))


def restarts(step: float, first: float, steps: float, t_mul: float, m_mul: float,
             alpha: float) -> float:
    length, cycles = steps, 0  # by counting, not by logarithms, which round
    while step >= length:
        step, length, cycles = step - length, length * t_mul, cycles + 1
    cosine = 0.5 * m_mul**cycles * (1 + math.cos(math.pi * step / length))
    return first * ((1 - alpha) * cosine + alpha)


@pytest.mark.parametrize("end", [0.0001, 0.0, 0.5])
@pytest.mark.parametrize("power", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("cycle", [False, True])
def test_polynomial_decay_is_that_of_keras(end: float, power: float, cycle: bool) -> None:
    schedule = PolynomialDecay(0.2, 10, end, power, cycle)
    for step in range(45):
        expected = polynomial(step, 0.2, 10, end, power, cycle)
        assert schedule(step) == pytest.approx(expected, rel=1e-14)
    assert PolynomialDecay(0.2, 10)(25) == 0.0001


@pytest.mark.parametrize("staircase", [False, True])
def test_inverse_time_decay_is_that_of_keras(staircase: bool) -> None:
    schedule = InverseTimeDecay(0.2, 7, 0.5, staircase)
    assert [schedule(step) for step in range(30)] == pytest.approx(
        [inverse_time(step, 0.2, 7, 0.5, staircase) for step in range(30)], rel=1e-14)
    assert InverseTimeDecay(0.2, 7, 0.5)(7) == pytest.approx(0.2 / 1.5)


@pytest.mark.parametrize("t_mul", [1.0, 1.5, 2.0, 3.0, 10.0])
@pytest.mark.parametrize(("m_mul", "alpha"), [(1.0, 0.0), (0.5, 0.1), (1.2, 0.3), (0.0, 0.0)])
def test_restarts_are_those_of_keras(t_mul: float, m_mul: float, alpha: float) -> None:
    schedule = CosineDecayRestarts(0.2, 4, t_mul, m_mul, alpha)
    for step in range(2000):
        expected = restarts(step, 0.2, 4, t_mul, m_mul, alpha)
        assert schedule(step) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_restarts_come_when_they_should_by_hand() -> None:
    schedule = CosineDecayRestarts(1.0, 2, t_mul=2.0, m_mul=0.5, alpha=0.0)
    assert [schedule(step) for step in (0, 1, 2, 4, 6, 10, 14)] == pytest.approx(
        [1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125])


@pytest.mark.parametrize("t_mul", [0.5, 0.0, -1.0, math.nan, math.inf])
def test_periods_do_not_shrink(t_mul: float) -> None:
    with pytest.raises(ValueError, match=r"CosineDecayRestarts\(t_mul\) expects .* 1 or more"):
        CosineDecayRestarts(0.1, 10, t_mul)


def test_piecewise_constant_decay_is_that_of_keras() -> None:
    schedule = PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.1])
    assert [schedule(step) for step in range(8)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.1, 0.1]
    assert PiecewiseConstantDecay([], [0.3])(10) == 0.3


def test_pieces_fit_their_boundaries() -> None:
    with pytest.raises(ValueError, match=r"PiecewiseConstantDecay\(values\) .* 2 in all; got 1\."):
        PiecewiseConstantDecay([3], [0.1])
    for boundaries in ([3, 2], [2, 2]):
        with pytest.raises(ValueError, match=r"\(boundaries\) expects .* that grow; got \["):
            PiecewiseConstantDecay(boundaries, [0.1, 0.2, 0.3])


def test_a_constant_is_one() -> None:
    assert Constant(0.3)(0) == Constant(0.3)(10**6) == 0.3
    with pytest.raises(ValueError, match=r"Constant\(learning_rate\)"):
        Constant(-1.0)


def test_polynomials_have_a_power() -> None:
    with pytest.raises(ValueError, match=r"PolynomialDecay\(power\) expects .* above 0; got 0"):
        PolynomialDecay(0.1, 10, power=0)


# ---- one cycle ------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "share"), [(10, 0.3), (100, 0.25), (7, 0.45), (50, 0.0),
                                              (20, 1.0), (3, 0.1), (33, 0.5)])
@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle_is_that_of_torch(total: int, share: float, strategy: str,
                                    three_phase: bool) -> None:
    twin = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    settings: Any = {"anneal_strategy": strategy, "div_factor": 10.0, "final_div_factor": 100.0,
                     "three_phase": three_phase}
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        twin, 0.5, total_steps=total, pct_start=share, cycle_momentum=False, **settings)
    schedule = OneCycle(0.5, total, share, **settings)
    for step in range(total):
        if step:
            twin.step()
            theirs.step()
        assert schedule(step) == pytest.approx(twin.param_groups[0]["lr"], rel=1e-12), step


def test_one_cycle_stays_low_after_its_end_and_needs_no_rise() -> None:
    schedule = OneCycle(1.0, total_steps=10)
    assert schedule(9) == schedule(10) == schedule(1000) == 1 / 25 / 1e4
    assert OneCycle(1.0, total_steps=10, pct_start=0.1)(0) == 1.0  # torch divides by zero here
    assert OneCycle(1.0, total_steps=1)(0) == pytest.approx(1 / 25 / 1e4)


@pytest.mark.parametrize(("settings", "message"), [
    ({"max_learning_rate": 0.0}, r"\(max_learning_rate\) expects a finite number above 0"),
    ({"total_steps": 0}, r"\(total_steps\) expects a whole number of at least 1"),
    ({"total_steps": 2.5}, r"\(total_steps\) expects a whole number"),
    ({"pct_start": 1.1}, r"\(pct_start\) expects a number from 0 to 1"),
    ({"anneal_strategy": "cosine"}, r"\(anneal_strategy\) expects one of 'cos', 'linear'"),
    ({"div_factor": 0.0}, r"\(div_factor\) expects a finite number above 0"),
    ({"final_div_factor": -1.0}, r"\(final_div_factor\) expects a finite number above 0"),
])
def test_one_cycle_refuses_settings_out_of_range(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"OneCycle" + message):
        OneCycle(**{"max_learning_rate": 0.1, "total_steps": 10, **settings})


def test_every_schedule_can_be_an_optimizers_rate() -> None:
    made: list[Schedule] = [
        Constant(0.1), ExponentialDecay(0.1, 10, 0.5), CosineDecay(0.1, 10),
        PiecewiseConstantDecay([1], [0.1, 0.2]), PolynomialDecay(0.1, 10),
        InverseTimeDecay(0.1, 10, 0.5), CosineDecayRestarts(0.1, 10), OneCycle(0.1, 10),
    ]
    assert {type(schedule).__name__ for schedule in made} == {*schedules.__all__} - {"Schedule"}
    for schedule in made:
        optimizer = SGD(schedule).build([Parameter(torch.zeros(1))])
        rates = [(optimizer.learning_rate, optimizer.step())[0] for _ in range(20)]
        assert rates == [schedule(step) for step in range(20)]
        assert all(type(rate) is float for rate in rates)
