"""Small matrix products written out as sums, which a compiler merges with what is around them.

A call of a matrix library costs about a microsecond, more than the product itself in a small net.
Large ones stay calls of oneDNN: its operation gets a name of ours, since the compiler knows the one
of torch as that of a weight that never changes, and takes no other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from kerasish.layers.products import ONEDNN

_aten = torch.ops.aten
_MOST = 8192
"""Multiplications up to which a product is written out."""


def _product(a: Tensor, b: Tensor) -> Tensor | None:
    """The product as a sum; None where the library is faster."""
    if a.shape[0] * a.shape[1] * b.shape[1] > _MOST or not a.is_floating_point():
        return None
    if a.shape[1] == 1:
        return a * b
    return (a.unsqueeze(2) * b.unsqueeze(0)).sum(1)


def _mm(a: Tensor, b: Tensor) -> Any:
    product = _product(a, b)
    return NotImplemented if product is None else product


def _addmm(c: Tensor, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    product = _product(a, b) if beta == alpha == 1 else None
    return NotImplemented if product is None else c + product


def _addmm_(c: Tensor, a: Tensor, b: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    product = _product(a, b) if beta == alpha == 1 else None
    return NotImplemented if product is None else c.add_(product)


def _addmv_(c: Tensor, a: Tensor, v: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    return c.add_((a * v).sum(1)) if beta == alpha == 1 else NotImplemented


def _dot(a: Tensor, b: Tensor) -> Any:
    return (a * b).sum()


_library: Any = torch.library.Library("kerasish", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("product(Tensor rows, Tensor weight, Tensor? bias) -> Tensor")
_library.impl("product", lambda rows, weight, bias: ONEDNN(rows, weight, bias, "none", [], ""),
              "CPU")
_library.impl("product", lambda rows, weight, _: rows.new_empty(len(rows), len(weight)), "Meta")


def _large(rows: Tensor, weight: Tensor, bias: Tensor | None, *_: Any) -> Any:
    return torch.ops.kerasish.product(rows, weight, bias)


WRITTEN_OUT: Mapping[Any, Callable[..., Any]] = {
    _aten.mm.default: _mm, _aten.addmm.default: _addmm, _aten.addmm_.default: _addmm_,
    _aten.addmv_.default: _addmv_, _aten.dot.default: _dot, ONEDNN: _large,
}
