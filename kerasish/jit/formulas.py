"""The optimizers' formulas with what changes from update to update as tensors, not as numbers.

A number in a compiled program never changes again. Here the rate, and what depends on the count t
of updates, come as 0-dim tensors, so one program serves all updates. Found by the exact type.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

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


class Formula(NamedTuple):
    """How an optimizer updates a parameter."""

    update: Callable[..., None]
    """`update(optimizer, w, g, slots, α, *numbers)` changes w and the slots in place."""
    numbers: Callable[[Any, int], tuple[float, ...]] = lambda optimizer, t: ()
    """What depends on t, the number of this update from 1, and not on the rate."""


def numbers_of(optimizer: Optimizer, steps: int) -> list[list[float]]:
    """What each of the next updates goes by.

    Returns: for each the rate, the share of the weights in their running averages, and what the
        formula takes besides.
    """
    formula, start = FORMULAS[type(optimizer)], optimizer.iterations
    rate, schedule = optimizer.learning_rate, optimizer.schedule
    return [
        [schedule(i) if schedule else rate, 1 - optimizer.ema_momentum if i else 1.0,
         *formula.numbers(optimizer, i + 1)]
        for i in range(start, start + steps)
    ]


def _sgd(o: SGD, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor) -> None:
    if not slots:
        w.sub_(g * α)
        return
    v = slots[0].mul_(o.momentum).add_(g)
    w.sub_((g + o.momentum * v if o.nesterov else v) * α)


def _corrections(o: Adam, t: int) -> tuple[float, float]:
    root = math.sqrt(1 - o.beta_2**t)
    return root / (1 - o.beta_1**t), root


def _direction(
    o: Adam, g: Tensor, slots: Sequence[Tensor], scale: Tensor, root: Tensor
) -> Tensor:
    m, v, *v_max = slots
    m.lerp_(g, 1 - o.beta_1)
    v.mul_(o.beta_2).addcmul_(g, g, value=1 - o.beta_2)
    if v_max:
        v = v_max[0].copy_(torch.maximum(v_max[0], v))
    return m * scale / (v.sqrt() + root * o.epsilon)


def _adam(
    o: Adam, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor, *more: Tensor
) -> None:
    w.sub_(_direction(o, g, slots, *more) * α)


def _lamb(
    o: LAMB, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor, *more: Tensor
) -> None:
    r = _direction(o, g, slots, *more)
    w_norm, r_norm = w.square().sum().sqrt(), r.square().sum().sqrt()
    ratio = torch.where((w_norm > 0) & (r_norm > 0), w_norm / r_norm, torch.ones_like(w_norm))
    w.sub_(r * (ratio * α))


def _adamax(
    o: Adamax, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor, scale: Tensor
) -> None:
    m, u = slots
    m.lerp_(g, 1 - o.beta_1)
    u.copy_(torch.maximum(u * o.beta_2, g.abs() + o.epsilon))
    w.sub_(m / u * (α * scale))


def _nadam_numbers(o: Nadam, t: int) -> tuple[float, float, float]:
    μ, μ_next, product = o._μ(t), o._μ(t + 1), o._product_up_to(t)
    return ((1 - μ) / (1 - product), μ_next / (1 - product * μ_next), 1 - o.beta_2**t)


def _nadam(
    o: Nadam, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor, of_g: Tensor, of_m: Tensor,
    v_scale: Tensor,
) -> None:
    m, v = slots
    m.lerp_(g, 1 - o.beta_1)
    v.mul_(o.beta_2).addcmul_(g, g, value=1 - o.beta_2)
    w.sub_((g * of_g + m * of_m) / ((v / v_scale).sqrt() + o.epsilon) * α)


def _radam_numbers(o: RAdam, t: int) -> tuple[float, float]:
    β1, β2 = o.beta_1, o.beta_2
    scale, ρ_limit = 1 / (1 - β1**t), 2 / (1 - β2) - 1
    ρ = ρ_limit - 2 * t * β2**t / (1 - β2**t)
    if ρ <= 5:
        return 0.0, scale
    r = math.sqrt((ρ - 4) * (ρ - 2) * ρ_limit / ((ρ_limit - 4) * (ρ_limit - 2) * ρ))
    return r * math.sqrt(1 - β2**t) * scale, 0.0


def _radam(
    o: RAdam, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor, scaled: Tensor,
    plain: Tensor,
) -> None:
    m, v = slots
    m.lerp_(g, 1 - o.beta_1)
    v.mul_(o.beta_2).addcmul_(g, g, value=1 - o.beta_2)
    w.sub_(m * (scaled / (v.sqrt() + o.epsilon) + plain) * α)


def _rmsprop(o: RMSprop, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor) -> None:
    s, *more = slots
    s.mul_(o.rho).addcmul_(g, g, value=1 - o.rho)
    size = s
    if o.centered:
        mean = more[0].lerp_(g, 1 - o.rho)
        size = (s - mean * mean).clamp_min(0)
    change = g / (size.sqrt() + o.epsilon)
    w.sub_((more[-1].mul_(o.momentum).add_(change) if o.momentum else change) * α)


def _adagrad(o: Adagrad, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor) -> None:
    (s,) = slots
    s.addcmul_(g, g)
    w.sub_(g / (s.sqrt() + o.epsilon) * α)


def _adadelta(o: Adadelta, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor) -> None:
    s, d = slots
    s.mul_(o.rho).addcmul_(g, g, value=1 - o.rho)
    Δ = ((d + o.epsilon) / (s + o.epsilon)).sqrt() * g
    d.mul_(o.rho).addcmul_(Δ, Δ, value=1 - o.rho)
    w.sub_(Δ * α)


def _lion(o: Lion, w: Tensor, g: Tensor, slots: Sequence[Tensor], α: Tensor) -> None:
    (m,) = slots
    w.sub_(m.lerp(g, 1 - o.beta_1).sign() * α)
    m.lerp_(g, 1 - o.beta_2)


FORMULAS: Mapping[type, Formula] = {
    SGD: Formula(_sgd), Adam: Formula(_adam, _corrections), AdamW: Formula(_adam, _corrections),
    LAMB: Formula(_lamb, _corrections),
    Adamax: Formula(_adamax, lambda o, t: (1 / (1 - o.beta_1**t),)),
    Nadam: Formula(_nadam, _nadam_numbers), RAdam: Formula(_radam, _radam_numbers),
    RMSprop: Formula(_rmsprop), Adagrad: Formula(_adagrad), Adadelta: Formula(_adadelta),
    Lion: Formula(_lion),
}  # fmt: skip
