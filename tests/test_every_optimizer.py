"""The contract of every optimizer: torch's numbers; what rates, freezing and counting promise."""

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from kerasish import Parameter, optimizers
from kerasish.containers import Sequential
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import (
    LAMB,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Nadam,
    Optimizer,
    RAdam,
    RMSprop,
)
from kerasish.schedules import CosineDecay
from tests.optimizers.rows import (
    OPTIMIZERS,
    STEPS,
    Row,
    assert_equal,
    every_optimizer,
    give_gradients,
    parameters,
    step_both,
    twins,
)
from tests.table import numbers, seeded

# ---- torch.optim ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.003])
@every_optimizer
def test_fifty_steps_on_a_bare_list_match_torch(row: Row, rate: float) -> None:
    own = parameters()
    theirs = twins(own)
    optimizer, twin = row.make(rate).build(own), row.twin(theirs, lr=rate)
    for step in range(STEPS):
        step_both(own, optimizer, theirs, twin, step)
        assert_equal(own, theirs)


@every_optimizer
def test_fifty_steps_of_a_net_match_torch(row: Row) -> None:
    with seeded():
        net = Sequential(Linear(5), Tanh(), Linear(2))
        net.build((3,))
    net.to(dtype=torch.float64)
    twin = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    twin.load_state_dict(net.state_dict())
    optimizer = row.make(0.02).build(net.parameters())
    twin_optimizer = row.twin(twin.parameters(), lr=0.02)
    for step in range(STEPS):
        x, target = numbers(4, 3, seed=step), numbers(4, 2, seed=step + 1)
        optimizer.zero_grad()
        net.backward(net.forward(x) - target)
        optimizer.step()
        twin_optimizer.zero_grad()
        (0.5 * (twin(x) - target) ** 2).sum().backward()
        twin_optimizer.step()
    assert_equal(list(net.parameters()), list(twin.parameters()))


@every_optimizer
def test_a_step_leaves_the_gradients_alone(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1).build(own)
    for step in range(3):
        give_gradients(own, step)
        before = [p.grad.clone() for p in own]
        optimizer.step()
        assert all(torch.equal(p.grad, grad) for p, grad in zip(own, before, strict=True))


@every_optimizer
def test_a_step_may_run_in_inference_mode(row: Row) -> None:
    own, other = parameters(), parameters()
    optimizers_ = row.make(0.1).build(own), row.make(0.1).build(other)
    for step in range(3):
        give_gradients(own, step)
        give_gradients(other, step)
        optimizers_[0].step()
        with torch.inference_mode():
            optimizers_[1].step()
    assert_equal(own, [p.data for p in other])
    assert not any(tensor.is_inference() for slots in optimizers_[1].state.values()
                   for tensor in slots.values())


# ---- rates ----------------------------------------------------------------------------------


@every_optimizer
def test_a_rate_of_zero_changes_nothing(row: Row) -> None:
    own = parameters()
    before = [p.data.clone() for p in own]
    optimizer = row.make(0.0).build(own)
    for step in range(3):
        give_gradients(own, step)
        optimizer.step()
    assert all(torch.equal(p.data, data) for p, data in zip(own, before, strict=True))
    assert optimizer.iterations == 3


@every_optimizer
def test_a_schedule_is_followed(row: Row) -> None:
    schedule = CosineDecay(0.1, decay_steps=30)
    own = parameters()
    theirs = twins(own)
    optimizer, twin = row.make(schedule).build(own), row.twin(theirs, lr=0.1)
    for step in range(STEPS):
        assert optimizer.learning_rate == schedule(step)
        twin.param_groups[0]["lr"] = schedule(step)
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


@every_optimizer
def test_the_rate_may_be_set_between_steps(row: Row) -> None:
    own = parameters()
    theirs = twins(own)
    optimizer, twin = row.make(0.1).build(own), row.twin(theirs, lr=0.1)
    for step, rate in enumerate([0.1, 0.05, lambda step: 0.01 * step, 0.0, 0.2]):
        optimizer.learning_rate = rate
        value = rate(step) if callable(rate) else rate
        assert optimizer.learning_rate == value
        twin.param_groups[0]["lr"] = value
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


def test_a_function_of_the_step_is_a_schedule() -> None:
    optimizer = SGD(lambda step: 1.0 / (1 + step)).build([Parameter(torch.zeros(1))])
    rates = []
    for _ in range(3):
        rates.append(optimizer.learning_rate)
        optimizer.step()
    assert rates == [1, 1 / 2, 1 / 3]


