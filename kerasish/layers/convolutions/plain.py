"""Convolutions over one, two and three axes of space."""

from typing import Any, ClassVar

import torch

from kerasish.checks import check_axes, check_choice
from kerasish.layers.convolutions.borders import MODES, Border
from kerasish.layers.convolutions.convolving import Axes, Convolving
from kerasish.types import Device


class Convolution(Convolving):
    """Base of Conv1d, Conv2d and Conv3d: torch's arguments, and padding in its four modes."""

    formula: ClassVar[str] = "y = x ⋆ W + b"
    backward_formula: ClassVar[str] = (
        "dx = dy ⋆ᵀ W,  dW = x ⋆ dy,  db = Σ dy over samples and places")
    size_names: ClassVar[tuple[str, str]] = ("in_channels", "out_channels")
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Axes | None = None,
        stride: Axes = 1,
        padding: Axes | str = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        self._settle((in_channels, out_channels), kernel_size, stride, dilation, groups, bias,
                     device, dtype)
        who = type(self).__name__
        self.padding_mode = check_choice(f"{who}(padding_mode)", padding_mode, MODES)
        if isinstance(padding, str):
            check_choice(f"{who}(padding)", padding, ("valid", "same"))
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"{who}(padding='same') expects a stride of 1; got {stride!r}. "
                                 "Give the padding as a number.")
            self.padding: tuple[int, ...] | str = padding
        else:
            self.padding = check_axes(f"{who}(padding)", padding, self.axes, least=0)
        self._margins = [self._margin(axis) for axis in range(self.axes)]
        even = all(before == after for before, after in self._margins)
        nothing = (0,) * self.axes
        zeros = tuple(before for before, _ in self._margins)
        self._border = None
        if any(map(any, self._margins)) and not (even and padding_mode == "zeros"):
            self._border, zeros = Border(padding_mode, self._margins), nothing
        self.output_padding = nothing
        self._geometry = (self.stride, zeros, self.dilation, False, nothing, self.groups)

    def _margin(self, axis: int) -> tuple[int, int]:
        """How much is added before and after x on an axis; of an odd sum more comes after."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            total = self.dilation[axis] * (self.kernel_size[axis] - 1)
            return total // 2, total - total // 2
        return int(self.padding[axis]), int(self.padding[axis])

    def _output_size(self, size: int, axis: int) -> int:
        span = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return (size + sum(self._margins[axis]) - span) // self.stride[axis] + 1


class Conv1d(Convolution):
    """Slides a kernel along sequences.

        y[n, o, i] = b[o] + Σ_c Σ_k W[o, c, k] x[n, c, stride · i + dilation · k - padding]

    Shapes: x (N, in_channels, length), W (out_channels, in_channels / groups, kernel_size),
        b (out_channels,), y (N, out_channels, length'), where
        length' = (length + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.
    Backward, source, errors and arguments: as in Conv2d, over one axis.

    Example:
        >>> Conv1d(4, kernel_size=3, padding="same").build((2, 10))
        (4, 10)
    """

    axes: ClassVar[int] = 1


class Conv2d(Convolution):
    """Slides a kernel over images.

        y[n, o, p] = b[o] + Σ_c Σ_k W[o, c, k] x[n, c, stride · p + dilation · k - padding]

    where p and k are places (row, column) in y and in the kernel.

    Shapes: x (N, in_channels, height, width), b (out_channels,), y (N, out_channels, height',
        width'), W (out_channels, in_channels / groups, *kernel_size), where
        size' = (size + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.
    Backward: dx[n, c, q] = Σ W[o, c, k] dy[n, o, p] over all o, k, p with
        stride · p + dilation · k - padding = q: a transposed convolution, and what falls on the
        border goes to where its elements came from;
        dW[o, c, k] = Σ_n Σ_p dy[n, o, p] x[n, c, stride · p + dilation · k - padding];
        db[o] = Σ_n Σ_p dy[n, o, p].
    Source: LeCun et al. (1989), "Backpropagation Applied to Handwritten Zip Code Recognition";
        initial weights as in He et al. (2015), eq. 10, biases zero.
    Raises: ValueError if a setting is out of its range, if x has other axes or channels than
        expected, or is smaller, its padding included, than the kernel.

    Args:
        in_channels: channels of x. Left out, they are learned at build, and a single number is
            out_channels: `Conv2d(32, kernel_size=3)`.
        out_channels: channels of y, at least 1.
        kernel_size: the size of W in space, at least 1; this and the next three are a number, or
            one for each axis.
        stride: steps from one place of the kernel to the next, at least 1.
        padding: elements put before and after each axis of x; "same" for as many as leave the size
            as it is, "valid" for none.
        dilation: steps between elements under the kernel, at least 1.
        groups: into how many groups the channels are divided that do not see each other, a divisor
            of both; in_channels of them are a depthwise convolution.
        bias: whether b is added.
        padding_mode: what the padding is: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        A separable convolution is a depthwise one, which mixes places, and one that mixes channels.

        >>> depthwise, pointwise = Conv2d(8, kernel_size=3, groups=8), Conv2d(16, kernel_size=1)
        >>> pointwise.build(depthwise.build((8, 28, 28)))
        (16, 26, 26)
    """

    axes: ClassVar[int] = 2


class Conv3d(Convolution):
    """Slides a kernel through volumes, or through films.

        y[n, o, p] = b[o] + Σ_c Σ_k W[o, c, k] x[n, c, stride · p + dilation · k - padding]

    where p and k are places (depth, row, column) in y and in the kernel.

    Shapes: x (N, in_channels, depth, height, width), b (out_channels,), y (N, out_channels, depth',
        height', width'), W (out_channels, in_channels / groups, *kernel_size), where
        size' = (size + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.
    Backward, source, errors and arguments: as in Conv2d, over three axes.

    Example:
        >>> Conv3d(4, kernel_size=(1, 3, 3)).build((2, 5, 8, 8))
        (4, 5, 6, 6)
    """

    axes: ClassVar[int] = 3
