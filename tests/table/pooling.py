"""Pooling."""

from collections.abc import Callable

from torch import Tensor, nn

from kerasish.layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from tests.table.row import Row


class Global(nn.Module):
    """A reduction over the axes after the channels, as lines."""

    def __init__(self, reduce: Callable[[Tensor], Tensor], keepdims: bool = False) -> None:
        super().__init__()
        self.reduce, self.keepdims = reduce, keepdims

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x.flatten(2))
        return y.view(*x.shape[:2], *[1] * (x.dim() - 2)) if self.keepdims else y


def _first_max(lines: Tensor) -> Tensor:
    """The largest of each line; of equal ones the gradient goes to the first."""
    return lines.take_along_dim(lines.argmax(-1, keepdim=True), -1).squeeze(-1)


def _mean(lines: Tensor) -> Tensor:
    return lines.mean(-1)


ROWS = [
    Row("MaxPool1d", lambda: MaxPool1d(2), (2, 6), lambda: nn.MaxPool1d(2)),
    Row("MaxPool1d of dilated windows that stick out",
        lambda: MaxPool1d(3, 2, padding=1, dilation=2, ceil_mode=True), (2, 8),
        lambda: nn.MaxPool1d(3, 2, padding=1, dilation=2, ceil_mode=True)),
    Row("MaxPool1d of one window larger than x",
        lambda: MaxPool1d(3, stride=2, ceil_mode=True), (1, 2),
        lambda: nn.MaxPool1d(3, stride=2, ceil_mode=True)),
    Row("MaxPool2d", lambda: MaxPool2d(2), (2, 4, 6), lambda: nn.MaxPool2d(2)),
    Row("MaxPool2d of windows that overlap", lambda: MaxPool2d(3, stride=2, padding=1), (3, 5, 7),
        lambda: nn.MaxPool2d(3, stride=2, padding=1)),
    Row("MaxPool2d of other sizes on each axis",
        lambda: MaxPool2d((3, 2), (1, 3), (1, 0), (2, 1), False, True), (2, 7, 6),
        lambda: nn.MaxPool2d((3, 2), (1, 3), (1, 0), (2, 1), False, True)),
    Row("MaxPool3d", lambda: MaxPool3d(2), (2, 4, 2, 3), lambda: nn.MaxPool3d(2)),
    Row("MaxPool3d of other sizes on each axis",
        lambda: MaxPool3d((2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 1, 2), ceil_mode=True),
        (2, 3, 3, 4),
        lambda: nn.MaxPool3d((2, 3, 2), (2, 1, 2), (1, 1, 0), (1, 1, 2), ceil_mode=True)),
    Row("AvgPool1d", lambda: AvgPool1d(2), (2, 6), lambda: nn.AvgPool1d(2)),
    Row("AvgPool1d of windows that stick out", lambda: AvgPool1d(4, 3, 1, True, False), (2, 7),
        lambda: nn.AvgPool1d(4, 3, 1, True, False)),
    Row("AvgPool2d", lambda: AvgPool2d(2), (2, 4, 5), lambda: nn.AvgPool2d(2)),
    Row("AvgPool2d with padding", lambda: AvgPool2d(3, stride=2, padding=1), (2, 5, 4),
        lambda: nn.AvgPool2d(3, stride=2, padding=1)),
    Row("AvgPool2d of other sizes on each axis",
        lambda: AvgPool2d((3, 2), (1, 3), (1, 0), ceil_mode=True, count_include_pad=False),
        (2, 4, 6),
        lambda: nn.AvgPool2d((3, 2), (1, 3), (1, 0), ceil_mode=True, count_include_pad=False)),
    Row("AvgPool2d with a divisor", lambda: AvgPool2d(2, padding=1, divisor_override=3), (2, 4, 5),
        lambda: nn.AvgPool2d(2, padding=1, divisor_override=3)),
    Row("AvgPool3d", lambda: AvgPool3d(2), (2, 4, 2, 3), lambda: nn.AvgPool3d(2)),
    Row("AvgPool3d of other sizes on each axis",
        lambda: AvgPool3d((2, 3, 1), (2, 1, 2), (1, 1, 0), True, False), (2, 3, 3, 4),
        lambda: nn.AvgPool3d((2, 3, 1), (2, 1, 2), (1, 1, 0), True, False)),
    Row("AvgPool3d with a divisor", lambda: AvgPool3d(2, divisor_override=5), (1, 2, 3, 4),
        lambda: nn.AvgPool3d(2, divisor_override=5)),
    Row("AdaptiveMaxPool1d", lambda: AdaptiveMaxPool1d(3), (2, 7),
        lambda: nn.AdaptiveMaxPool1d(3)),
    Row("AdaptiveMaxPool2d", lambda: AdaptiveMaxPool2d((3, 2)), (2, 4, 5),
        lambda: nn.AdaptiveMaxPool2d((3, 2))),
    Row("AdaptiveMaxPool2d that keeps a size", lambda: AdaptiveMaxPool2d((2, None)), (2, 5, 3),
        lambda: nn.AdaptiveMaxPool2d((2, None))),
    Row("AdaptiveMaxPool3d", lambda: AdaptiveMaxPool3d((1, None, 3)), (2, 3, 2, 4),
        lambda: nn.AdaptiveMaxPool3d((1, None, 3))),
    Row("AdaptiveAvgPool1d", lambda: AdaptiveAvgPool1d(3), (2, 7),
        lambda: nn.AdaptiveAvgPool1d(3)),
    Row("AdaptiveAvgPool1d to one", lambda: AdaptiveAvgPool1d(1), (2, 7),
        lambda: nn.AdaptiveAvgPool1d(1)),
    Row("AdaptiveAvgPool2d", lambda: AdaptiveAvgPool2d((3, 2)), (2, 4, 5),
        lambda: nn.AdaptiveAvgPool2d((3, 2))),
    Row("AdaptiveAvgPool2d that keeps a size", lambda: AdaptiveAvgPool2d((None, 1)), (2, 5, 3),
        lambda: nn.AdaptiveAvgPool2d((None, 1))),
    Row("AdaptiveAvgPool2d to one", lambda: AdaptiveAvgPool2d(1), (2, 4, 5),
        lambda: nn.AdaptiveAvgPool2d(1)),
    Row("AdaptiveAvgPool2d to larger", lambda: AdaptiveAvgPool2d(5), (1, 3, 4),
        lambda: nn.AdaptiveAvgPool2d(5)),
    Row("AdaptiveAvgPool3d", lambda: AdaptiveAvgPool3d((1, None, 3)), (2, 3, 2, 4),
        lambda: nn.AdaptiveAvgPool3d((1, None, 3))),
    Row("AdaptiveAvgPool3d to one", lambda: AdaptiveAvgPool3d((1, 1, 1)), (2, 3, 2, 4),
        lambda: nn.AdaptiveAvgPool3d((1, 1, 1))),
    Row("GlobalAvgPool on lines", GlobalAvgPool, (2, 5), lambda: Global(_mean)),
    Row("GlobalAvgPool on images", GlobalAvgPool, (2, 3, 5), lambda: Global(_mean)),
    Row("GlobalAvgPool that keeps axes", lambda: GlobalAvgPool(True), (2, 3, 2, 4),
        lambda: Global(_mean, True)),
    Row("GlobalMaxPool on lines", GlobalMaxPool, (2, 5), lambda: Global(_first_max)),
    Row("GlobalMaxPool on images", GlobalMaxPool, (2, 3, 5), lambda: Global(_first_max)),
    Row("GlobalMaxPool that keeps axes", lambda: GlobalMaxPool(keepdims=True), (2, 3, 2, 4),
        lambda: Global(_first_max, True)),
]

EQUIVALENT: dict[str, str] = {
    r"^MaxPool\.backward: - for rows in pieces": "pieces of another size give the same",
    r"^MaxPool\.backward: - dy = .*contiguous": "the kernel lays it down itself, piece by piece",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
