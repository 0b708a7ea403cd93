"""Images in another size: numbers in between are copied from, or mixed from, their neighbours."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice, check_count, check_positive
from kerasish.layers.spatial import AXES, require_axes, require_some
from kerasish.module import Module
from kerasish.types import Shape

_Kernels = tuple[Callable[..., Tensor], Callable[..., Tensor]]
_aten = torch.ops.aten
_KERNELS: dict[str, dict[int, _Kernels]] = {
    "nearest": {
        1: (_aten.upsample_nearest1d.default, _aten.upsample_nearest1d_backward.default),
        2: (_aten.upsample_nearest2d.default, _aten.upsample_nearest2d_backward.default),
        3: (_aten.upsample_nearest3d.default, _aten.upsample_nearest3d_backward.default),
    },
    "nearest-exact": {
        1: (_aten._upsample_nearest_exact1d.default,
            _aten._upsample_nearest_exact1d_backward.default),
        2: (_aten._upsample_nearest_exact2d.default,
            _aten._upsample_nearest_exact2d_backward.default),
        3: (_aten._upsample_nearest_exact3d.default,
            _aten._upsample_nearest_exact3d_backward.default),
    },
    "linear": {1: (_aten.upsample_linear1d.default, _aten.upsample_linear1d_backward.default)},
    "bilinear": {
        2: (_aten.upsample_bilinear2d.default, _aten.upsample_bilinear2d_backward.default)},
    "bicubic": {2: (_aten.upsample_bicubic2d.default, _aten.upsample_bicubic2d_backward.default)},
    "trilinear": {
        3: (_aten.upsample_trilinear3d.default, _aten.upsample_trilinear3d_backward.default)},
}
"""The kernels of each mode, by the number of axes after the channels."""


class Upsample(Module):
    """Changes the sizes of the axes after the channels, to larger or smaller ones.

        y[o] = Σ over i of weight(o, i) x[i], the weights by the distance of i from o / scale_factor

    Shapes: x (N, C, L), (N, C, H, W) or (N, C, D, H, W), y the same with other sizes: `size`, or
        ⌊S · scale_factor⌋ for an axis of size S.
    Backward: dx[i] = Σ over o of weight(o, i) dy[o]. Of x the shape alone is kept.
    Raises: ValueError unless just one of size and scale_factor is given; for align_corners with a
        mode that has no use for it; if x has other axes than the mode is for; if nothing is left.

    Args:
        size: sizes of the axes of y, one number for all or one for each.
        scale_factor: how many times larger y is than x, a number above 0 for all axes or for each.
        mode: "nearest" and "nearest-exact" (whose neighbour is truly the nearest) for all x,
            "linear" for lines, "bilinear" and "bicubic" for images, "trilinear" for volumes.
        align_corners: whether the first and last elements of x and y are at the same places, or (by
            default) their outer edges; not for the nearest modes.
        recompute_scale_factor: whether distances are measured by the true ratio of the sizes, not
            by the scale_factor given.

    Example:
        >>> Upsample(scale_factor=2)(torch.tensor([[[1.0, 3.0]]]))
        tensor([[[1., 1., 3., 3.]]])
    """

    formula: ClassVar[str] = "y = x in another size"
    backward_formula: ClassVar[str] = "dx[i] = Σ_o weight(o, i) dy[o]"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.mode = check_choice("Upsample(mode)", mode, _KERNELS)
        if (size is None) == (scale_factor is None):
            raise ValueError(
                f"Upsample(size, scale_factor) expects one of the two; got {size!r} and "
                f"{scale_factor!r}. Upsample(scale_factor=2) doubles the size."
            )
        self.size = _each(size, lambda value: check_count("Upsample(size)", value, 1))
        self.scale_factor = _each(
            scale_factor, lambda value: check_positive("Upsample(scale_factor)", value))
        if align_corners is not None and mode.startswith("nearest"):
            raise ValueError(
                f"Upsample(align_corners) expects None with mode {mode!r}; got {align_corners!r}. "
                "Leave it out, or choose a linear mode."
            )
        if recompute_scale_factor and size is not None:
            raise ValueError(
                "Upsample(recompute_scale_factor) expects a scale_factor to recompute; got size "
                f"{size!r}. Leave it out: with a size the ratio of the sizes counts anyway."
            )
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor
        self._align = () if mode.startswith("nearest") else (bool(align_corners),)

    def build(self, shape: Shape) -> Shape:
        require_axes(self, shape, _KERNELS[self.mode], "Choose the mode that is for such x.")
        axes = len(shape) - 1
        for name, setting in (("size", self.size), ("scale_factor", self.scale_factor)):
            if isinstance(setting, tuple) and len(setting) != axes:
                raise ValueError(
                    f"Upsample({name}) expects one number, or {axes} for x of shape {AXES[axes]}; "
                    f"got {setting}. Give one for each axis after the channels."
                )
        sizes = self._resized(shape[1:])[0]
        require_some(self, shape[1:], sizes, "Choose a larger scale_factor.")
        return (shape[0], *sizes)

    def forward(self, x: Tensor) -> Tensor:
        sizes, scales = self._resized(x.shape[2:])
        self.save_for_backward(x.shape, sizes, scales)
        return _KERNELS[self.mode][len(sizes)][0](x, sizes, *self._align, *scales)

    def backward(self, dy: Tensor) -> Tensor:
        shape, sizes, scales = self.saved_tensors()
        upsample_backward = _KERNELS[self.mode][len(sizes)][1]
        return upsample_backward(dy, sizes, shape, *self._align, *scales)

    def _resized(self, sizes: Shape) -> tuple[Shape, tuple[float | None, ...]]:
        """The sizes in y, and the scales that kernels are told: None for the ratio of the sizes."""
        unknown = (None,) * len(sizes)
        if self.size is not None:
            return _for_all(self.size, len(sizes)), unknown
        scales = _for_all(self.scale_factor, len(sizes))
        resized = tuple(int(size * scale) for size, scale in zip(sizes, scales, strict=True))
        return resized, unknown if self.recompute_scale_factor else scales


def _each(setting: Any, check: Callable[[Any], Any]) -> Any:
    """One number or a tuple of them, each checked; None as it is."""
    if setting is None:
        return None
    return tuple(map(check, setting)) if isinstance(setting, list | tuple) else check(setting)


def _for_all(setting: Any, axes: int) -> Any:
    return setting if isinstance(setting, tuple) else (setting,) * axes
