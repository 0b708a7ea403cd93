"""What is looked at in every process before they train together."""

import pytest
import torch

from kerasish import Model
from kerasish.distributed import Group
from kerasish.jit import Jit
from kerasish.layers import BatchNorm1d, BatchNorm2d, Dropout, Linear
from kerasish.module import Module
from kerasish.plan import Plan, Validation, make_plan


def plan_of(samples: int, batch_size: int) -> Plan:
    return make_plan(torch.zeros(samples, 3), torch.zeros(samples), None, batch_size=batch_size,
                     epochs=1, initial_epoch=0, steps=None, shuffle=True, seed=0,
                     validation=Validation())


def built(module: Module, *shape: int) -> Module:
    module.build(shape)
    return module


def test_a_batch_that_leaves_a_process_one_value_a_channel_is_refused_before_training() -> None:
    plan, norm = plan_of(22, 8), built(BatchNorm1d(), 3)
    for processes in (1, 2, 3):
        plan.require_batches_for(norm, processes)  # the last one has 6: 3 each, or 2 each
    with pytest.raises(ValueError, match=(
            r"fit\(batch_size\) expects batches of 2 samples or more in each of 4 processes, for "
            r"BatchNorm1d\(\) at ''; got 21 samples in batches of 8, the last one of 5\. Choose "
            r"another batch_size, or write BatchNorm1d\(synchronized=True\)\.")):
        plan_of(21, 8).require_batches_for(norm, 4)  # 2, 2, 1 and none
    with pytest.raises(ValueError, match="in each of 2 processes"):
        plan_of(24, 3).require_batches_for(norm, 2)  # all of them: 2 and 1
    with pytest.raises(ValueError, match="in each of 3 processes"):
        plan_of(13, 7).require_batches_for(norm, 3)  # the first one, 3, 3 and 1; not the last one
    plan_of(3, 8).require_batches_for(built(BatchNorm2d(), 3, 2, 2), 3)


def test_a_synchronized_norm_is_refused_by_the_whole_batch_alone() -> None:
    norm = built(BatchNorm1d(synchronized=True), 3)
    plan_of(22, 2).require_batches_for(norm, 2)
    with pytest.raises(ValueError, match=(
            r"expects batches of 2 samples or more, for BatchNorm1d\(synchronized=True\) at ''; "
            r"got 9 samples in batches of 8, the last one of 1\. .* or leave samples out\.")):
        plan_of(9, 8).require_batches_for(norm, 2)


def test_settings_of_layers_are_compared() -> None:
    facts = []
    for norm in (BatchNorm1d(synchronized=True), BatchNorm1d()):
        model = Model(Linear(3), norm, Dropout(0.25), Linear(1, weight_regularizer="l2"))
        model.build((3,))
        model.compile("sgd", "mse")
        model.fit(torch.zeros(4, 3), torch.zeros(4), verbose=0)
        facts.append(model._facts_of(plan_of(4, 2))["settings of layers"])
    assert facts[0] == {"0": {"out_features": 3}, "1": {"synchronized": True}, "2": {"p": 0.25},
                        "3": {"out_features": 1, "weight_regularizer": "l2"}}
    assert facts[1].keys() == {"0", "2", "3"}


def test_steps_of_several_processes_are_not_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse", jit_compile=True)
    model.group = Group(0, 2)
    assert isinstance(model.jit, Jit) and not model.jit.ready(model, [])
    assert "a training step that can be compiled; got several processes" in capsys.readouterr().err
