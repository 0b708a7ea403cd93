"""Optimizers give their state, parameter by parameter, and take it back to the bit."""

import copy
from typing import Any

import pytest
import torch

from kerasish import Parameter
from kerasish.optimizers import SGD, Adam, Optimizer
from kerasish.schedules import CosineDecay
from tests.optimizers.rows import Row, every_optimizer, give_gradients, one_of_each, parameters

COUNTS = ["iterations", "gathered_batches", "gathered_rows"]


def stepped(optimizer: Optimizer, own: list[Parameter], *steps: int) -> list[torch.Tensor]:
    for step in steps:
        for parameter, more in zip(own, parameters(seed=100 * step), strict=True):
            parameter.grad += more.data
        if optimizer.step():
            optimizer.zero_grad()
    return [parameter.data.clone() for parameter in own]


def twin_of(own: list[Parameter]) -> list[Parameter]:
    return [Parameter(p.data, decay=p.decay) for p in own]


@pytest.mark.parametrize("more", [
    {}, {"use_ema": True, "ema_overwrite_frequency": 2}, {"gradient_accumulation_steps": 3},
    {"weight_decay": 0.1, "clipnorm": 0.5}], ids=str)
@every_optimizer
def test_a_new_optimizer_goes_on_to_the_bit(row: Row, more: dict[str, Any]) -> None:
    own = parameters()
    first = row.make(0.1, **more).build(own)
    stepped(first, own, 1, 2, 3, 4, 5)
    other = twin_of(own)
    second = row.make(0.1, **more).build(other)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert [getattr(second, name) for name in COUNTS] == [getattr(first, name) for name in COUNTS]
    pairs = zip(stepped(first, own, 6, 7, 8, 9), stepped(second, other, 6, 7, 8, 9), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    first.finalize()
    second.finalize()
    assert all(torch.equal(p.data, q.data) for p, q in zip(own, other, strict=True))


@one_of_each
def test_vectors_may_be_laid_out_otherwise(row: Row) -> None:
    own = parameters()
    first = row.make(0.1).build(own)
    stepped(first, own, 1, 2, 3)
    other = [Parameter(p.data, decay=not p.decay) for p in own]
    second = row.make(0.1).build(other)
    second.load_state_dict(first.state_dict())
    pairs = zip(stepped(first, own, 4), stepped(second, other, 4), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_the_state_is_plain_and_a_copy() -> None:
    own = parameters()
    optimizer = Adam(0.1).build(own)
    stepped(optimizer, own, 1)
    state = optimizer.state_dict()
    assert list(state) == [*COUNTS, "learning_rate", "slots", "gradients"]
    assert state["iterations"] == 1 and state["learning_rate"] == 0.1 and state["gradients"] == []
    assert list(state["slots"]) == ["m", "v"]
    assert [m.shape for m in state["slots"]["m"]] == [p.shape for p in own]
    before = [m.clone() for m in state["slots"]["m"]]
    stepped(optimizer, own, 2)
    assert all(torch.equal(*pair) for pair in zip(before, state["slots"]["m"], strict=True))


def test_tensors_given_in_inference_mode_are_normal_ones() -> None:
    optimizer = Adam(0.1).build(parameters())
    with torch.inference_mode():
        state = optimizer.state_dict()
        optimizer.load_state_dict(state)
    assert not any(m.is_inference() for m in state["slots"]["m"])


def test_an_optimizer_without_parameters_has_counts_alone() -> None:
    state = Adam(0.1, use_ema=True).state_dict()
    assert state["slots"] == {"m": [], "v": [], "average": []} and state["iterations"] == 0
    other = Adam(0.3, use_ema=True)
    other.load_state_dict(state)
    assert other.learning_rate == 0.1


def test_a_rate_that_was_set_is_part_of_it_and_a_schedule_is_not() -> None:
    first, second = SGD(0.1).build(parameters()), SGD(0.1).build(parameters())
    first.learning_rate = 0.025
    second.load_state_dict(first.state_dict())
    assert second.learning_rate == 0.025
    scheduled = SGD(CosineDecay(0.1, decay_steps=10)).build(own := parameters())
    stepped(scheduled, own, 1, 2)
    state = scheduled.state_dict()
    assert state["learning_rate"] is None
    with pytest.raises(ValueError, match=r"got the state of one with a schedule\. Give this one"):
        second.load_state_dict(state)
    other = SGD(CosineDecay(0.1, decay_steps=10)).build(parameters())
    other.load_state_dict(state)
    assert other.learning_rate == scheduled.learning_rate == CosineDecay(0.1, decay_steps=10)(2)
    other.load_state_dict(first.state_dict())  # a rate that was set in the place of the schedule
    assert other.learning_rate == 0.025


def test_gradients_that_wait_are_part_of_it_and_others_are_cleared() -> None:
    own, other = parameters(), parameters()
    first = SGD(0.1, gradient_accumulation_steps=4).build(own)
    stepped(first, own, 1)
    assert len(first.state_dict()["gradients"]) == len(own)
    second = SGD(0.1, gradient_accumulation_steps=4).build(other)
    stepped(second, other, 2, 3)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(own, other, strict=True))
    second.load_state_dict(SGD(0.1).build(parameters()).state_dict())
    assert not any(parameter.grad.any() for parameter in other)


WRONG: list[tuple[Any, str]] = [
    ({"iterations": -1}, r"\['iterations'\] expects a whole number of at least 0; got -1"),
    ({"gathered_rows": "2"}, r"\['gathered_rows'\] expects a whole number .* got '2'"),
    ({"learning_rate": float("nan")}, r"\['learning_rate'\] expects a finite number"),
    ({"slots": {"m": []}}, r"expects the slots m, v; got \['m'\]"),
    ({"slots": None}, "expects the slots m, v; got None"),
    ({"slots": {"m": [], "v": []}}, "expects 'm' to be .* 5 parameters; got 0 of them"),
    ({"slots": {"m": 3, "v": []}}, "expects 'm' to be .* got int"),
    ({"gradients": [torch.zeros(1)]}, "expects 'gradients' to be .* 0 parameters; got 1 of them"),
    ({"more": 1}, r"expects the entries iterations, .* got \['iterations', .*'more'\]"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_what_does_not_fit_is_refused_and_changes_nothing(change: Any, message: str) -> None:
    optimizer = Adam(0.1).build(own := parameters())
    stepped(optimizer, own, 1, 2)
    before = optimizer.state_dict()
    fresh = Adam(0.5).build(parameters()).state_dict()
    with pytest.raises(ValueError, match=rf"Adam\.load_state_dict\(state\).*{message}"):
        optimizer.load_state_dict(fresh | change)
    after = optimizer.state_dict()
    assert all(torch.equal(*pair) for slot in ("m", "v")
               for pair in zip(before["slots"][slot], after["slots"][slot], strict=True))
    assert all(before[name] == after[name] for name in [*COUNTS, "learning_rate"])


@pytest.mark.parametrize("value", [torch.zeros(7), torch.zeros(4, dtype=torch.int64), 0.0])
def test_another_shape_or_type_is_named(value: Any) -> None:
    optimizer = Adam(0.1).build(parameters())
    state = optimizer.state_dict()
    state["slots"]["v"][1] = value
    got = r"\(7,\)" if getattr(value, "shape", None) == (7,) else "'(Tensor|float)'"
    with pytest.raises(ValueError, match=rf"expects 'v' .* got {got} for parameter 1 of shape"):
        optimizer.load_state_dict(state)
    give_gradients(optimizer.parameters, 0)
    assert optimizer.step() and optimizer.iterations == 1
