"""Pooling to a given size, whatever the size of x."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_axes
from kerasish.layers.pooling.globalpool import spread
from kerasish.layers.pooling.maxpool import indices_bytes, refuse_indices
from kerasish.layers.spatial import Spatial
from kerasish.types import Shape

_Forward = Callable[..., tuple[Tensor, Tensor]]
_Kernel = Callable[..., Tensor]
_max_pool2d: _Forward = torch.ops.aten.adaptive_max_pool2d.default
_max_pool2d_backward: _Kernel = torch.ops.aten.adaptive_max_pool2d_backward.default
_max_pool3d: _Forward = torch.ops.aten.adaptive_max_pool3d.default
_max_pool3d_backward: _Kernel = torch.ops.aten.adaptive_max_pool3d_backward.default
_avg_pool2d: _Kernel = torch.ops.aten._adaptive_avg_pool2d.default
_avg_pool2d_backward: _Kernel = torch.ops.aten._adaptive_avg_pool2d_backward.default
_avg_pool3d: _Kernel = torch.ops.aten._adaptive_avg_pool3d.default
_avg_pool3d_backward: _Kernel = torch.ops.aten._adaptive_avg_pool3d_backward.default


class AdaptivePool(Spatial):
    """Base of pooling to a given size: so many windows along an axis, as even as they can be.

        window o of O along an axis of size S: elements ⌊o S / O⌋ to ⌈(o + 1) S / O⌉ - 1

    Raises: ValueError if a size is no whole number of 1 or more, or x has other axes.

    Args:
        output_size: the size of each axis of y after the channels: one number for all, or a tuple.
            None in a tuple, for images and volumes, keeps the size that x has.
    """

    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False

    def __init__(self, output_size: Any) -> None:
        asked = output_size
        if self.axes > 1 and isinstance(output_size, list | tuple):
            asked = tuple(1 if size is None else size for size in output_size)
        sizes = check_axes(f"{type(self).__name__}(output_size)", asked, self.axes)
        self.output_size = sizes if asked is output_size else tuple(output_size)
        self._size = (1, *sizes) if self.axes == 1 else self.output_size
        self._is_global = set(self.output_size) == {1}

    def resized(self, sizes: Shape) -> Shape:
        return tuple(given or size for given, size in zip(self.output_size, sizes, strict=True))

    def size_for(self, images: Tensor) -> Shape:
        """What the kernels are told: the sizes of y, lines as images of height 1."""
        return self.resized(images.shape[2:]) if None in self._size else self._size


class AdaptiveMaxPool(AdaptivePool):
    """Base of AdaptiveMaxPool1d, AdaptiveMaxPool2d and AdaptiveMaxPool3d.

        y[o] = max of x over window o

    Backward: as in MaxPool.
    Raises: ValueError as in AdaptivePool, and if return_indices is asked for.

    Args:
        output_size: as in AdaptivePool.
        return_indices: False; a module has one output.
    """

    formula: ClassVar[str] = "y = max of x over each of output_size windows"
    backward_formula: ClassVar[str] = "dx = Σ dy over all windows that an element is the largest of"
    forward_kernel: ClassVar[_Forward] = _max_pool2d
    backward_kernel: ClassVar[_Kernel] = _max_pool2d_backward

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        refuse_indices(type(self).__name__, return_indices)
        self.return_indices = False
        super().__init__(output_size)

    def forward(self, x: Tensor) -> Tensor:
        images = self.as_images(x)
        y, indices = self.forward_kernel(images, self.size_for(images))
        self.save_for_backward(images.shape, images.stride(), indices)
        return self.as_given(y)

    def backward(self, dy: Tensor) -> Tensor:
        *layout, indices = self.saved_tensors()
        dy = self.as_images(dy)
        x = dy.new_empty_strided(*layout)  # no numbers: its shape and layout are read alone
        return self.as_given(self.backward_kernel(dy, x, indices))

    def own_bytes(self, shape: Shape) -> int:
        return indices_bytes(self.shape_of_y(shape))


class AdaptiveAvgPool(AdaptivePool):
    """Base of AdaptiveAvgPool1d, AdaptiveAvgPool2d and AdaptiveAvgPool3d.

        y[o] = mean of x over window o

    Backward: dx is the sum of dy / elements of the window over all windows that an element lies in;
        of x the shape alone is kept. One window is a global mean, see GlobalAvgPool.
    """

    formula: ClassVar[str] = "y = mean of x over each of output_size windows"
    backward_formula: ClassVar[str] = (
        "dx = Σ dy / elements of the window, over all windows that an element lies in")
    forward_kernel: ClassVar[_Kernel] = _avg_pool2d
    backward_kernel: ClassVar[_Kernel] = _avg_pool2d_backward

    def forward(self, x: Tensor) -> Tensor:
        if self._is_global:  # faster, and more exact: the kernel adds one by one
            self.save_for_backward(x.shape)
            return x.mean(tuple(range(2, x.dim())), True)
        images = self.as_images(x)
        self.save_for_backward(images.shape, images.stride())
        return self.as_given(self.forward_kernel(images, self.size_for(images)))

    def backward(self, dy: Tensor) -> Tensor:
        shape, *strides = self.saved_tensors()
        if not strides:
            return spread(dy, shape)
        dy = self.as_images(dy)
        x = dy.new_empty_strided(shape, *strides)  # no numbers: shape and layout are read alone
        return self.as_given(self.backward_kernel(dy, x))


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many windows of a line.

        y[n, c, o] = max of x[n, c, window o]

    Shapes: x (N, C, L), y (N, C, output_size).
    Arguments, backward and errors: see its base, AdaptiveMaxPool; windows: see AdaptivePool.

    Example:
        >>> AdaptiveMaxPool1d(2)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[3., 2.]]])
    """

    axes: ClassVar[int] = 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many windows of an image.

        y[n, c, o, p] = max of x[n, c, window o, window p]

    Shapes: x (N, C, H, W), y (N, C, *output_size).
    Arguments, backward and errors: see its base, AdaptiveMaxPool; windows: see AdaptivePool.

    Example:
        >>> AdaptiveMaxPool2d((3, None)).build((8, 7, 6))
        (8, 3, 6)
    """

    axes: ClassVar[int] = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """Keeps the largest number of each of so many windows of a volume.

        y[n, c, o, p, q] = max of x[n, c, window o, window p, window q]

    Shapes: x (N, C, D, H, W), y (N, C, *output_size).
    Arguments, backward and errors: see its base, AdaptiveMaxPool; windows: see AdaptivePool.

    Example:
        >>> AdaptiveMaxPool3d(2).build((8, 7, 6, 5))
        (8, 2, 2, 2)
    """

    axes: ClassVar[int] = 3
    forward_kernel: ClassVar[_Forward] = _max_pool3d
    backward_kernel: ClassVar[_Kernel] = _max_pool3d_backward


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Takes the mean of each of so many windows of a line.

        y[n, c, o] = mean of x[n, c, window o]

    Shapes: x (N, C, L), y (N, C, output_size).
    Arguments, windows and errors: see AdaptivePool; backward: see its base, AdaptiveAvgPool.

    Example:
        >>> AdaptiveAvgPool1d(2)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[2., 1.]]])
    """

    axes: ClassVar[int] = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Takes the mean of each of so many windows of an image.

        y[n, c, o, p] = mean of x[n, c, window o, window p]

    Shapes: x (N, C, H, W), y (N, C, *output_size).
    Arguments, windows and errors: see AdaptivePool; backward: see its base, AdaptiveAvgPool.

    Example:
        >>> AdaptiveAvgPool2d((1, 1)).build((512, 7, 7))
        (512, 1, 1)
    """

    axes: ClassVar[int] = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """Takes the mean of each of so many windows of a volume.

        y[n, c, o, p, q] = mean of x[n, c, window o, window p, window q]

    Shapes: x (N, C, D, H, W), y (N, C, *output_size).
    Arguments, windows and errors: see AdaptivePool; backward: see its base, AdaptiveAvgPool.

    Example:
        >>> AdaptiveAvgPool3d((None, 2, 2)).build((8, 7, 6, 5))
        (8, 7, 2, 2)
    """

    axes: ClassVar[int] = 3
    forward_kernel: ClassVar[_Kernel] = _avg_pool3d
    backward_kernel: ClassVar[_Kernel] = _avg_pool3d_backward
