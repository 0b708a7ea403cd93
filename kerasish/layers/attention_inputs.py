"""What attention may be given: one tensor, several, or several with masks; and gradients for it."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.types import Shape

_TENSORS = ("query", "key", "value")
_MASKS = ("key_padding_mask", "attn_mask")


class Inputs(NamedTuple):
    """The tensors, or their shapes, in one structure whatever they came in."""

    parts: tuple[Any, ...]
    """The query, then key and value as far as they are given."""
    key_padding_mask: Any
    attn_mask: Any
    form: tuple[str, ...] | bool
    """The names of a dict; else whether it was a tuple."""

    def gradients(self, parts: list[Any], attn_mask: Any) -> Any:
        """Gradients for all that was given, in the structure that it came in."""
        if attn_mask is not None:
            attn_mask = attn_mask.view(self.attn_mask.shape)
        if isinstance(self.form, tuple):
            given = [name for name in _TENSORS if name in self.form]
            named = dict(zip(given, parts, strict=False)) | {"attn_mask": attn_mask}
            return {name: named.get(name) for name in self.form}
        return tuple(parts) if self.form else parts[0]


def read(who: object, x: Any) -> Inputs:
    """What is in x, or in the shape of x.

    Raises: ValueError for other names, or for another number of tensors.
    """
    if isinstance(x, dict):
        given = [name for name in _TENSORS if x.get(name) is not None]
        if not given or given != list(_TENSORS[: len(given)]) or x.keys() - {*_TENSORS, *_MASKS}:
            raise ValueError(f"{who!r} expects a dict with 'query', and if wanted 'key', 'value', "
                             f"'key_padding_mask' and 'attn_mask'; got {list(x)}. Rename them.")
        padding, mask = map(x.get, _MASKS)
        return Inputs(tuple(x[name] for name in given), padding, mask, tuple(x))
    if isinstance(x, Tensor) or not x or isinstance(x[0], int):
        return Inputs((x,), None, None, False)
    if len(x) > 3:
        raise ValueError(f"{who!r} expects (query, key) or (query, key, value); got a tuple of "
                         f"{len(x)}. Masks go into a dict, with the names that torch has for them.")
    return Inputs(tuple(x), None, None, True)


def added_to_scores(
    who: object, inputs: Inputs, scores: Shape, dtype: torch.dtype
) -> tuple[Tensor | None, torch.Size | None]:
    """What the masks add to scores (N, H, L, S), and the shape of the gradient of a mask of floats.

    Raises: TypeError or ValueError for masks of another type or shape.
    """
    batch, _, _, keys = scores
    padding, mask, learned = inputs.key_padding_mask, inputs.attn_mask, None
    if padding is not None:
        if padding.dtype != torch.bool:
            raise TypeError(f"{who!r} expects key_padding_mask of torch.bool, True for keys to "
                            f"ignore; got {padding.dtype}. Write mask == 0 if 0 is what that says.")
        _require(who, "key_padding_mask", padding, [(batch, keys)])
        padding = _minus_infinity(padding, dtype)[:, None, None]
    if mask is not None:
        if mask.dtype != torch.bool and not mask.is_floating_point():
            raise TypeError(f"{who!r} expects attn_mask of torch.bool, True where a query may not "
                            f"look, or of floats; got {mask.dtype}. Write mask == 0 if 0 says so.")
        mask = _four_axes(who, mask, scores)
        if mask.dtype == torch.bool:
            mask = _minus_infinity(mask, dtype)
        else:
            learned = mask.shape
    if padding is None or mask is None:
        return padding if mask is None else mask, learned
    return padding + mask, learned


def _four_axes(who: object, mask: Tensor, scores: Shape) -> Tensor:
    """A mask for all samples, one a sample, or one a head, in a shape that broadcasts to scores."""
    batch, heads, queries, keys = scores
    square = (queries, keys)
    _require(who, "attn_mask", mask, [square, (batch, *square), (batch * heads, *square), scores])
    if mask.dim() == 3:
        return mask.view(batch, -1, *square) if batch else mask.view(batch, heads, *square)
    return mask if mask.dim() == 4 else mask[None, None]


def _minus_infinity(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(mask, -math.inf)


def _require(who: object, name: str, mask: Tensor, shapes: list[Shape]) -> None:
    if mask.shape not in shapes:
        wanted = " or ".join(map(str, dict.fromkeys(shapes)))
        raise ValueError(f"{who!r} expects {name} of shape {wanted}; got {tuple(mask.shape)}. "
                         "Axis 0 is the batch, the last one the keys.")
