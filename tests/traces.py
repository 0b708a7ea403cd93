"""What a tool must leave as it was: a model's whole state and the global random generators."""

from typing import Any

import torch

from kerasish.random import global_states


def everything(model: Any) -> list[Any]:
    """All that could be changed, to the bit, as values that can be compared.

    Objects that do not say what they are, bound calls for instance, are compared by identity.
    """
    parts = {"model": model, "optimizer": getattr(model, "optimizer", None),
             "loss": getattr(model, "loss", None), **dict(model.module.named_modules())}
    objects = {name: part for name, part in parts.items() if part is not None}
    with torch.inference_mode(False):
        return [
            {name: _bits(vars(part)) for name, part in objects.items()},
            {name: type(part) for name, part in objects.items()},
            _bits(objects["optimizer"].state_dict() if "optimizer" in objects else None),
            _bits(model.module.state_dict()),
            [_bits(each.grad) for each in model.module.parameters()],
            [id(each.data) for each in model.module.parameters()],
            _bits(global_states()),
        ]


def _bits(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype, value.contiguous().cpu().numpy().tobytes()
    if isinstance(value, dict):
        return {name: _bits(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_bits(each) for each in value]
    return value.tobytes() if hasattr(value, "tobytes") else repr(value)
