"""From torch.nn to kerasish."""

import inspect
from typing import Any

import torch
from torch import nn

from kerasish import containers, layers
from kerasish.module import Module


def from_torch(module: nn.Module, shape: Any = None) -> Module:
    """The same net as a kerasish module with the same weights; it takes them on when it is built.

    Raises: TypeError naming a module that kerasish has no twin for.

    Args:
        module: a module of `torch.nn`, or an `nn.Sequential` of such.
        shape: of a sample, to build the module for; None leaves that to the first data.

    Example:
        >>> from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), (2,))
        Sequential(Linear(in_features=2, out_features=3, bias=True), ReLU(inplace=False))
    """
    made = _from_torch(module, "", {})
    made.load_when_built(module.state_dict())
    if shape is not None:
        made.build(shape)
    return made.train(module.training)


def _from_torch(module: nn.Module, path: str, made: dict[int, Module]) -> Module:
    if id(module) not in made:
        kind = type(module)
        cls = getattr(layers, kind.__name__, None)
        if kind is nn.Sequential:
            parts = [_from_torch(part, f"{path}.{name}".lstrip("."), made)
                     for name, part in module._modules.items() if part is not None]
            made[id(module)] = containers.Sequential(*parts)
        elif cls is not None and kind is getattr(nn, kind.__name__, None):
            made[id(module)] = cls(**_settings(module))
        else:
            place = f" at {path!r}" if path else ""
            raise TypeError(f"from_torch(module) expects modules that kerasish has; got "
                            f"{module!r}{place}. Write it as a Module, and build the net around "
                            "it.")
    return made[id(module)]


def _settings(module: nn.Module) -> dict[str, Any]:
    """The arguments that a module of torch was made with, read off its attributes."""
    known = inspect.signature(type(module)).parameters
    found = {name: getattr(module, name) for name in known if hasattr(module, name)}
    if "bias" in found:
        found["bias"] = module.bias is not None
    floats = [value for value in module.state_dict().values() if value.is_floating_point()]
    if floats and floats[0].dtype != torch.get_default_dtype():
        found["dtype"] = floats[0].dtype
    return found
