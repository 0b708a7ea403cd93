"""Operations that write into a tensor of the caller's, as ones that make a tensor and copy it.

The compiler refuses to write into what does not lie in one piece, and makes nothing of the copy.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten


def _copied(make: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """The operation that copies what another makes into the tensors that go by these names."""
    def run(*args: Any, **kwargs: Any) -> Any:
        into = [kwargs.pop(name) for name in names]
        made = make(*args, **kwargs)
        for tensor, each in zip(into, (made,) if isinstance(made, Tensor) else made, strict=True):
            tensor.copy_(each)
        return into[0] if len(into) == 1 else tuple(into)
    return run


COPIED: Mapping[Any, Callable[..., Any]] = {
    _aten.addcmul.out: _copied(_aten.addcmul.default, "out"),
    _aten.max_pool2d_with_indices.out: _copied(
        _aten.max_pool2d_with_indices.default, "out", "indices"),
    _aten.max_pool2d_with_indices_backward.grad_input: _copied(
        _aten.max_pool2d_with_indices_backward.default, "grad_input"),
    _aten.max_pool3d_with_indices.out: _copied(
        _aten.max_pool3d_with_indices.default, "out", "indices"),
    _aten.max_pool3d_with_indices_backward.grad_input: _copied(
        _aten.max_pool3d_with_indices_backward.default, "grad_input"),
}
