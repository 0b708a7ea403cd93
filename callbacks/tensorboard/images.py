"""Weights as pictures: what the first layers look for, and the matrices of the others."""

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from kerasish.layers import Linear
from kerasish.module import Module
from kerasish.training import on_host
from kerasish.trees import is_shape
from kerasish.types import Logs

from .page import Page
from .pictures import Tile, enlarged, grid, image_summary, tile

_MOST_TILES = 64
_MOST_NUMBERS = 2**18
_LEAST_SIDE = 32
_LEAST_SQUARE = 8
"""What is shown: at most so many filters, matrices of so many numbers at most; in pictures of so
many pixels a side, at least. A row of so many numbers squared may be an image."""


class Images(Page):
    """Weights as pictures, `<path>/image` in the run `train`.

    Filters of 1 or 3 input channels, those of a first Conv2d, are a grid, each filter stretched
    from its least to its largest number: the first 64 of them. So are the rows of a Linear that
    sees the images themselves, (C, H, W) flattened, or a square of 8 x 8 numbers and more as the
    model's input. Other matrices are one grey picture, laid on their longer side, where they have
    2^18 numbers at most; other weights are left out.

    Costs a read of these weights and, for 64 filters, some milliseconds, each time.

    Args:
        every: the epochs between two pictures of a weight: 0, n, 2n, ...
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.epochs % self.every or self.is_told_again:
            return
        for path, picture in pictures_of(self.model.module):
            self.write("train", image_summary(f"{path}/image", picture), self.epochs)


def pictures_of(root: Module) -> Iterator[tuple[str, Tile]]:
    """The weights that can be shown, by path, as pictures."""
    image = _image_shape(root.input_shape)
    layers = dict(root.named_modules())
    for path, parameter in root.named_parameters():
        layer, weight = layers.get(path.rpartition(".")[0]), parameter.data
        if image and isinstance(layer, Linear) and weight.shape[1:] == (math.prod(image),):
            yield path, _filters(weight.reshape(-1, *image))
        elif weight.dim() == 4 and weight.shape[1] in (1, 3) and min(weight.shape[2:]) > 1:
            yield path, _filters(weight)
        elif weight.dim() == 2 and weight.numel() <= _MOST_NUMBERS:
            yield path, _matrix(weight)


def _image_shape(shape: Any) -> tuple[int, int, int] | None:
    """The image that a sample is, or may be; None where it is none."""
    if not is_shape(shape):
        return None
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape  # type: ignore[no-any-return]
    side = math.isqrt(shape[0]) if len(shape) == 1 else 0
    return (1, side, side) if side >= _LEAST_SQUARE and side**2 == shape[0] else None


def _filters(weight: Tensor) -> Tile:
    """A grid of the first filters, (n, C, H, W), each stretched by itself."""
    return grid([enlarged(tile(each), _LEAST_SIDE) for each in on_host(weight[:_MOST_TILES])])


def _matrix(weight: Tensor) -> Tile:
    wide = weight.T if weight.shape[0] > weight.shape[1] else weight
    return enlarged(tile(on_host(wide)[None]), _LEAST_SIDE)
