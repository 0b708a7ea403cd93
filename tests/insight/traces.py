"""What a tool could leave behind in a model, to compare before and after."""

from typing import Any

import torch

from kerasish.random import global_states


def traces(model: Any) -> Any:
    """All that a tool must not change, as values to compare with `same`."""
    parts = [(path, type(part), part.training, part.built, len(part._saved), dict(vars(part)))
             for path, part in model.module.named_modules()]
    optimizer = getattr(model, "optimizer", None)
    attributes = {name: value for name, value in vars(model).items()}
    return {
        "modules": parts,
        "weights": model.module.state_dict(),
        "gradients": [each.grad.clone() for each in model.module.parameters()],
        "optimizer": optimizer.state_dict() if optimizer is not None and optimizer.built else None,
        "attributes": attributes,
        "random": global_states(),
    }


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to the bit, objects by identity."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and (
            one.shape == other.shape and one.contiguous().view(-1).view(torch.uint8).equal(
                other.contiguous().view(-1).view(torch.uint8)))
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(
            same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(
            map(same, one, other))
    if type(one).__module__ == "numpy":
        return type(one) is type(other) and one.tobytes() == other.tobytes()
    return one is other or (isinstance(one, int | float | str | bool) and one == other)
