"""Learning rates that change: the numbers of the formulas, and what is refused."""

import math
from typing import Any

import pytest

from kerasish.optimizers import SGD
from kerasish.schedules import CosineDecay, ExponentialDecay, Schedule


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
], ids=["exponential rate", "decay rate", "cosine rate", "alpha", "warm-up target"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1"], ids=repr)
def test_rates_out_of_range_are_refused(make: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"Decay\(\w+\) expects a finite number of 0 or more") as e:
        make(value)
    assert repr(value) in str(e.value)


@pytest.mark.parametrize("make", [lambda steps: ExponentialDecay(0.1, steps, 0.5),
                                  lambda steps: CosineDecay(0.1, steps)])
@pytest.mark.parametrize("steps", [0, -1, math.nan])
def test_decay_steps_are_above_zero(make: Any, steps: float) -> None:
    with pytest.raises(ValueError, match=rf"Decay\(decay_steps\) expects .* got {steps!r}"):
        make(steps)


def test_the_config_makes_an_equal_schedule() -> None:
    for schedule in (ExponentialDecay(0.1, 10, decay_rate=0.5, staircase=True),
                     CosineDecay(0.0, 10, alpha=0.1, warmup_target=0.2, warmup_steps=3)):
        twin = type(schedule)(**schedule.get_config())
        assert twin.get_config() == schedule.get_config()
        assert [twin(step) for step in range(20)] == [schedule(step) for step in range(20)]


def test_a_schedule_without_its_formula_says_what_is_missing() -> None:
    class Bare(Schedule):
        pass

    with pytest.raises(NotImplementedError, match=r"Bare needs a __call__\(step\) method"):
        SGD(Bare()).learning_rate  # noqa: B018 (reading it asks the schedule)
