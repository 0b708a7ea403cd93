"""Which kernels run: those of the device that a tensor is on, or stands for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_meant: ContextVar[str] = ContextVar("kerasish_meant", default="meta")


def kind_of_device(tensor: Tensor) -> str:
    """"cpu" or "cuda": the kind of device whose kernels compute with a tensor.

    A tensor on the meta device, which has a shape and no numbers, may stand for one elsewhere.

    Example:
        >>> import torch
        >>> weightless = torch.empty(2, device="meta")
        >>> with standing_for("cpu"):
        ...     kind_of_device(weightless)
        'cpu'
    """
    kind = tensor.device.type
    return _meant.get() if kind == "meta" else kind


def onednn_takes(tensor: Tensor) -> bool:
    """Whether kernels of oneDNN can compute with this: float32, on a CPU."""
    return (kind_of_device(tensor) == "cpu" and tensor.dtype == torch.float32
            and torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


@contextmanager
def standing_for(kind: str) -> Iterator[None]:
    """Inside the block tensors on the meta device stand for such on a device of this kind."""
    token = _meant.set(kind)
    try:
        yield
    finally:
        _meant.reset(token)
