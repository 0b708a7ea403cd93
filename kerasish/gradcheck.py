"""Proves a backward pass: compares it with finite differences, number by number."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from kerasish.differentiable import saving
from kerasish.losses import Loss
from kerasish.module import Module
from kerasish.random import drawing_from

_STEP = 1e-6
"""Central differences in float64: their error is least near the cube root of its precision."""


class GradientMismatch(AssertionError):
    """A backward pass that is not the derivative of its forward pass."""


def check_gradients(
    module: Module | Loss,
    *inputs: Tensor,
    tolerance: float = 1e-6,
    most: int = 200,
    seed: int = 0,
) -> None:
    """Compares every gradient of a module or a loss with central differences.

        dL/dw ≈ (L(w + ε) - L(w - ε)) / 2ε,    L = Σ r · forward(x) for fixed random r

    Works on a copy in float64, and leaves no trace. Noise, dropout's for instance, is drawn anew
    from the same seed in each pass.

    Raises: GradientMismatch naming the tensor, the element and both numbers; ValueError if dx has
        another shape than x.

    Args:
        module: built or not; a loss is checked with respect to its first input.
        inputs: x for a module; y_pred and y_true, and sample weights if wanted, for a loss. Keep x
            away from kinks: ReLU has no derivative at 0.
        tolerance: the largest error, as a share of the tensor's largest gradient (or of 1).
        most: elements that are checked of each tensor, evenly spread; the cost is 2 passes each.
        seed: decides r and the noise.

    Example:
        >>> from kerasish.layers import Linear
        >>> check_gradients(Linear(3), torch.ones(2, 4))
    """
    if not inputs or not inputs[0].numel():
        got = tuple(inputs[0].shape) if inputs else "none"
        raise ValueError(f"check_gradients(inputs) expects numbers to differentiate by; got {got}. "
                         "Give a batch of two or three samples.")
    twin = copy.deepcopy(module)
    x, *others = (_doubled(value) for value in inputs)
    if isinstance(twin, Module):
        if not twin.built:
            twin.build(tuple(x.shape[1:]))
        twin.to("cpu", torch.float64).zero_grad()

    def forward() -> Tensor:
        with drawing_from(torch.Generator().manual_seed(seed)):
            return twin.forward(x, *others)

    y = forward()
    if isinstance(twin, Loss):
        r, dx = torch.ones_like(y), twin.backward()
    else:
        r = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(seed + 1))
        dx = twin.backward(r.clone())
    gradients = [("dx", x, dx)]
    if isinstance(twin, Module):
        gradients += [(f"gradient of {name}", p.data, p.grad.clone())
                      for name, p in twin.named_parameters() if p.trainable]
    for name, values, gradient in gradients:
        if not isinstance(gradient, Tensor) or gradient.shape != values.shape:
            got = tuple(gradient.shape) if isinstance(gradient, Tensor) else repr(gradient)
            raise ValueError(f"check_gradients expects {name} of shape {tuple(values.shape)}; got "
                             f"{got}. Mend {module!r}.backward.")
        with saving(False):
            _compare(f"{module!r}, {name}", values, gradient, lambda: float((forward() * r).sum()),
                     tolerance, most)


def _compare(
    name: str,
    values: Tensor,
    gradient: Tensor,
    objective: Callable[[], float],
    tolerance: float,
    most: int,
) -> None:
    """Differentiates the objective by elements of values, and compares with the gradient."""
    flat, allowed = values.view(-1), tolerance * max(1.0, float(gradient.abs().amax().nan_to_num()))
    for index in range(0, len(flat), -(-len(flat) // most)):
        before = flat[index].item()
        flat[index] = before + _STEP
        above = objective()
        flat[index] = before - _STEP
        below = objective()
        flat[index] = before
        expected, got = (above - below) / (2 * _STEP), gradient.reshape(-1)[index].item()
        if not abs(expected - got) <= allowed:
            place = tuple(int(i) for i in torch.unravel_index(torch.tensor(index), values.shape))
            raise GradientMismatch(
                f"{name} at {place}: backward gives {got:.9g}, finite differences give "
                f"{expected:.9g}; more than {allowed:.2g} apart. Mend backward, or keep x away "
                "from kinks."
            )


def _doubled(value: Tensor) -> Tensor:
    """A copy, contiguous; floats as float64."""
    value = value.detach().clone(memory_format=torch.contiguous_format)
    return value.double() if value.is_floating_point() else value