# ---- freezing -------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [[0], [1, 2], [4], [0, 1, 2, 3, 4]], ids=str)
@every_optimizer
def test_frozen_parameters_do_not_move(row: Row, frozen: list[int]) -> None:
    own = parameters()
    theirs = twins(own)
    for index in frozen:
        own[index].trainable = False
    optimizer, twin = row.make(0.1).build(own), row.twin(theirs, lr=0.1)
    for step in range(5):
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)
    for index in frozen:
        assert torch.equal(own[index].data, parameters()[index].data)


@every_optimizer
def test_freezing_and_thawing_take_effect_at_once(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1).build(own)
    for step, frozen in enumerate([[], [0], [0, 3], [3], [], [1, 2], [0, 1, 2, 3, 4], []]):
        for index, parameter in enumerate(own):
            parameter.trainable = index not in frozen
        give_gradients(own, step)
        before = [p.data.clone() for p in own]
        optimizer.step()
        assert [i for i, p in enumerate(own) if torch.equal(p.data, before[i])] == frozen


@every_optimizer
def test_what_is_frozen_elsewhere_changes_nothing_here(row: Row) -> None:
    own, other = parameters(), parameters(seed=50)
    theirs = twins(own)
    optimizer, twin = row.make(0.1).build(own), row.twin(theirs, lr=0.1)
    for step in range(4):
        other[0].trainable = bool(step % 2)
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


# ---- clearing, counting, sharing ------------------------------------------------------------


@every_optimizer
def test_zero_grad_clears_what_is_not_a_number_and_what_is_frozen(row: Row) -> None:
    own = parameters()
    own[1].trainable = False
    optimizer = row.make(0.1).build(own)
    for value in (torch.nan, torch.inf, 1.0):
        for parameter in own:
            parameter.grad.fill_(value)
        optimizer.zero_grad()
        assert not any(p.grad.any() for p in own)
        assert not any(p.grad.isnan().any() for p in own)
    give_gradients(own, 0)
    optimizer.step()
    assert all(p.data.isfinite().all() for p in own)


@every_optimizer
def test_iterations_count_the_steps(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1)
    assert optimizer.iterations == 0
    optimizer.build(own)
    for step in range(1, 4):
        optimizer.zero_grad()
        optimizer.step()
        assert optimizer.iterations == step


@every_optimizer
def test_a_parameter_that_comes_twice_is_stepped_once(row: Row) -> None:
    own = parameters()
    theirs = twins(own)
    optimizer, twin = row.make(0.1).build([*own, *own[::-1]]), row.twin(theirs, lr=0.1)
    assert optimizer.parameters == own
    for step in range(3):
        step_both(own, optimizer, theirs, twin, step)
    assert_equal(own, theirs)


@every_optimizer
def test_parameters_of_two_types_are_trained_together(row: Row) -> None:
    double = parameters()
    single = [Parameter(p.data.float()) for p in parameters(seed=50)]
    theirs = twins([*double, *single])
    optimizer, twin = row.make(0.1).build([*double, *single]), row.twin(theirs, lr=0.1)
    assert len(optimizer.flats) == 2
    for step in range(3):
        step_both([*double, *single], optimizer, theirs, twin, step)
    assert_equal(double, theirs[: len(double)])
    for parameter, theirs_data in zip(single, theirs[len(double) :], strict=True):
        torch.testing.assert_close(parameter.data, theirs_data.detach())


@every_optimizer
def test_two_optimizers_may_share_the_vector_of_a_net(row: Row) -> None:
    own = parameters()
    theirs = twins(own)
    first, second = row.make(0.1).build(own), row.make(0.2).build(own[:2])
    twin, second_twin = row.twin(theirs, lr=0.1), row.twin(theirs[:2], lr=0.2)
    for step in range(3):
        step_both(own, first, theirs, twin, step)
        step_both(own[:2], second, theirs[:2], second_twin, step)
    assert_equal(own, theirs)
    for parameter in own:
        parameter.grad.fill_(1)
    second.zero_grad()
    assert [bool(p.grad.any()) for p in own] == [False, False, True, True, True]


@every_optimizer
def test_nothing_to_train_is_no_error(row: Row) -> None:
    optimizer = row.make(0.1).build([])
    optimizer.zero_grad()
    optimizer.step()
    assert optimizer.iterations == 1


