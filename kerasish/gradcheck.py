"""Proves a backward pass: compares it with finite differences, number by number."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from kerasish.differences import doubled, floating, moved, place_of
from kerasish.differentiable import saving
from kerasish.losses import Loss
from kerasish.module import Module
from kerasish.random import drawing_from
from kerasish.trees import leaves, mapped, sample_shapes

_STEP = 1e-6
"""Central differences in float64: their error is least near the cube root of its precision."""


class GradientMismatch(AssertionError):
    """A backward pass that is not the derivative of its forward pass."""


def check_gradients(
    module: Module | Loss,
    *inputs: Any,
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
        inputs: x for a module, a tuple or dict if it takes several; y_pred and y_true, and sample
            weights if wanted, for a loss. Keep x away from kinks: ReLU has no derivative at 0.
        tolerance: the largest error, as a share of the tensor's largest gradient (or of 1).
        most: elements that are checked of each tensor, evenly spread; the cost is 2 passes each.
        seed: decides r and the noise.

    Example:
        >>> from kerasish.layers import Linear
        >>> check_gradients(Linear(3), torch.ones(2, 4))
    """
    parts = list(leaves(inputs[:1]))
    if not parts or not all(part.numel() for part in parts):
        got = ", ".join(str(tuple(part.shape)) for part in parts) or "none"
        raise ValueError(f"check_gradients(inputs) expects numbers to differentiate by; got {got}. "
                         "Give a batch of two or three samples.")
    twin = copy.deepcopy(module)
    x, *others = (mapped(doubled, value) for value in inputs)
    if isinstance(twin, Module):
        if not twin.built:
            twin.build(sample_shapes(x))
        twin.to("cpu", torch.float64).zero_grad()

    def forward() -> Any:
        with drawing_from(torch.Generator().manual_seed(seed)):
            return twin.forward(x, *others)

    y = forward()
    if isinstance(twin, Loss):
        r, dx = mapped(torch.ones_like, y), twin.backward()
    else:
        noise = torch.Generator().manual_seed(seed + 1)
        r = mapped(lambda part: torch.randn(part.shape, dtype=part.dtype, generator=noise), y)
        dx = twin.backward(mapped(torch.clone, r))

    def objective() -> float:
        return sum(float((part * by).sum())
                   for part, by in zip(leaves(forward()), leaves(r), strict=True))

    for name, values, gradient in _gradients(twin, x, dx):
        if not isinstance(gradient, Tensor) or gradient.shape != values.shape:
            got = str(tuple(gradient.shape)) if isinstance(gradient, Tensor) else repr(gradient)
            raise ValueError(f"check_gradients expects {name} of shape {tuple(values.shape)}; got "
                             f"{got}. Mend {module!r}.backward.")
        with saving(False):
            _compare(f"{module!r}, {name}", values, gradient, objective, tolerance, most)


def _gradients(twin: Module | Loss, x: Any, dx: Any) -> Iterator[tuple[str, Tensor, Any]]:
    """Each tensor that a gradient belongs to, with its name; integers have none."""
    yield from floating("dx", x, dx)
    if isinstance(twin, Module):
        yield from [(f"gradient of {name}", p.data, p.grad.clone())
                    for name, p in twin.named_parameters() if p.trainable]


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
        above, below = (moved(objective, flat[index : index + 1], 1.0, step)
                        for step in (_STEP, -_STEP))
        expected, got = (above - below) / (2 * _STEP), gradient.reshape(-1)[index].item()
        if not abs(expected - got) <= allowed:
            raise GradientMismatch(
                f"{name} at {place_of(index, values.shape)}: backward gives {got:.9g}, finite "
                f"differences give {expected:.9g}; more than {allowed:.2g} apart. Mend "
                "backward, or keep x away from kinks."
            )

