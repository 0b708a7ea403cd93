"""What happens to gradients before an update and to weights after it, a function each."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from kerasish.checks import check_positive
from kerasish.optimizers.averages import Averages, averaged
from kerasish.optimizers.segments import Segment
from kerasish.parameter import Parameter

Total = Callable[[Tensor], Tensor]
"""Adds up a number over all processes."""


def averages_of(optimizer: Any, parameters: Collection[Parameter]) -> Averages:
    """The running averages of some of an optimizer's parameters."""
    trained = {parameter for parameter in parameters if parameter.trainable}
    kept = optimizer.flats, optimizer.state
    return Averages(averaged(*kept, parameters, optimizer.shares),
                    averaged(*kept, trained, optimizer.shares),
                    optimizer.ema_momentum, optimizer.ema_overwrite_frequency)


def stages_of(
    optimizer: Any, parameters: Sequence[Parameter], segments: list[Segment]
) -> list[Callable[[], None]]:
    """What an update of these parameters does, in its order.

    Args:
        optimizer: whose settings say what is wanted.
        parameters: any of those that it has.
        segments: what covers those of them that are trained.
    """
    averages = averages_of(optimizer, parameters)
    trained = [parameter for parameter in parameters if parameter.trainable]
    regularized = [p for p in trained if p.regularizer is not None]
    constrained = [p for p in trained if p.constraint is not None]
    exchange = optimizer.exchange
    clip = clipping(segments, optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm,
                    exchange.total if exchange and exchange.divided else None)
    stages: list[tuple[Callable[[], None] | None, Any]] = [
        (partial(add_penalties, regularized), regularized),
        (clip, segments or (exchange and exchange.divided)),
        (partial(optimizer.update_all, segments), True),
        (lambda: averages.update(optimizer.iterations), optimizer.use_ema),
        (exchange and exchange.spread, True),
        (partial(project, constrained), constrained),
    ]
    return [stage for stage, wanted in stages if stage and wanted]


def check_clipping(who: str, **limits: float | None) -> list[float | None]:
    """Hands the limits back if each is above 0, and no more than one of them is given.

    Example:
        >>> check_clipping("SGD", clipnorm=1, clipvalue=None)
        [1.0, None]
    """
    given = [name for name, limit in limits.items() if limit is not None]
    if len(given) > 1:
        raise ValueError(f"{who}({', '.join(limits)}) expects one of these at most; got "
                         f"{' and '.join(given)}. Keep one of them.")
    return [limit if limit is None else check_positive(f"{who}({name})", limit)
            for name, limit in limits.items()]


def clipping(
    segments: Sequence[Segment],
    clipnorm: float | None,
    clipvalue: float | None,
    global_clipnorm: float | None,
    total: Total | None = None,
) -> Callable[[], None] | None:
    """The clipping that is wanted, bound to the gradients; None for none."""
    gradients = [segment.g for segment in segments]
    if clipnorm is not None:
        each = [g for segment in segments for g in segment.g.split_with_sizes(segment.sizes)]
        return partial(clip_by_norm, each, clipnorm)
    if clipvalue is not None:
        return partial(clip_by_value, gradients, clipvalue)
    if global_clipnorm is not None:
        return partial(clip_by_global_norm, gradients, global_clipnorm, total)
    return None


def clip_by_value(gradients: list[Tensor], limit: float) -> None:
    """Cuts off each element at -limit and limit."""
    for g in gradients:
        g.clamp_(-limit, limit)


def clip_by_norm(gradients: list[Tensor], limit: float) -> None:
    """Shortens each gradient whose norm is above the limit c: g ← g / max(‖g‖ / c, 1)."""
    excess = list(torch._foreach_norm(gradients))
    torch._foreach_div_(excess, limit)
    torch._foreach_clamp_min_(excess, 1.0)
    torch._foreach_div_(gradients, excess)


def clip_by_global_norm(
    gradients: list[Tensor], limit: float, total: Total | None = None
) -> None:
    """Shortens all gradients by one factor, if their norm as a single vector is above the limit.

    Source: Pascanu et al. (2013), Algorithm 1.

    Args:
        gradients: those that are known here.
        limit: the greatest norm.
        total: adds up a number over all processes, where others know other gradients.
    """
    norms = [torch.linalg.vector_norm(g) for g in gradients] or [torch.zeros(())]
    if len(norms) > 1:  # of several stretches, which may be of several types or devices
        norms = [torch.linalg.vector_norm(torch.stack([norm.to(norms[0]) for norm in norms]))]
    norm = norms[0] if total is None else total(norms[0].square()).sqrt()
    excess = norm.div_(limit).clamp_min_(1.0)
    for g in gradients:
        g.div_(excess.to(g.device))


def add_penalties(parameters: list[Parameter]) -> None:
    """Adds the gradient of each parameter's regularizer to its own."""
    torch._foreach_add_([parameter.grad for parameter in parameters],
                        [parameter.regularizer.gradient(parameter.data)
                         for parameter in parameters])


def project(parameters: list[Parameter]) -> None:
    """Puts each parameter back into what its constraint allows."""
    torch._foreach_copy_([parameter.data for parameter in parameters],
                         [parameter.constraint.project(parameter.data)
                          for parameter in parameters])
