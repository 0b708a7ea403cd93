"""Transposed convolutions: from a small image to a larger one."""

from typing import Any, ClassVar

import torch

from kerasish.checks import check_axes
from kerasish.layers.convolutions.convolving import Axes, Convolving
from kerasish.types import Device


class TransposedConvolution(Convolving):
    """Base of ConvTranspose1d, ConvTranspose2d and ConvTranspose3d: torch's arguments."""

    formula: ClassVar[str] = "y = x ⋆ᵀ W + b"
    backward_formula: ClassVar[str] = (
        "dx = dy ⋆ W,  dW = dy ⋆ x,  db = Σ dy over samples and places")
    size_names: ClassVar[tuple[str, str]] = ("in_channels", "out_channels")
    transposed: ClassVar[bool] = True
    _border = None

    def __init__(
        self,
        in_channels: int | None = None,
        out_channels: int | None = None,
        kernel_size: Axes | None = None,
        stride: Axes = 1,
        padding: Axes = 0,
        output_padding: Axes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Axes = 1,
        padding_mode: str = "zeros",
        device: Device | None = None,
        dtype: torch.dtype | None = None,
        **per_parameter: Any,
    ) -> None:
        super().__init__(**per_parameter)
        self._settle((in_channels, out_channels), kernel_size, stride, dilation, groups, bias,
                     device, dtype)
        who = type(self).__name__
        self.padding = check_axes(f"{who}(padding)", padding, self.axes, least=0)
        self.output_padding = check_axes(f"{who}(output_padding)", output_padding, self.axes, 0)
        for extra, *steps in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(steps):
                raise ValueError(
                    f"{who}(output_padding) expects less than stride or dilation; got "
                    f"{output_padding!r} beside stride={stride!r} and dilation={dilation!r}. "
                    f"Choose {max(steps) - 1} or less."
                )
        if padding_mode != "zeros":
            raise ValueError(f"{who}(padding_mode) expects 'zeros'; got {padding_mode!r}. Leave it "
                             "out: a transposed convolution has no other.")
        self.padding_mode = padding_mode
        self._geometry = (self.stride, self.padding, self.dilation, True, self.output_padding,
                          self.groups)

    def _output_size(self, size: int, axis: int) -> int:
        span = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        spread = (size - 1) * self.stride[axis] + span + self.output_padding[axis]
        return spread - 2 * self.padding[axis]


class ConvTranspose1d(TransposedConvolution):
    """Spreads each element of a sequence with a kernel.

        y[n, o, stride · i + dilation · k - padding] = b[o] + Σ_c W[c, o, k] x[n, c, i]

    summed over all i and k that meet at the same place.

    Shapes: x (N, in_channels, length), W (in_channels, out_channels / groups, kernel_size),
        b (out_channels,), y (N, out_channels, length'), where
        length' = (length - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    Backward, source, errors and arguments: as in ConvTranspose2d, over one axis.

    Example:
        >>> ConvTranspose1d(4, kernel_size=2, stride=2).build((2, 10))
        (4, 20)
    """

    axes: ClassVar[int] = 1


class ConvTranspose2d(TransposedConvolution):
    """Spreads each element of an image with a kernel: the way back through a Conv2d's sizes.

        y[n, o, stride · p + dilation · k - padding] = b[o] + Σ_c W[c, o, k] x[n, c, p]

    summed over all places p of x and k of the kernel that meet at the same place of y.

    Shapes: x (N, in_channels, height, width), b (out_channels,), y (N, out_channels, height',
        width'), W (in_channels, out_channels / groups, *kernel_size), where
        size' = (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    Backward: dx[n, c, p] = Σ_o Σ_k W[c, o, k] dy[n, o, stride · p + dilation · k - padding]: a
        convolution; dW[c, o, k] = Σ_n Σ_p x[n, c, p] dy[n, o, stride · p + dilation · k - padding];
        db[o] = Σ dy over samples and places.
    Source: Zeiler et al. (2010), "Deconvolutional Networks". Initial weights as in He et al.
        (2015), eq. 10, where fan_in is read off the shape of W as torch reads it:
        out_channels / groups · kernel size. Biases start at zero.
    Raises: ValueError if a setting is out of its range, if x has other axes or channels than
        expected, or if padding leaves nothing of y.

    Args:
        in_channels: channels of x. Left out, they are learned at build, and a single number is
            out_channels: `ConvTranspose2d(32, kernel_size=3)`.
        out_channels: channels of y, at least 1.
        kernel_size: the size of W in space, at least 1; this and the next three are a number, or
            one for each axis, as is dilation.
        stride: steps in y from one element of x to the next, at least 1.
        padding: elements cut off before and after each axis of y.
        output_padding: elements of y added after each axis, fewer than stride or dilation: a Conv2d
            with a stride makes the same size of several, and this chooses among them.
        groups: into how many groups the channels are divided that do not see each other.
        bias: whether b is added.
        dilation: steps between the elements that the kernel spreads to, at least 1.
        padding_mode: "zeros" alone.
        device: where the parameters are made.
        dtype: their type, torch's default type if None.
        per_parameter: weight_initializer, weight_regularizer, weight_constraint, and the same for
            bias: objects, or their names.

    Example:
        >>> ConvTranspose2d(16, kernel_size=2, stride=2).build((32, 14, 14))
        (16, 28, 28)
    """

    axes: ClassVar[int] = 2


class ConvTranspose3d(TransposedConvolution):
    """Spreads each element of a volume with a kernel.

        y[n, o, stride · p + dilation · k - padding] = b[o] + Σ_c W[c, o, k] x[n, c, p]

    summed over all places p of x and k of the kernel that meet at the same place of y.

    Shapes: x (N, in_channels, depth, height, width), b (out_channels,), y (N, out_channels, depth',
        height', width'), W (in_channels, out_channels / groups, *kernel_size), where
        size' = (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    Backward, source, errors and arguments: as in ConvTranspose2d, over three axes.

    Example:
        >>> ConvTranspose3d(4, kernel_size=(1, 2, 2), stride=(1, 2, 2)).build((2, 5, 4, 4))
        (4, 5, 8, 8)
    """

    axes: ClassVar[int] = 3
