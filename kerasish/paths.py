"""The paths of what a module is made of, "weight" or "0.weight", as torch names them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from kerasish.parameter import Parameter
from kerasish.types import Device

_HOLDERS = (list, tuple, dict)


def values(module: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """The attributes of a kind, also in lists, tuples and dicts, with their names."""
    for name, value in vars(module).items():
        if isinstance(value, kind):
            yield name, value
        elif isinstance(value, _HOLDERS):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"{name}.{key}", part) for key, part in parts if isinstance(part, kind))


def walk(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A module and all below it; one that is used at several places comes at each of them."""
    yield path, module
    for name, child in module.named_children():
        yield from walk(child, joined(path, name))


def state(module: Any) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers by path; what is shared comes under each of its paths, as in torch."""
    for path, part in walk(module):
        for name, parameter in values(part, Parameter):
            yield joined(path, name), parameter.data
        for name in part._buffer_names:
            yield joined(path, name), getattr(part, name)


def penalized(module: Any) -> Iterator[tuple[str, Parameter]]:
    """The parameters whose regularizers add to the loss, with their paths."""
    for path, parameter in module.named_parameters():
        if parameter.trainable and parameter.regularizer:
            yield path, parameter


def joined(path: str, name: str) -> str:
    """The path of what has this name in the module at that path."""
    return f"{path}.{name}" if path else name


def load(who: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Copies values in by path; floating types are cast. Nothing changes if one does not fit.

    Raises: ValueError naming missing and unexpected paths and other shapes.
    """
    wrong = [f"{path!r} is missing" for path in own.keys() - given.keys()]
    wrong += [f"{path!r} is unexpected" for path in given.keys() - own.keys()]
    wrong += [f"{path!r} has shape {tuple(given[path].shape)}, not {tuple(own[path].shape)}"
              for path in own.keys() & given.keys() if given[path].shape != own[path].shape]
    if wrong:
        raise ValueError(
            f"{who}.load_state_dict(state_dict) expects the same paths and shapes; got: "
            f"{'; '.join(sorted(wrong))}. Build the module for the same sizes first."
        )
    for path, value in own.items():
        value.copy_(given[path].detach())


def move(module: Any, device: Device | None, dtype: torch.dtype | None) -> None:
    """Moves or converts parameters and floating buffers; shared ones stay shared.

    Raises: RuntimeError once the module belongs to a compiled model.
    """
    for path, parameter in module.named_parameters():
        if parameter.flat is not None:
            raise RuntimeError(
                f"{module!r}.to() expects a module outside a compiled model; {path!r} lies in a "
                "flat vector. Use Model(module, device=...) before compile."
            )
    with torch.inference_mode(False):  # parameters and buffers outlive every step
        for parameter in module.parameters():
            parameter.place(parameter.data.to(device, dtype), parameter.grad.to(device, dtype))
        for part in module.modules():
            for name in part._buffer_names:
                buffer = getattr(part, name)
                floating = dtype if buffer.is_floating_point() else None
                setattr(part, name, buffer.to(device, floating))


def load_awaited(module: Any) -> None:
    """Copies in what was waiting for the parameters; a setting made meanwhile outweighs it."""
    if module._awaiting is not None:
        (awaited, frozen, origin), module._awaiting = module._awaiting, None
        try:
            module.load_state_dict(awaited)
        except ValueError as error:
            if not origin:
                raise
            raise ValueError(f"The weights of {origin!r} do not fit the model that was built "
                             f"after they were loaded. {error}") from None
        for path, parameter in module.named_parameters():
            if path in frozen and "trainable" not in module._set_for_all:
                parameter.trainable = False
