"""What all convolutions share: a kernel of weights that slides over the axes of space."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_axes, check_count
from kerasish.devices import kind_of_device
from kerasish.layers.convolutions.borders import Border
from kerasish.layers.sizes import Sized
from kerasish.types import Device, Shape

Axes = int | tuple[int, ...]
"""A setting that is the same on all axes of space, or one for each."""

_SPACE = {1: "length", 2: "height, width", 3: "depth, height, width"}

_convolution_backward: Callable[..., tuple[Tensor, Tensor, Tensor]] = (
    torch.ops.aten.convolution_backward.default
)


class Convolving(Sized):
    """Base of convolutions and transposed ones, over any number of axes of space.

        y = conv(x with its border, W) + b

    A subclass says over how many `axes` it slides and whether it is `transposed`; it keeps what
    means the same in all of them with `_settle`, sets `_geometry` and `_border`, and answers
    `_output_size`.

    Backward: dx is the same sum read the other way, a transposed convolution of dy for a
        convolution and the reverse; dW is the convolution of x with dy; db = Σ dy over all axes but
        that of channels. What comes back to the border goes to where its elements came from.
    """

    formula: ClassVar[str] = "y = conv(x, W) + b"
    backward_formula: ClassVar[str] = "dx = conv'(dy, W),  dW = conv(x, dy),  db = Σ dy"
    backward_reads: ClassVar[frozenset[str]] = frozenset({"input"})
    returns_view: ClassVar[bool] = False
    parameter_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    y_range: ClassVar[tuple[float, float] | None] = (-math.inf, math.inf)

    axes: ClassVar[int]
    """How many axes of space there are."""
    transposed: ClassVar[bool]
    """Whether the kernel spreads each element of x, instead of gathering each of y."""

    _geometry: tuple[Any, ...]
    """stride, padding, dilation, transposed, output_padding, groups: what the kernels take."""
    _border: Border | None
    """What is put around x first, where the kernels' padding will not do."""

    def _settle(
        self,
        channels: tuple[int | None, int | None],
        kernel_size: Axes | None,
        stride: Axes,
        dilation: Axes,
        groups: int,
        bias: bool,
        device: Device | None,
        dtype: torch.dtype | None,
    ) -> None:
        """Checks and keeps the settings that mean the same in all convolutions."""
        who = type(self).__name__
        self.in_channels, self.out_channels = self.sizes(*channels)
        if kernel_size is None:
            raise ValueError(f"{who}(kernel_size) expects the size of the kernel beside the "
                             f"channels; got None. {self._calls_meant()}")
        self.kernel_size = check_axes(f"{who}(kernel_size)", kernel_size, self.axes)
        self.stride = check_axes(f"{who}(stride)", stride, self.axes)
        self.dilation = check_axes(f"{who}(dilation)", dilation, self.axes)
        self.groups = check_count(f"{who}(groups)", groups, 1)
        self.use_bias, self.device, self.dtype = bias, device, dtype
        self._check_groups()

    def build(self, shape: Shape) -> Shape:
        if len(shape) != self.axes + 1:
            raise ValueError(
                f"{self!r} expects x of shape (N, channels, {_SPACE[self.axes]}); got shape "
                f"(N, {', '.join(map(str, shape))}). Give samples these axes, x[:, None] for a "
                "single channel."
            )
        channels, *sizes = shape
        self.learn(channels, "axis 1")
        self._check_groups()
        if self._border is not None:
            self._border.check(self, sizes)
        output = tuple(self._output_size(size, axis) for axis, size in enumerate(sizes))
        if min(output) < 1:
            raise ValueError(
                f"{self!r} expects x of a size that leaves something of y; got {tuple(sizes)}, "
                f"which gives y of {output}. Choose another kernel_size, dilation or padding; "
                "channels are axis 1, before the sizes."
            )
        first, second = self.out_channels, channels
        if self.transposed:
            first, second = second, first
        shape_of_weight = (first, second // self.groups, *self.kernel_size)
        self._turns = self.axes == 2 and (
            channels == 1 or (self.groups == 1 and not self.transposed))
        self.weight, self.bias = self.weight_and_bias(shape_of_weight, self.out_channels)
        self.weight.channels_last = self._turns
        return (self.out_channels, *output)

    def forward(self, x: Tensor) -> Tensor:
        try:
            bias = None if self.bias is None else self.bias.data
            seen = x if self._border is None else self._border.put_around(x)
            y = torch.convolution(self._laid(seen), self.weight.data, bias, *self._geometry)
        except (AttributeError, RuntimeError):  # only now: a good x costs nothing
            return self.forward(self.mended(x))
        self.save_for_backward(seen)
        return y

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        (seen,), weight, bias = self.saved_tensors(), self.weight, self.bias
        if bias is not None and bias.trainable:  # a sum is faster than the kernel's own
            bias.grad.add_(dy.sum((0, *range(2, dy.dim()))))
        dx, dw, _ = _convolution_backward(
            self._laid(dy), self._laid(seen), weight.data, None, *self._geometry,
            [need_dx, weight.trainable, False])
        if weight.trainable:
            weight.grad.add_(dw)
        return self._border.fold(dx) if need_dx and self._border is not None else dx

    def own_bytes(self, shape: Shape) -> int:
        if self._border is None:
            return 0
        seen = (shape[0], *self._border.sizes_with(shape[1:]))
        return math.prod(seen) * torch.get_default_dtype().itemsize

    def _laid(self, images: Tensor) -> Tensor:
        """The same images, channels-last on CPUs, where convolutions, norms and pooling are faster.

        The kernels then keep all that follows so. A single channel lies last as well as first: it
        stays where it is, under other strides.
        """
        if not self._turns or kind_of_device(images) != "cpu":
            return images
        if images.shape[1] > 1 or not images.is_contiguous():
            return images.contiguous(memory_format=torch.channels_last)
        height, width = images.shape[2:]
        return images.as_strided(images.shape, (height * width, 1, width, 1))

    def _output_size(self, size: int, axis: int) -> int:
        """How many elements y has on an axis of space where x has so many."""
        raise NotImplementedError(f"{type(self).__name__} needs an _output_size method. Write it.")

    def _check_groups(self) -> None:
        for name in self.size_names:
            channels = getattr(self, name)
            if channels is not None and channels % self.groups:
                raise ValueError(
                    f"{type(self).__name__}(groups) expects a divisor of {name}, {channels}; got "
                    f"{self.groups}. Choose {math.gcd(channels, self.groups)}, for instance."
                )

    def _calls_meant(self) -> str:
        """What `Conv2d(32, 3)` may stand for."""
        who, first, last = type(self).__name__, self.in_channels, self.out_channels
        if first is None:
            return f"Write {who}({last}, kernel_size=3) for {last} channels of y."
        return (f"Write {who}({first}, kernel_size={last}) for {first} channels of y, or {who}("
                f"{first}, {last}, kernel_size=3) for {first} channels of x and {last} of y.")
