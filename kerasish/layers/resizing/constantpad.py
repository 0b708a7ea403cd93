"""Frames of one number."""

from numbers import Real
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.layers.resizing.padding import Padding


class ConstantPad(Padding):
    """Base of ConstantPad1d, ConstantPad2d and ConstantPad3d.

    Backward: dx is the part of dy where x lay in y, 0 where x was taken away.

    Args:
        padding: as in Padding.
        value: the number that is added.
    """

    formula: ClassVar[str] = "y = x in a frame of value"
    backward_formula: ClassVar[str] = "dx = dy where x lay in y"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        if not isinstance(value, Real):
            raise TypeError(f"{type(self).__name__}(value) expects a number; got {value!r}. "
                            "0.0 makes an empty frame.")
        self.value: float = value
        self._opposite: tuple[int, ...] = tuple(-pad for pad in self.padding)

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return torch.constant_pad_nd(x, self.padding, self.value)

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return torch.constant_pad_nd(dy, self._opposite)


class ZeroPad(ConstantPad):
    """Base of ZeroPad1d, ZeroPad2d and ZeroPad3d: ConstantPad of value 0."""

    formula: ClassVar[str] = "y = x in a frame of 0"

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)


class ConstantPad1d(ConstantPad):
    """Puts a line in a frame of one number.

        y[n, c, i] = x[n, c, i - left], or value where there is none

    Shapes: x (N, C, L), y (N, C, L').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ConstantPad1d(1, 9.0)(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[9., 1., 2., 3., 9.]]])
    """

    axes: ClassVar[int] = 1


class ConstantPad2d(ConstantPad):
    """Puts an image in a frame of one number.

        y[n, c, i, j] = x[n, c, i - top, j - left], or value where there is none

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ConstantPad2d(1, 9.0).build((3, 5, 4))
        (3, 7, 6)
    """

    axes: ClassVar[int] = 2


class ConstantPad3d(ConstantPad):
    """Puts a volume in a frame of one number.

        y[n, c, i, j, k] = x[n, c, i - front, j - top, k - left], or value where there is none

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ConstantPad3d(1, 9.0).build((3, 5, 4, 3))
        (3, 7, 6, 5)
    """

    axes: ClassVar[int] = 3


class ZeroPad1d(ZeroPad):
    """Puts a line in a frame of zeros.

        y[n, c, i] = x[n, c, i - left], or 0 where there is none

    Shapes: x (N, C, L), y (N, C, L').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ZeroPad1d(1)(torch.tensor([[[1.0, 2.0, 3.0]]]))
        tensor([[[0., 1., 2., 3., 0.]]])
    """

    axes: ClassVar[int] = 1


class ZeroPad2d(ZeroPad):
    """Puts an image in a frame of zeros.

        y[n, c, i, j] = x[n, c, i - top, j - left], or 0 where there is none

    Shapes: x (N, C, H, W), y (N, C, H', W').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ZeroPad2d(1).build((3, 5, 4))
        (3, 7, 6)
    """

    axes: ClassVar[int] = 2


class ZeroPad3d(ZeroPad):
    """Puts a volume in a frame of zeros.

        y[n, c, i, j, k] = x[n, c, i - front, j - top, k - left], or 0 where there is none

    Shapes: x (N, C, D, H, W), y (N, C, D', H', W').
    Backward, arguments and errors: see its bases, ConstantPad and Padding.

    Example:
        >>> ZeroPad3d(1).build((3, 5, 4, 3))
        (3, 7, 6, 5)
    """

    axes: ClassVar[int] = 3
