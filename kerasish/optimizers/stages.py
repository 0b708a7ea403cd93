"""What happens to gradients before an update and to weights after it, a function each."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from kerasish.checks import check_positive
from kerasish.optimizers.segments import Segment
from kerasish.parameter import Parameter


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
) -> Callable[[], None] | None:
    """The clipping that is wanted, bound to the gradients; None for none."""
    gradients = [segment.g for segment in segments]
    if clipnorm is not None:
        each = [g for segment in segments for g in segment.g.split_with_sizes(segment.sizes)]
        return partial(clip_by_norm, each, clipnorm)
    if clipvalue is not None:
        return partial(clip_by_value, gradients, clipvalue)
    if global_clipnorm is not None:
        return partial(clip_by_global_norm, gradients, global_clipnorm)
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


def clip_by_global_norm(gradients: list[Tensor], limit: float) -> None:
    """Shortens all gradients by one factor, if their norm as a single vector is above the limit.

    Source: Pascanu et al. (2013), Algorithm 1.
    """
    norms = [torch.linalg.vector_norm(g) for g in gradients]
    if len(norms) > 1:  # of several stretches, which may be of several types or devices
        norms = [torch.linalg.vector_norm(torch.stack([norm.to(norms[0]) for norm in norms]))]
    excess = norms[0].div_(limit).clamp_min_(1.0)
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
