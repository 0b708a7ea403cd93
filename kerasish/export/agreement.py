"""Whether a module and its twin in torch agree: outputs and all gradients, in float64."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kerasish import containers
from kerasish.module import Module
from kerasish.trees import leaves, mapped, mapped_shapes

TOLERANCE = 1e-9
"""How far twins may be apart in float64, as a share of each tensor's largest number."""

_ROUNDINGS = 4096
"""How many roundings of the net's largest gradient any other gradient may be off."""


class Difference(NamedTuple):
    """The largest difference between a module and its twin, and the tensor that it is in."""

    share: float
    name: str
    gradients: int
    """How many gradients were compared."""


def compare(module: Module, twin: nn.Module, sample: Any = None) -> Difference:
    """Compares outputs and all gradients in float64, in evaluation and, without noise, training.

    All parameters count, frozen ones too. A frozen batch norm is in evaluation mode all along.

    Raises: ArithmeticError naming the tensor if they differ by more than 1e-9 of its scale.
    """
    ours, theirs = copy.deepcopy(module).to("cpu", torch.float64), copy.deepcopy(twin).cpu()
    theirs = theirs.double()
    for parameter in ours.parameters():
        parameter.trainable = True
    x = drawn(module, 3) if sample is None else sample
    x = mapped(lambda part: part.double() if part.is_floating_point() else part, x)
    worst = _largest(_ours(ours.eval(), x), _theirs(theirs.eval(), x))
    rest(module, ours.train())
    rest(module, theirs.train())
    if not _is_random(ours, x):
        trained = _largest(_ours(ours, x), _theirs(theirs, x))
        worst = max(worst, trained, key=lambda each: each.share)
    if not worst.share <= TOLERANCE:
        raise ArithmeticError(f"to_torch(check=True) expects equal numbers; got {worst.name} "
                              f"{worst.share:.1e} of its scale apart. Please report it.")
    return worst


def rest(module: Module, twin: Module | nn.Module) -> None:
    """Puts those parts of a twin in evaluation mode whose statistics are frozen in the module."""
    parts = dict(twin.named_modules())
    for path, part in module.named_modules():
        if not part.trainable and getattr(part, "running_mean", None) is not None:
            parts[path].eval()


def drawn(module: Module, batch: int) -> Any:
    """A batch in the shape that a module was built for: normal numbers, words for an Embedding."""
    noise = torch.Generator().manual_seed(0)
    first = module
    while isinstance(first, containers.Sequential) and first.layers:
        first = first.layers[0]
    words = getattr(first, "num_embeddings", None)
    if words is not None:
        return torch.randint(words, (batch, *module.input_shape), generator=noise)
    return mapped_shapes(lambda shape: torch.randn(batch, *shape, generator=noise),
                         module.input_shape)


def _is_random(module: Module, x: Any) -> bool:
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        with module.inference():
            copy.deepcopy(module).forward(x)
        return not torch.equal(torch.get_rng_state(), before)


def _gradients_of(y: Any) -> Any:
    """A gradient to go back with, the same for both."""
    noise = torch.Generator().manual_seed(1)
    return mapped(lambda part: torch.randn(part.shape, dtype=part.dtype, generator=noise), y)


def _ours(module: Module, x: Any) -> dict[str, Tensor]:
    module.zero_grad()
    y = module.forward(x)
    dx = module.backward(_gradients_of(y))
    return _named("the output", y) | _named("the gradient of the input", dx) | {
        f"the gradient of {name}": p.grad.clone() for name, p in module.named_parameters()}


def _theirs(twin: nn.Module, x: Any) -> dict[str, Tensor]:
    x = mapped(torch.clone, x)
    given = [part.requires_grad_() for part in leaves(x) if part.is_floating_point()]
    twin.zero_grad()
    y = twin(mapped(torch.clone, x))  # a module in place may not write into a leaf
    outputs, dy = list(leaves(y)), list(leaves(_gradients_of(y)))
    torch.autograd.backward([part for part in outputs if part.requires_grad],
                            [by for part, by in zip(outputs, dy, strict=True)
                             if part.requires_grad])
    for part in (*given, *twin.parameters()):
        part.grad = torch.zeros_like(part) if part.grad is None else part.grad
    dx = mapped(lambda part: part.grad, x)
    return _named("the output", y) | _named("the gradient of the input", dx) | {
        f"the gradient of {name}": p.grad for name, p in twin.named_parameters()
        if p.grad is not None}


def _named(name: str, tree: Any) -> dict[str, Tensor]:
    parts = list(leaves(tree))
    if len(parts) == 1:
        return {name: parts[0].detach()}
    return {f"{name}, part {index}": part.detach() for index, part in enumerate(parts)}


def _largest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> Difference:
    """The tensor that differs most; one that only one side has differs infinitely.

    A bias before a norm has the gradient zero: what is computed for it is the rounding of numbers
    as large as the net's other gradients. So no gradient is held to more than they were rounded to.
    """
    shares = {name: torch.inf for name in ours.keys() ^ theirs.keys()}
    scales = {name: _size(value) for name, value in theirs.items()}
    rounding = torch.finfo(torch.float64).eps * max(
        (scale for name, scale in scales.items() if "gradient" in name), default=0.0)
    for name in ours.keys() & theirs.keys():
        apart = _size(ours[name] - theirs[name])
        floor = _ROUNDINGS * rounding / TOLERANCE if "gradient" in name else 0.0
        scale = max(scales[name], floor)
        shares[name] = apart / scale if scale else apart
    worst = max(shares, key=lambda name: shares[name])
    return Difference(shares[worst], worst, sum("gradient" in name for name in shares))


def _size(value: Tensor) -> float:
    return float(value.abs().max()) if value.numel() else 0.0
