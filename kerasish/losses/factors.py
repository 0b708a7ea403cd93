"""Numbers that whole batches are multiplied with, as tensors."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def factor(number: float, dtype: torch.dtype) -> float | Tensor:
    """The number as a 0-dim tensor, made once.

    torch makes a tensor of a number in each multiplication, which costs twice as much as to
    multiply a small batch by it. The product is the same to the bit. In types shorter
    than float32 it stays a number, since it would be rounded to them.

    Example:
        >>> factor(0.5, torch.float32), factor(0.5, torch.bfloat16)
        (tensor(0.5000), 0.5)
    """
    if dtype.itemsize < torch.float32.itemsize:
        return number
    # Asked for first in a plan, say, which runs on a device without memory, it is no part of that.
    with torch.inference_mode(False), torch._C._DisableTorchDispatch():
        return torch.tensor(number, dtype=dtype, device="cpu")
