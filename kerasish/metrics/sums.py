"""What a metric hands over to be saved, and takes back: copies of plain data and tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kerasish.types import Device

_PLAIN = (bool, int, float, str)


def copied(who: str, value: Any, device: Device | None = None) -> Any:
    """A copy that nobody else writes into, of plain data, tensors, and lists and dicts of these.

    Raises: TypeError for anything else, in the name of who holds it.

    Args:
        who: what the value is, for the error.
        value: None, a truth value, a number, a string, an array, a tensor, or these in lists,
            tuples and dicts with names.
        device: where tensors go; None leaves them where they are.

    Example:
        >>> copied("Best.scores", {"seen": [1, 2.5]})
        {'seen': [1, 2.5]}
    """
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        with torch.inference_mode(False):  # it may outlive the step
            return value.detach().to(value.device if device is None else device, copy=True)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return value.copy()
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: copied(f"{who}[{name!r}]", part, device) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(copied(f"{who}[{i}]", part, device) for i, part in enumerate(value))
    raise TypeError(
        f"{who} expects numbers, strings, tensors and arrays, or lists and dicts of them, to be "
        f"saved; got {type(value).__name__}. Keep its numbers, name what no batch changes in "
        "`settings`, or write state_dict and load_state_dict."
    )
