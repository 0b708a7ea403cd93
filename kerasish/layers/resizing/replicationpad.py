"""Frames that repeat the edge, or mirror what lies behind it."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from kerasish.layers.resizing.padding import Padding, require_room
from kerasish.types import Shape

_Kernel = Callable[..., Tensor]
_aten = torch.ops.aten


class ReplicationPad(Padding):
    """Base of ReplicationPad1d, ReplicationPad2d and ReplicationPad3d.

    Backward: dx is the sum of dy over all places that an element was copied to. Of x the shape
        alone is kept.
    """

    formula: ClassVar[str] = "y = x in a frame of its edge"
    backward_formula: ClassVar[str] = "dx = Σ dy over all places that an element was copied to"
    forward_kernel: ClassVar[_Kernel]
    backward_kernel: ClassVar[_Kernel]

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x.shape, x.stride())
        return self.forward_kernel(x, self.padding)

    def backward(self, dy: Tensor) -> Tensor:
        layout = self.saved_tensors()
        x = dy.new_empty_strided(*layout)  # no numbers: its shape and layout are read alone
        return self.backward_kernel(dy, x, self.padding)


class ReflectionPad(ReplicationPad):
    """Base of ReflectionPad1d, ReflectionPad2d and ReflectionPad3d.

    Backward: as in ReplicationPad.
    Raises: ValueError as in Padding, and if padding is not smaller than the size of x.
    """

    formula: ClassVar[str] = "y = x in a frame of its mirror image"

    def resized(self, sizes: Shape) -> Shape:
        require_room(self, sizes, tuple(max(pads) + 1 for pads in self.sides), self.kept(sizes))
        return super().resized(sizes)


class ReplicationPad1d(ReplicationPad):
    """Puts a line in a frame of its edge.

        y[n, c, i] = x[n, c, i - left, at least 0 and at most L - 1]

    Shapes: x (N, C, L), y (N, C, L').
    Backward, arguments and errors: see its bases, ReplicationPad and Padding.

    Example:
        >>> ReplicationPad1d(1)(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[1., 1., 2., 3., 3.]]])
    """

    axes: ClassVar[int] = 1
    forward_kernel: ClassVar[_Kernel] = _aten.replication_pad1d.default
    backward_kernel: ClassVar[_Kernel] = _aten.replication_pad1d_backward.default


class ReplicationPad2d(ReplicationPad):
    """Puts an image in a frame of its edge.

        y[n, c, i, j] = x[n, c, i - top, j - left], or the nearest element of x

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Backward, arguments and errors: see its bases, ReplicationPad and Padding.

    Example:
        >>> ReplicationPad2d(1).build((3, 5, 4))
        (3, 7, 6)
    """

    axes: ClassVar[int] = 2
    forward_kernel: ClassVar[_Kernel] = _aten.replication_pad2d.default
    backward_kernel: ClassVar[_Kernel] = _aten.replication_pad2d_backward.default


class ReplicationPad3d(ReplicationPad):
    """Puts a volume in a frame of its edge.

        y[n, c, i, j, k] = x[n, c, i - front, j - top, k - left], or the nearest element of x

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Backward, arguments and errors: see its bases, ReplicationPad and Padding.

    Example:
        >>> ReplicationPad3d(1).build((3, 5, 4, 3))
        (3, 7, 6, 5)
    """

    axes: ClassVar[int] = 3
    forward_kernel: ClassVar[_Kernel] = _aten.replication_pad3d.default
    backward_kernel: ClassVar[_Kernel] = _aten.replication_pad3d_backward.default


class ReflectionPad1d(ReflectionPad):
    """Puts a line in a frame of its mirror image, the edge left out.

        y[n, c, i] = x[n, c, m(i - left)],  m(i) = |i|, from the end L - 1 - |L - 1 - i|

    Shapes: x (N, C, L), y (N, C, L').
    Backward, arguments and errors: see its bases, ReflectionPad and Padding.

    Example:
        >>> ReflectionPad1d(1)(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[2., 1., 2., 3., 2.]]])
    """

    axes: ClassVar[int] = 1
    forward_kernel: ClassVar[_Kernel] = _aten.reflection_pad1d.default
    backward_kernel: ClassVar[_Kernel] = _aten.reflection_pad1d_backward.default


class ReflectionPad2d(ReflectionPad):
    """Puts an image in a frame of its mirror image, the edge left out.

        y[n, c, i, j] = x[n, c, m(i - top), m(j - left)], with m as in ReflectionPad1d

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Backward, arguments and errors: see its bases, ReflectionPad and Padding.

    Example:
        >>> ReflectionPad2d(1).build((3, 5, 4))
        (3, 7, 6)
    """

    axes: ClassVar[int] = 2
    forward_kernel: ClassVar[_Kernel] = _aten.reflection_pad2d.default
    backward_kernel: ClassVar[_Kernel] = _aten.reflection_pad2d_backward.default


class ReflectionPad3d(ReflectionPad):
    """Puts a volume in a frame of its mirror image, the edge left out.

        y[n, c, i, j, k] = x[n, c, m(i - front), m(j - top), m(k - left)], with m as in
        ReflectionPad1d

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Backward, arguments and errors: see its bases, ReflectionPad and Padding.

    Example:
        >>> ReflectionPad3d(1).build((3, 5, 4, 3))
        (3, 7, 6, 5)
    """

    axes: ClassVar[int] = 3
    forward_kernel: ClassVar[_Kernel] = _aten.reflection_pad3d.default
    backward_kernel: ClassVar[_Kernel] = _aten.reflection_pad3d_backward.default
