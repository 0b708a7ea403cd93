"""The largest number of each window."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.activations.rectifiers import ReLU
from kerasish.layers.pieces import pieces
from kerasish.layers.pooling.windows import Windowed
from kerasish.layers.spatial import layout_of
from kerasish.types import Shape

_Forward = Callable[..., tuple[Tensor, Tensor]]
_Backward = Callable[..., Tensor]
_max_pool2d: _Forward = torch.ops.aten.max_pool2d_with_indices.out
_max_pool2d_backward: _Backward = torch.ops.aten.max_pool2d_with_indices_backward.grad_input
_max_pool3d: _Forward = torch.ops.aten.max_pool3d_with_indices.out
_max_pool3d_backward: _Backward = torch.ops.aten.max_pool3d_with_indices_backward.grad_input


_BEFORE = frozenset({ReLU})
"""What max-pooling may as well come before: the largest number is the largest after ReLU, too, and
where several are equal then, at 0, there is no gradient. ReLU has a fraction left to do."""


class MaxPool(Windowed):
    """Base of MaxPool1d, MaxPool2d and MaxPool3d: keeps the largest number of each window.

        y[o] = max over k of x[o · stride + k · dilation - padding]

    Shapes: an axis of size S becomes one of ⌊(S + 2 padding - dilation (kernel_size - 1) - 1) /
        stride⌋ + 1; with ceil_mode it is ⌈...⌉, less a window that would start behind x.
    Backward: dx is the sum of the dy of all windows that an element is the largest of; of equal
        ones the first counts. Places are kept from forward, in the smallest integers that will
        do, and of x its shape alone.
    Raises: ValueError if a setting is no whole number, padding is more than half of kernel_size,
        x has other axes, or no window fits.

    Args:
        kernel_size: size of a window; this and the next three are one number, or one for each axis.
        stride: from window to window, kernel_size if None.
        padding: on both sides of an axis; what lies there is never the largest.
        dilation: from element to element within a window.
        return_indices: False; a module has one output.
        ceil_mode: whether windows that stick out count.
    """

    formula: ClassVar[str] = "y = max of x over each window"
    backward_formula: ClassVar[str] = "dx = Σ dy over all windows that an element is the largest of"
    backward_reads: ClassVar[frozenset[str]] = frozenset()
    returns_view: ClassVar[bool] = False
    forward_kernel: ClassVar[_Forward] = _max_pool2d
    backward_kernel: ClassVar[_Backward] = _max_pool2d_backward

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        refuse_indices(type(self).__name__, return_indices)
        self.return_indices = False
        self.keep_window(kernel_size, stride, padding, dilation, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        images, layout = self.as_images(x), layout_of(x)
        y = self.as_images(torch.empty((*x.shape[:2], *self.resized(x.shape[2:])), dtype=x.dtype,
                                       device=x.device, memory_format=layout))
        places = torch.empty_like(y, dtype=_type_of_places(images.shape[2:]))
        for rows in pieces(y, torch.int64.itemsize * y[:1].numel()):
            self._pool(images[rows], y[rows], places[rows])
        self.save_for_backward(images.shape, layout, places)
        return self.as_given(y)

    def backward(self, dy: Tensor) -> Tensor:
        shape, layout, places = self.saved_tensors()
        dy = self.as_images(dy).contiguous(memory_format=layout)
        dx = torch.empty(shape, dtype=dy.dtype, device=dy.device, memory_format=layout)
        for rows in pieces(dy, torch.int64.itemsize * dy[:1].numel()):
            self.backward_kernel(dy[rows], dx[rows], *self._window, self.ceil_mode,
                                 places[rows].long(), grad_input=dx[rows])
        return self.as_given(dx)

    def _pool(self, x: Tensor, y: Tensor, places: Tensor) -> None:
        """Fills in y and places; what the kernel says they are is forgotten after each piece."""
        indices = torch.empty_like(y, dtype=torch.int64)
        self.forward_kernel(x, *self._window, self.ceil_mode, out=y, indices=indices)
        places.copy_(indices)

    def own_bytes(self, shape: Shape) -> int:
        return math.prod(self.shape_of_y(shape)) * _type_of_places(shape[1:]).itemsize


def refuse_indices(who: str, return_indices: Any) -> None:
    """Refuses a second output.

    Raises: ValueError if it is asked for.
    """
    if return_indices:
        raise ValueError(
            f"{who}(return_indices) expects False: a module has one output; got "
            f"{return_indices!r}. Leave it out."
        )


def _type_of_places(sizes: Shape) -> torch.dtype:
    """The smallest integers that tell the places of an image, or of a volume, apart."""
    places = math.prod(sizes)
    return torch.uint8 if places <= 256 else torch.int16 if places <= 1 << 15 else torch.int32


def indices_bytes(shape: Shape) -> int:
    """Bytes that the places of so many numbers take."""
    return torch.int64.itemsize * math.prod(shape)


class MaxPool1d(MaxPool):
    """Keeps the largest number of each window of a line.

        y[n, c, o] = max over k of x[n, c, o · stride + k · dilation - padding]

    Shapes: x (N, C, L), y (N, C, L').
    Arguments, sizes, backward and errors: see its base, MaxPool.

    Example:
        >>> MaxPool1d(2)(torch.tensor([[[1.0, 3.0, 2.0, 0.0]]]))
        tensor([[[3., 2.]]])
    """

    axes: ClassVar[int] = 1
    goes_before: ClassVar[frozenset[type]] = _BEFORE


class MaxPool2d(MaxPool):
    """Keeps the largest number of each window of an image.

        y[n, c, o, p] = max over k, l of x[n, c, o · stride + k · dilation - padding, p · ...]

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Arguments, sizes, backward and errors: see its base, MaxPool.

    Example:
        >>> MaxPool2d(3, stride=2, padding=1).build((64, 112, 112))
        (64, 56, 56)
    """

    axes: ClassVar[int] = 2
    goes_before: ClassVar[frozenset[type]] = _BEFORE


class MaxPool3d(MaxPool):
    """Keeps the largest number of each window of a volume.

        y[n, c, o, p, q] = max over j, k, l of x[n, c, o · stride + j · dilation - padding, p · ...]

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Arguments, sizes, backward and errors: see its base, MaxPool.

    Example:
        >>> MaxPool3d(2).build((8, 16, 16, 16))
        (8, 8, 8, 8)
    """

    axes: ClassVar[int] = 3
    goes_before: ClassVar[frozenset[type]] = _BEFORE
    forward_kernel: ClassVar[_Forward] = _max_pool3d
    backward_kernel: ClassVar[_Backward] = _max_pool3d_backward
