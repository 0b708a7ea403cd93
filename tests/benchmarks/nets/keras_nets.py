"""The nets in Keras, on whatever backend it runs."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.benchmarks import nets
from tests.benchmarks.nets.weights import weights

SIMPLE = {
    nets.RELU: layers.ReLU, nets.TANH: lambda: layers.Activation("tanh"),
    nets.FLATTEN: layers.Flatten, nets.MEAN_OF_PIXELS: layers.GlobalAveragePooling2D,
    nets.MEAN_OF_TOKENS: lambda: layers.GlobalAveragePooling1D("channels_last"),
}


def net(described: tuple, shape: tuple[int, ...]) -> keras.Model:
    """The described net for samples of this shape."""
    x = keras.Input(shape)
    return keras.Model(x, Making(weights(described)).through(described, x))


def parameters(model: keras.Model) -> int:
    """How many numbers are trained. An LSTM of Keras has one bias, torch's has two that add up."""
    second = sum(4 * each.units for each in model.layers if isinstance(each, layers.LSTM))
    return second + sum(math.prod(each.shape) for each in model.trainable_weights)


def with_weights(layer: Any, x: Any, *arrays: np.ndarray) -> Any:
    y = layer(x)
    layer.set_weights(arrays)
    return y


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an image of Keras as (C, H, W)."""
    if keras.config.image_data_format() == "channels_first":
        return shape
    return shape[-1], *shape[:-1]


class Making:
    """Applies one layer after the other, and takes for each its numbers from torch's."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.left: Iterator[np.ndarray] = iter(arrays)
        self.image: tuple[int, ...] = ()
        """(C, H, W) of the image that has been flattened just now."""

    def take(self, count: int) -> list[np.ndarray]:
        return [next(self.left) for _ in range(count)]

    def through(self, described: tuple, x: Any) -> Any:
        for of in described:
            x = self.applied(of, x)
        return x

    def applied(self, of: Any, x: Any) -> Any:
        match of:
            case nets.Dense(_, outputs):
                return self.dense(x, outputs)
            case nets.Conv():
                return self.convolution(x, *of[1:])
            case nets.BatchNorm(channels):
                axis = 1 if keras.config.image_data_format() == "channels_first" else -1
                running = np.zeros(channels, np.float32), np.ones(channels, np.float32)
                return with_weights(layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-5), x,
                                    *self.take(2), *running)
            case nets.MaxPool(size):
                return layers.MaxPooling2D(size)(x)
            case nets.LSTM(_, size):
                w, u, b, c = self.take(4)
                return with_weights(layers.LSTM(size), x, w.T, u.T, b + c)
            case nets.Encoder():
                return self.encoder(x, *of)
            case nets.Residual(body, shortcut):
                return layers.Add()([self.through(body, x), self.through(shortcut, x)])
        self.image = channels_first(x.shape[1:]) if of == nets.FLATTEN else ()
        return SIMPLE[of]()(x)

    def dense(self, x: Any, outputs: int, activation: str | None = None) -> Any:
        w, b = self.take(2)
        if self.image:  # Keras flattens with channels last, however they lie
            w = w.reshape(outputs, *self.image).transpose(0, 2, 3, 1)
        self.image = ()
        return with_weights(layers.Dense(outputs, activation), x, w.reshape(outputs, -1).T, b)

    def convolution(self, x: Any, outputs: int, size: int, stride: int, bias: bool) -> Any:
        """Pads on all sides as torch does, which "same" does not where the stride is 2."""
        w, *b = self.take(1 + bias)
        if stride > 1 and size > 1:
            x = layers.ZeroPadding2D(size // 2)(x)
        padding = "same" if stride == 1 else "valid"
        layer = layers.Conv2D(outputs, size, stride, padding, use_bias=bias)
        return with_weights(layer, x, w.transpose(2, 3, 1, 0), *b)

    def encoder(self, x: Any, size: int, heads: int, hidden: int) -> Any:
        attended = self.attention(x, size, heads)
        feeding = Making(self.take(4))
        x = self.norm(layers.Add()([x, attended]))
        fed = feeding.dense(feeding.dense(x, hidden, "relu"), size)
        return self.norm(layers.Add()([x, fed]))

    def attention(self, x: Any, size: int, heads: int) -> Any:
        width = size // heads
        w, b, w_out, b_out = self.take(4)
        layer = layers.MultiHeadAttention(heads, width)
        y = layer(x, x)
        each = [array for w_of, b_of in zip(np.split(w, 3), np.split(b, 3), strict=True)
                for array in (w_of.T.reshape(size, heads, width), b_of.reshape(heads, width))]
        layer.set_weights([*each, w_out.T.reshape(heads, width, size), b_out])
        return y

    def norm(self, x: Any) -> Any:
        return with_weights(layers.LayerNormalization(epsilon=1e-5), x, *self.take(2))
