"""torch's fused kernels, which make a whole update in one pass over memory: which step they count.

They take the number of the step as a tensor on the device. Here the corrections that depend on it
are folded into the rate and into ε instead, so the kernels are told of a step so late that their
own corrections are 1, and nothing has to be counted on the device.
"""

from functools import cache

import torch
from torch import Tensor


@cache
def late_step(device: torch.device) -> Tensor:
    """A step number t with βᵗ = 0 for each β below 1."""
    with torch.inference_mode(False):
        return torch.tensor(2.0**100, dtype=torch.float32, device=device)
