"""From numbers to pictures as TensorBoard shows them: tiles, grids of tiles, PNG."""

import io
import math
from functools import cache
from typing import Any

import numpy as np

Tile = np.ndarray[Any, np.dtype[np.uint8]]
"""A picture in memory: (H, W, 3) bytes of red, green and blue."""

_GAP, _BETWEEN = 2, (40, 70, 140)
"""Pixels between two tiles, and their colour, which no grey tile has."""


def tile(values: Any) -> Tile:
    """The numbers of one image, (C, H, W) of 1 or 3 channels, stretched from black to white.

        byte = 255 (v - min v) / (max v - min v)

    What is not finite, and what is all one value, is black.

    Example:
        >>> tile([[[0.0, 0.5, 1.0]]])[..., 0]
        array([[  0, 127, 255]], dtype=uint8)
    """
    values = np.asarray(values, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    shares = np.nan_to_num((values - low) / ((high - low) or 1.0), posinf=0.0, neginf=0.0)
    picture = (255 * shares).astype(np.uint8).transpose(1, 2, 0)
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def enlarged(picture: Tile, least: int) -> Tile:
    """The picture with each pixel repeated, until its longer side has so many pixels."""
    factor = max(1, math.ceil(least / max(picture.shape[:2])))
    return picture.repeat(factor, 0).repeat(factor, 1)


def grid(tiles: list[Tile]) -> Tile:
    """Tiles of one size row by row, as many in a row as there are rows, about.

    Example:
        >>> grid([np.zeros((3, 4, 3), dtype=np.uint8)] * 5).shape
        (12, 20, 3)
    """
    height, width, _ = tiles[0].shape
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    size = rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3
    whole = np.full(size, _BETWEEN, dtype=np.uint8)
    for place, each in enumerate(tiles):
        row, column = divmod(place, columns)
        top, left = row * (height + _GAP) + _GAP, column * (width + _GAP) + _GAP
        whole[top : top + height, left : left + width] = each
    return whole


def captioned(picture: Tile, text: str) -> Tile:
    """The picture, made wide enough, with a line of text below it."""
    from PIL import Image, ImageDraw

    font = _font()
    left, top, right, bottom = map(math.ceil, font.getbbox(text))
    height, width, _ = picture.shape
    canvas = Image.new("RGB", (max(width, right - left + 4), height + 16))
    canvas.paste(Image.fromarray(np.ascontiguousarray(picture)), ((canvas.width - width) // 2, 0))
    place = (canvas.width - right - left) / 2, height + (16 - bottom - top) / 2
    ImageDraw.Draw(canvas).text(place, text, fill=(255, 255, 255), font=font)
    return np.asarray(canvas)


@cache
def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default()


def padded(tiles: list[Tile]) -> list[Tile]:
    """The tiles, each in the middle of one as wide as the widest."""
    width = max(each.shape[1] for each in tiles)
    sides = ((width - each.shape[1]) for each in tiles)
    return [np.pad(each, ((0, 0), (side // 2, side - side // 2), (0, 0)))
            for each, side in zip(tiles, sides, strict=True)]


def image_summary(tag: str, picture: Tile) -> Any:
    """The picture as TensorBoard's Images dashboard reads it."""
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, format="PNG")
    height, width, _ = picture.shape
    image = Summary.Image(height=height, width=width, colorspace=3,
                          encoded_image_string=file.getvalue())
    return Summary(value=[Summary.Value(tag=tag, image=image)])