@every_optimizer
def test_build_starts_the_slots_from_zero(row: Row) -> None:
    own = parameters()
    optimizer = row.make(0.1).build(iter(own))
    assert list(optimizer.slots) == [name for slots in optimizer.state.values() for name in slots]
    for slots in optimizer.state.values():
        assert not any(tensor.any() for tensor in slots.values())


@every_optimizer
def test_a_copy_goes_on_by_itself_as_the_original_would_have(row: Row) -> None:
    own, schedule = parameters(), CosineDecay(0.1, decay_steps=10)
    optimizer = row.make(schedule).build(own)
    for step in range(3):
        give_gradients(own, step)
        optimizer.step()
    other, copied = copy.deepcopy((own, optimizer))
    assert copied.iterations == 3 and copied.parameters == other
    copied.zero_grad()
    assert not any(p.grad.any() for p in other) and all(p.grad.any() for p in own)
    before = [p.data.clone() for p in own]
    for step in range(3, 6):
        give_gradients(other, step)
        copied.step()
    assert all(torch.equal(p.data, data) for p, data in zip(own, before, strict=True))
    for step in range(3, 6):
        give_gradients(own, step)
        optimizer.step()
    assert all(torch.equal(p.data, o.data) for p, o in zip(own, other, strict=True))


# ---- settings -------------------------------------------------------------------------------


RATES = [-0.1, float("nan"), float("inf"), "0.1", None, True]


@pytest.mark.parametrize("rate", RATES, ids=repr)
@every_optimizer
def test_a_rate_out_of_range_is_refused(row: Row, rate: Any) -> None:
    name = type(row.make(0.1)).__name__
    with pytest.raises(ValueError, match=rf"{name}\(learning_rate\) expects a finite .*; got") as e:
        row.make(rate)
    assert repr(rate) in str(e.value)
    optimizer = row.make(0.1)
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.1


SHARES = [(SGD, "momentum"), (Lion, "beta_1"), (Lion, "beta_2"), (RMSprop, "rho"),
          (RMSprop, "momentum"), (Adadelta, "rho"),
          *((cls, beta) for cls in (Adam, AdamW, Nadam, RAdam, Adamax, LAMB)
            for beta in ("beta_1", "beta_2"))]


@pytest.mark.parametrize(("cls", "argument"), SHARES)
@pytest.mark.parametrize("value", [-0.1, 1.0, 1.5, float("nan"), "0.9", None, True], ids=repr)
def test_a_share_out_of_range_is_refused(cls: type, argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match="expects a number from 0 to below 1") as e:
        cls(**{argument: value})
    assert str(e.value).startswith(f"{cls.__name__}({argument}) expects")
    assert f"got {value!r}" in str(e.value)


def test_whole_numbers_are_numbers() -> None:
    assert SGD(1, momentum=0).learning_rate == 1 and Adam(1, beta_1=0, beta_2=0, epsilon=1)


@pytest.mark.parametrize("cls", [Adam, AdamW, Nadam, RAdam, RMSprop, Adagrad, Adadelta, Adamax,
                                 LAMB])
@pytest.mark.parametrize("epsilon", [0.0, -1e-8, float("nan"), "1e-8"])
def test_epsilon_is_above_zero(cls: type, epsilon: Any) -> None:
    with pytest.raises(ValueError, match=rf"\(epsilon\) expects .* above 0; got {epsilon!r}") as e:
        cls(epsilon=epsilon)
    assert str(e.value).startswith(cls.__name__)


@pytest.mark.parametrize("value", [-0.1, float("inf"), None])
def test_other_settings_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"Nadam\(momentum_decay\) expects .* got {value}"):
        Nadam(momentum_decay=value)
    with pytest.raises(ValueError, match=r"Adagrad\(initial_accumulator_value\) expects .*or more"):
        Adagrad(initial_accumulator_value=value)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match=r"SGD\(nesterov=True\) expects a momentum above 0"):
        SGD(nesterov=True)
    with pytest.raises(ValueError, match="momentum above 0"):
        SGD(0.1, momentum=0.0, nesterov=True)


