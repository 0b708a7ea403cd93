"""Windows that slide along the axes after the channels: their settings, and how many there are."""

from typing import Any, ClassVar

from kerasish.checks import check_axes
from kerasish.layers.spatial import Spatial
from kerasish.types import Shape


def window_count(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows there are along an axis.

    A window that sticks out counts with `ceil_mode` alone, and must start inside the axis or in the
    padding before it.

    Example:
        >>> window_count(5, 2, 2, 0, 1, False), window_count(5, 2, 2, 0, 1, True)
        (2, 3)
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    last = -(-room // stride)
    return last + 1 if last * stride < size + padding else last


class Windowed(Spatial):
    """Base of modules that make one number of each window; settings are kept as tuples."""

    remedy: ClassVar[str] = "Choose a smaller kernel_size, or a larger padding."
    dilation: tuple[int, ...]

    def keep_window(
        self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> None:
        """Keeps the settings, and as `_window` what kernels take of them.

        Raises: ValueError if one is no whole number, or padding is more than half of the kernel.
        """
        who, axes = type(self).__name__, self.axes
        self.kernel_size = check_axes(f"{who}(kernel_size)", kernel_size, axes)
        self.stride = check_axes(
            f"{who}(stride)", self.kernel_size if stride is None else stride, axes)
        self.padding = check_axes(f"{who}(padding)", padding, axes, 0)
        self.dilation = check_axes(f"{who}(dilation)", dilation, axes)
        self.ceil_mode = bool(ceil_mode)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{who}(padding) expects at most half of kernel_size, {self.kernel_size}; got "
                f"{padding!r}. Choose a smaller padding, or a larger kernel_size."
            )
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        height = zip((1, 1, 0, 1), window, strict=True)  # of a line: it is 1, and stays so
        self._window = tuple((one, *own) for one, own in height) if axes == 1 else window

    def resized(self, sizes: Shape) -> Shape:
        settings = zip(sizes, self.kernel_size, self.stride, self.padding, self.dilation,
                       strict=True)
        return tuple(window_count(*each, self.ceil_mode) for each in settings)
