"""Convolutions and transposed convolutions."""

import warnings

from torch import Tensor, nn

from kerasish.containers import Sequential
from kerasish.layers import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from tests.table.row import Row


class QuietConv1d(nn.Conv1d):
    """torch's own, which warns of a copy that "same" makes where the kernel is even."""

    def forward(self, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().forward(x)


ROWS = [
    Row("Conv1d", lambda: Conv1d(4, kernel_size=3), (3, 7), lambda: nn.Conv1d(3, 4, 3)),
    Row("Conv1d with all arguments by place", lambda: Conv1d(4, 2, 3, 2, 1, 2, 2, False, "reflect"),
        (4, 8), lambda: nn.Conv1d(4, 2, 3, 2, 1, 2, 2, False, "reflect")),
    Row("Conv1d, same, with an even kernel", lambda: Conv1d(2, kernel_size=4, padding="same"),
        (3, 5), lambda: QuietConv1d(3, 2, 4, padding="same")),
    Row("Conv1d, replicated, on one element",
        lambda: Conv1d(2, 2, 3, padding=2, padding_mode="replicate"), (2, 1),
        lambda: nn.Conv1d(2, 2, 3, padding=2, padding_mode="replicate")),
    Row("Conv2d", lambda: Conv2d(4, kernel_size=3), (2, 5, 6), lambda: nn.Conv2d(2, 4, 3)),
    Row("Conv2d without bias, of one channel, with a remainder",
        lambda: Conv2d(1, 3, 2, 2, bias=False), (1, 5, 4),
        lambda: nn.Conv2d(1, 3, 2, 2, bias=False)),
    Row("Conv2d with a pair for each axis",
        lambda: Conv2d(2, 3, (3, 2), (2, 1), (0, 2), (1, 3)), (2, 6, 5),
        lambda: nn.Conv2d(2, 3, (3, 2), (2, 1), (0, 2), (1, 3))),
    Row("Conv2d of one place", lambda: Conv2d(3, kernel_size=1), (2, 3, 4),
        lambda: nn.Conv2d(2, 3, 1)),
    Row("Conv2d, valid, as large as x", lambda: Conv2d(3, kernel_size=(3, 2), padding="valid"),
        (2, 3, 2), lambda: nn.Conv2d(2, 3, (3, 2), padding="valid")),
    Row("Conv2d, same, dilated", lambda: Conv2d(3, kernel_size=3, padding="same", dilation=(1, 2)),
        (2, 4, 5), lambda: nn.Conv2d(2, 3, 3, padding="same", dilation=(1, 2))),
    Row("Conv2d, same, with an even kernel, circular",
        lambda: Conv2d(3, kernel_size=(2, 4), padding="same", padding_mode="circular"), (2, 4, 3),
        lambda: nn.Conv2d(2, 3, (2, 4), padding="same", padding_mode="circular")),
    Row("Conv2d, reflected, with a stride",
        lambda: Conv2d(3, kernel_size=3, stride=2, padding=(1, 2), padding_mode="reflect"),
        (2, 4, 5), lambda: nn.Conv2d(2, 3, 3, 2, (1, 2), padding_mode="reflect")),
    Row("Conv2d, replicated on one axis", lambda: Conv2d(
            3, kernel_size=3, padding=(2, 0), padding_mode="replicate"), (2, 3, 4),
        lambda: nn.Conv2d(2, 3, 3, padding=(2, 0), padding_mode="replicate")),
    Row("Conv2d in groups", lambda: Conv2d(6, kernel_size=2, padding=1, groups=2), (4, 3, 4),
        lambda: nn.Conv2d(4, 6, 2, padding=1, groups=2)),
    Row("Conv2d, depthwise", lambda: Conv2d(3, 6, 3, padding=1, groups=3), (3, 4, 5),
        lambda: nn.Conv2d(3, 6, 3, padding=1, groups=3)),
    Row("Conv2d, separable", lambda: Sequential(
            Conv2d(3, kernel_size=3, groups=3), Conv2d(4, kernel_size=1)), (3, 5, 4),
        lambda: nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 4, 1))),
    Row("Conv3d", lambda: Conv3d(2, kernel_size=2), (2, 3, 4, 3), lambda: nn.Conv3d(2, 2, 2)),
    Row("Conv3d, in groups, with three of each",
        lambda: Conv3d(
            2, 2, (1, 2, 3), (1, 2, 1), (0, 1, 2), (1, 1, 2), 2, padding_mode="circular"),
        (2, 2, 3, 3), lambda: nn.Conv3d(
            2, 2, (1, 2, 3), (1, 2, 1), (0, 1, 2), (1, 1, 2), 2, padding_mode="circular")),
    Row("ConvTranspose1d", lambda: ConvTranspose1d(2, kernel_size=3), (3, 4),
        lambda: nn.ConvTranspose1d(3, 2, 3)),
    Row("ConvTranspose1d with all arguments by place",
        lambda: ConvTranspose1d(4, 2, 3, 3, 1, 2, 2, False, 2, "zeros"), (4, 3),
        lambda: nn.ConvTranspose1d(4, 2, 3, 3, 1, 2, 2, False, 2, "zeros")),
    Row("ConvTranspose2d", lambda: ConvTranspose2d(3, kernel_size=2, stride=2), (2, 3, 4),
        lambda: nn.ConvTranspose2d(2, 3, 2, 2)),
    Row("ConvTranspose2d with a pair for each axis",
        lambda: ConvTranspose2d(2, 4, (3, 2), (1, 3), (0, 2), (1, 2), 2, dilation=(2, 1)),
        (2, 2, 4), lambda: nn.ConvTranspose2d(
            2, 4, (3, 2), (1, 3), (0, 2), (1, 2), 2, dilation=(2, 1))),
    Row("ConvTranspose2d, depthwise", lambda: ConvTranspose2d(3, 3, 2, groups=3, bias=False),
        (3, 2, 3), lambda: nn.ConvTranspose2d(3, 3, 2, groups=3, bias=False)),
    Row("ConvTranspose3d", lambda: ConvTranspose3d(
            2, kernel_size=(1, 2, 3), stride=(2, 1, 2), padding=(0, 0, 1)), (2, 2, 2, 2),
        lambda: nn.ConvTranspose3d(2, 2, (1, 2, 3), (2, 1, 2), (0, 0, 1))),
]

EQUIVALENT = {
    r"Convolving\.backward: .*\[need_dx, weight\.trainable, True\]":
        "the kernel's own gradient of the bias is asked for, and left",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
