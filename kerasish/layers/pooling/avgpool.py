"""The mean of each window."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.layers.pooling.windows import Windowed

_Kernel = Callable[..., Tensor]
_avg_pool2d: _Kernel = torch.ops.aten.avg_pool2d.default
_avg_pool2d_backward: _Kernel = torch.ops.aten.avg_pool2d_backward.default
_avg_pool3d: _Kernel = torch.ops.aten.avg_pool3d.default
_avg_pool3d_backward: _Kernel = torch.ops.aten.avg_pool3d_backward.default


class AvgPool(Windowed):
    """Base of AvgPool1d, AvgPool2d and AvgPool3d: takes the mean of each window.

        y[o] = Σ over k of x[o · stride + k - padding] / count

    Shapes: an axis of size S becomes one of ⌊(S + 2 padding - kernel_size) / stride⌋ + 1; with
        ceil_mode it is ⌈...⌉, less a window that would start behind x.
    Backward: dx is the sum of dy / count of all windows that an element lies in; of x the shape
        alone is kept.
    Raises: ValueError if a setting is no whole number, padding is more than half of kernel_size,
        divisor_override is 0, x has other axes, or no window fits.

    Args:
        kernel_size: size of a window; this and the next two are one number, or one for each axis.
        stride: from window to window, kernel_size if None.
        padding: zeros on both sides of an axis.
        ceil_mode: whether windows that stick out count.
        count_include_pad: whether the zeros of the padding count among a window's elements.
        divisor_override: the count, whatever lies in the window; not for lines.
    """

    formula: ClassVar[str] = "y = mean of x over each window"
    backward_formula: ClassVar[str] = "dx = Σ dy / count over all windows that an element lies in"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    forward_kernel: ClassVar[_Kernel] = _avg_pool2d
    backward_kernel: ClassVar[_Kernel] = _avg_pool2d_backward

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.keep_window(kernel_size, stride, padding, 1, ceil_mode)
        if divisor_override is not None:
            who = f"{type(self).__name__}(divisor_override)"
            divisor_override = check_count(who, divisor_override, 1, "Leave it out for the mean.")
        self.count_include_pad, self.divisor_override = bool(count_include_pad), divisor_override
        self._settings = (*self._window[:3], self.ceil_mode, self.count_include_pad,
                          divisor_override)

    def forward(self, x: Tensor) -> Tensor:
        images = self.as_images(x)
        self.save_for_backward(images.shape, images.stride())
        return self.as_given(self.forward_kernel(images, *self._settings))

    def backward(self, dy: Tensor) -> Tensor:
        layout = self.saved_tensors()
        dy = self.as_images(dy)
        x = dy.new_empty_strided(*layout)  # no numbers: its shape and layout are read alone
        return self.as_given(self.backward_kernel(dy, x, *self._settings))


class AvgPool1d(AvgPool):
    """Takes the mean of each window of a line.

        y[n, c, o] = Σ over k of x[n, c, o · stride + k - padding] / count

    Shapes: x (N, C, L), y (N, C, L').
    Arguments, sizes, backward and errors: see its base, AvgPool.

    Example:
        >>> AvgPool1d(2)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[2., 1.]]])
    """

    axes: ClassVar[int] = 1

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(AvgPool):
    """Takes the mean of each window of an image.

        y[n, c, o, p] = Σ over k, l of x[n, c, o · stride + k - padding, p · ...] / count

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Arguments, sizes, backward and errors: see its base, AvgPool.

    Example:
        >>> AvgPool2d(2).build((8, 7, 6))
        (8, 3, 3)
    """

    axes: ClassVar[int] = 2


class AvgPool3d(AvgPool):
    """Takes the mean of each window of a volume.

        y[n, c, o, p, q] = Σ over j, k, l of x[n, c, o · stride + j - padding, p · ...] / count

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Arguments, sizes, backward and errors: see its base, AvgPool.

    Example:
        >>> AvgPool3d(2, ceil_mode=True).build((8, 5, 4, 4))
        (8, 3, 2, 2)
    """

    axes: ClassVar[int] = 3
    forward_kernel: ClassVar[_Kernel] = _avg_pool3d
    backward_kernel: ClassVar[_Kernel] = _avg_pool3d_backward