BETAS = {"beta_1": 0.9, "beta_2": 0.999}
DEFAULTS: dict[type, dict[str, Any]] = {
    SGD: {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    Adam: {"learning_rate": 0.001, **BETAS, "epsilon": 1e-8, "amsgrad": False},
    AdamW: {"learning_rate": 0.001, "weight_decay": 0.01, **BETAS, "epsilon": 1e-8,
            "amsgrad": False},
    Nadam: {"learning_rate": 0.002, **BETAS, "epsilon": 1e-8, "momentum_decay": 0.004},
    RAdam: {"learning_rate": 0.001, **BETAS, "epsilon": 1e-8},
    RMSprop: {"learning_rate": 0.01, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-8,
              "centered": False},
    Adagrad: {"learning_rate": 0.01, "initial_accumulator_value": 0.0, "epsilon": 1e-10},
    Adadelta: {"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-6},
    Adamax: {"learning_rate": 0.002, **BETAS, "epsilon": 1e-8},
    Lion: {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.99},
    LAMB: {"learning_rate": 0.001, **BETAS, "epsilon": 1e-6},
}


@pytest.mark.parametrize("cls", DEFAULTS)
def test_defaults_are_those_of_torch_or_of_the_paper_under_the_names_of_keras(cls: type) -> None:
    arguments = list(inspect.signature(cls).parameters.values())
    assert [(a.name, a.default) for a in arguments[:-1]] == list(DEFAULTS[cls].items())
    assert arguments[-1].kind is inspect.Parameter.VAR_KEYWORD


@every_optimizer
def test_the_config_makes_an_equal_optimizer(row: Row) -> None:
    optimizer = row.make(0.1)
    twin = type(optimizer)(**optimizer.get_config())
    assert twin.get_config() == optimizer.get_config() and twin.learning_rate == 0.1
    own, other = parameters(), parameters()
    optimizer.build(own)
    twin.build(other)
    for step in range(3):
        for each, parameters_ in ((optimizer, own), (twin, other)):
            give_gradients(parameters_, step)
            each.step()
    assert_equal(own, [p.data for p in other])


@pytest.mark.parametrize(("name", "cls"), [
    ("sgd", SGD), ("SGD", SGD), ("adam", Adam), ("Adam", Adam), ("adamw", AdamW), ("adam_w", AdamW),
    ("AdamW", AdamW), ("nadam", Nadam), ("NAdam", Nadam), ("radam", RAdam), ("rmsprop", RMSprop),
    ("RMSProp", RMSprop), ("adagrad", Adagrad), ("adadelta", Adadelta), ("adamax", Adamax),
    ("lion", Lion), ("lamb", LAMB), ("LAMB", LAMB),
])
def test_names_make_optimizers_with_their_defaults(name: str, cls: type) -> None:
    assert type(optimizers.get(name)) is cls
    assert optimizers.get(name).get_config() == {}
    made = cls(0.5)
    assert optimizers.get(made) is made


def test_unknown_names_and_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'adamm'\. Did you mean 'adam'"):
        optimizers.get("adamm")
    with pytest.raises(ValueError, match="Did you mean 'rmsprop'"):
        optimizers.get("rms_drop")
    with pytest.raises(TypeError, match=r"Write SGD\(...\), an instance"):
        optimizers.get(SGD)


# ---- nobody is left out ---------------------------------------------------------------------


def test_every_exported_optimizer_has_a_row() -> None:
    exported = {value for value in vars(optimizers).values()
                if inspect.isclass(value) and issubclass(value, Optimizer)} - {Optimizer}
    assert exported == {type(row.make(0.1)) for row in OPTIMIZERS}


def test_an_optimizer_without_update_says_what_is_missing() -> None:
    class Bare(Optimizer):
        pass

    optimizer = Bare(0.1).build([Parameter(torch.zeros(1))])
    with pytest.raises(NotImplementedError, match="Bare needs an update method"):
        optimizer.step()
    assert optimizer.iterations == 0


def test_a_users_own_optimizer_is_its_formula() -> None:
    class SignSGD(Optimizer):
        @property
        def slots(self) -> tuple[str, ...]:
            return ("count",)

        def update(self, w: torch.Tensor, g: torch.Tensor, *slots: torch.Tensor) -> None:
            slots[0].add_(1)
            w.sub_(g.sign(), alpha=self.rate)

    own = parameters()
    before = [p.data.clone() for p in own]
    optimizer = SignSGD(0.5).build(own)
    give_gradients(own, 0)
    optimizer.step()
    for parameter, data in zip(own, before, strict=True):
        torch.testing.assert_close(parameter.data, data - 0.5 * parameter.grad.sign())
    assert all((slots["count"] == 1).all() for slots in optimizer.state.values())
