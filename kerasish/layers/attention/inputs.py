"""What attention may be given: one tensor, several, or several with masks; and gradients for it."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.types import Shape

Names = tuple[str, ...]


class Inputs(NamedTuple):
    """The tensors, or their shapes, in one structure whatever they came in."""

    names: Names
    """What the tensors are called in a dict."""
    parts: tuple[Any, ...]
    """The tensors in that order, as far as they are given."""
    masks: tuple[Any, ...]
    """The masks in their order, None for those that are not given."""
    form: Names | bool
    """The names of the dict that they came in; else whether it was a tuple."""

    def gradients(self, parts: list[Any], **masks: Any) -> Any:
        """Gradients for all that was given, in the structure that it came in."""
        if isinstance(self.form, tuple):
            named = dict(zip(self.names, parts, strict=False)) | masks
            return {name: named.get(name) for name in self.form}
        return tuple(parts) if self.form else parts[0]


def read(who: object, x: Any, names: Names, masks: Names, least: int = 1) -> Inputs:
    """What is in x, or in the shape of x.

    Raises: ValueError for other names in a dict, or for another number of tensors.

    Args:
        who: who is named in errors.
        x: a tensor, a tuple of tensors, or a dict of tensors and masks; or their shapes.
        names: of the tensors, in order.
        masks: names that may stand in a dict besides.
        least: how many tensors must be given.
    """
    form: Names | bool = False
    parts: tuple[Any, ...] = (x,)
    given: dict[str, Any] = {}
    if isinstance(x, dict):
        given = {name: part for name, part in x.items() if part is not None}
        parts, form = tuple(given[name] for name in names if name in given), tuple(x)
    elif not isinstance(x, Tensor) and x and not isinstance(x[0], int):
        parts, form = tuple(x), True
    in_order = all(name in given for name in names[: len(parts)]) or not given
    if not least <= len(parts) <= len(names) or not in_order or given.keys() - {*names, *masks}:
        got = list(given) if given else f"{len(parts)} of them"
        raise ValueError(f"{who!r} expects {least} to {len(names)} tensors, {', '.join(names)}; in "
                         f"a dict of these names there may be {', '.join(masks)} besides; got "
                         f"{got}. Give it those.")
    return Inputs(names, parts, tuple(map(given.get, masks)), form)


def added_to_scores(
    who: object, inputs: Inputs, scores: Shape, dtype: torch.dtype
) -> tuple[Tensor | None, torch.Size | None]:
    """What the masks add to scores (N, H, L, S), and the shape of the gradient of a mask of floats.

    Raises: TypeError or ValueError for masks of another type or shape.
    """
    batch, _, _, keys = scores
    (padding, mask), learned = inputs.masks, None
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
