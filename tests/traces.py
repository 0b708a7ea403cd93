"""What a tool must leave as it was: a model's whole state and the global random generators."""

from typing import Any

import torch

from kerasish.random import global_states

_PLANS = ("_forth", "_back", "_back_to_stem", "_planned_at")
"""Bound calls, which hold no state: they are made anew whenever a parameter's settings change."""


def everything(model: Any) -> list[Any]:
    """All that could be changed, to the bit, as values that can be compared."""
    objects = {"model": model, "optimizer": model.optimizer, "loss": model.loss,
               **{path: part for path, part in model.module.named_modules()}}
    with torch.inference_mode(False):
        return [
            {name: _flat(part) for name, part in objects.items()},
            {name: type(part) for name, part in objects.items()},
            _bits(model.optimizer.state_dict()),
            _bits(model.module.state_dict()),
            [_bits(each.grad) for each in model.module.parameters()],
            [id(each.data) for each in model.module.parameters()],
            _bits(global_states()),
        ]


def _flat(part: Any) -> dict[str, str]:
    return {name: repr(value) for name, value in vars(part).items() if name not in _PLANS}


def _bits(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype, value.contiguous().cpu().numpy().tobytes()
    if isinstance(value, dict):
        return {name: _bits(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bits(each) for each in value]
    return value.tobytes() if hasattr(value, "tobytes") else repr(value)
