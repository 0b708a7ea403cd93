"""Every optimizer as it is proved, with its twin, and parameters to try it on."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from kerasish import Parameter
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
from tests.table import numbers


class Row(NamedTuple):
    """An optimizer and its twin, from torch.optim or from the paper; both take a learning rate."""

    id: str
    make: Callable[..., Optimizer]
    twin: Callable[..., torch.optim.Optimizer]


class DoubleNAdam(torch.optim.NAdam):
    """torch keeps the product of its momentums in the default type: here in float64."""

    def step(self, closure: Any = None) -> Any:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return super().step(closure)
        finally:
            torch.set_default_dtype(before)


class Written(torch.optim.Optimizer):
    """A paper's algorithm, parameter by parameter, for what torch.optim has not."""

    def __init__(self, parameters: Any, lr: float, **settings: Any) -> None:
        super().__init__(parameters, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    state = self.state.setdefault(w, {})
                    state["t"] = state.get("t", 0) + 1
                    self.move(w, w.grad, state, **group)


class WrittenLion(Written):
    def move(self, w: Any, g: Any, state: Any, lr: float, betas: Any = (0.9, 0.99),
             **_: Any) -> None:
        m = state.get("m", torch.zeros_like(w))
        c = betas[0] * m + (1 - betas[0]) * g
        w -= lr * torch.sign(c)
        state["m"] = betas[1] * m + (1 - betas[1]) * g


class WrittenLAMB(Written):
    def move(self, w: Any, g: Any, state: Any, lr: float, betas: Any = (0.9, 0.999),
             eps: float = 1e-6, **_: Any) -> None:
        m, v, t = state.get("m", 0 * w), state.get("v", 0 * w), state["t"]
        state["m"] = m = betas[0] * m + (1 - betas[0]) * g
        state["v"] = v = betas[1] * v + (1 - betas[1]) * g**2
        r = (m / (1 - betas[0]**t)) / ((v / (1 - betas[1]**t)) ** 0.5 + eps)
        w_norm, r_norm = math.sqrt((w**2).sum()), math.sqrt((r**2).sum())
        w -= lr * (w_norm / r_norm if w_norm and r_norm else 1.0) * r


BETAS = {"beta_1": 0.5, "beta_2": 0.9}
OPTIMIZERS = [
    Row("SGD", SGD, torch.optim.SGD),
    Row("SGD with momentum", partial(SGD, momentum=0.9), partial(torch.optim.SGD, momentum=0.9)),
    Row("SGD with Nesterov's momentum", partial(SGD, momentum=0.8, nesterov=True),
        partial(torch.optim.SGD, momentum=0.8, nesterov=True)),
    Row("Adam", Adam, torch.optim.Adam),
    Row("Adam with other settings", partial(Adam, epsilon=1e-3, **BETAS),
        partial(torch.optim.Adam, betas=(0.5, 0.9), eps=1e-3)),
    Row("Adam without means", partial(Adam, beta_1=0.0, beta_2=0.0),
        partial(torch.optim.Adam, betas=(0.0, 0.0))),
    Row("AMSGrad", partial(Adam, beta_2=0.5, amsgrad=True),
        partial(torch.optim.Adam, betas=(0.9, 0.5), amsgrad=True)),
    Row("AdamW", partial(AdamW, weight_decay=0.0), partial(torch.optim.AdamW, weight_decay=0.0)),
    Row("AdamW with AMSGrad",
        partial(AdamW, weight_decay=0.0, beta_1=0.5, beta_2=0.8, epsilon=1e-3, amsgrad=True),
        partial(torch.optim.AdamW, weight_decay=0.0, betas=(0.5, 0.8), eps=1e-3, amsgrad=True)),
    Row("Nadam", Nadam, DoubleNAdam),
    Row("Nadam with other settings", partial(Nadam, epsilon=1e-3, momentum_decay=0.1, **BETAS),
        partial(DoubleNAdam, betas=(0.5, 0.9), eps=1e-3, momentum_decay=0.1)),
    Row("RAdam", RAdam, torch.optim.RAdam),
    Row("RAdam with other settings", partial(RAdam, epsilon=1e-3, **BETAS),
        partial(torch.optim.RAdam, betas=(0.5, 0.9), eps=1e-3)),
    Row("RMSprop", RMSprop, partial(torch.optim.RMSprop, alpha=0.9)),
    Row("RMSprop with momentum", partial(RMSprop, rho=0.8, momentum=0.9, epsilon=1e-3),
        partial(torch.optim.RMSprop, alpha=0.8, momentum=0.9, eps=1e-3)),
    Row("RMSprop, centered", partial(RMSprop, centered=True),
        partial(torch.optim.RMSprop, alpha=0.9, centered=True)),
    Row("RMSprop, centered, with momentum", partial(RMSprop, momentum=0.5, centered=True),
        partial(torch.optim.RMSprop, alpha=0.9, momentum=0.5, centered=True)),
    Row("Adagrad", Adagrad, torch.optim.Adagrad),
    Row("Adagrad with a large epsilon", partial(Adagrad, epsilon=0.1),
        partial(torch.optim.Adagrad, eps=0.1)),
    Row("Adadelta", Adadelta, partial(torch.optim.Adadelta, rho=0.95)),
    Row("Adadelta with other settings", partial(Adadelta, rho=0.8, epsilon=1e-3),
        partial(torch.optim.Adadelta, rho=0.8, eps=1e-3)),
    Row("Adamax", Adamax, torch.optim.Adamax),
    Row("Adamax with other settings", partial(Adamax, epsilon=1e-3, **BETAS),
        partial(torch.optim.Adamax, betas=(0.5, 0.9), eps=1e-3)),
    Row("Lion", Lion, WrittenLion),
    Row("Lion with other settings", partial(Lion, beta_1=0.5, beta_2=0.8),
        partial(WrittenLion, betas=(0.5, 0.8))),
    Row("LAMB", LAMB, WrittenLAMB),
    Row("LAMB with other settings", partial(LAMB, epsilon=1e-2, **BETAS),
        partial(WrittenLAMB, betas=(0.5, 0.9), eps=1e-2)),
]
every_optimizer = pytest.mark.parametrize("row", OPTIMIZERS, ids=lambda row: row.id)
one_of_each = pytest.mark.parametrize(  # the first row of each class
    "row", {type(row.make(0.1)): row for row in reversed(OPTIMIZERS)}.values(),
    ids=lambda row: row.id)
SHAPES = [(4, 3), (4,), (1, 4), (1,), (2, 3, 2)]
STEPS = 50


def parameters(seed: int = 0) -> list[Parameter]:
    """Five of them; every second one is not under weight decay."""
    return [Parameter(numbers(*shape, seed=seed + i), decay=i % 2 == 0)
            for i, shape in enumerate(SHAPES)]


def give_gradients(own: list[Parameter], step: int) -> None:
    for i, parameter in enumerate(own):
        parameter.grad = numbers(*parameter.shape, seed=100 * step + i)


def assert_equal(own: list[Parameter], theirs: list[torch.Tensor]) -> None:
    for parameter, theirs_data in zip(own, theirs, strict=True):
        torch.testing.assert_close(parameter.data, theirs_data.detach(), rtol=1e-12, atol=1e-12)


def twins(own: list[Parameter]) -> list[nn.Parameter]:
    return [nn.Parameter(parameter.data.clone()) for parameter in own]


def step_both(own: list[Parameter], optimizer: Optimizer, theirs: list[nn.Parameter],
              twin: torch.optim.Optimizer, step: int) -> None:
    """One step of each with equal gradients; torch skips a parameter whose gradient is None."""
    give_gradients(own, step)
    for parameter, nn_parameter in zip(own, theirs, strict=True):
        nn_parameter.grad = parameter.grad.clone() if parameter.trainable else None
    optimizer.step()
    twin.step()
