"""Aliases that several floors share, so that signatures say what they mean."""

from collections.abc import MutableMapping
from typing import Any

import torch

Shape = tuple[int, ...]
"""A shape without the batch axis: `(25,)` for x of shape (N, 25)."""

Logs = MutableMapping[str, Any]
"""What hooks are told: name → running or final value, a Python float when it is read. All callbacks
of a hook share it: what an earlier one adds, later ones and History see."""

ArrayLike = Any
"""A torch tensor, a numpy array, or nested lists of numbers."""

Device = str | torch.device
"""`"cpu"`, `"cuda"` or a `torch.device`; "auto", where offered, means CUDA if there is one."""
