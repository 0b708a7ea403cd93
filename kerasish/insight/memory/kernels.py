"""What kernels make for themselves and free before they return: no operation shows it.

Measured with torch's memory profiler on its CPU kernels, for those where it is much. Of other
devices nothing is known: what cuDNN takes is not counted.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.devices import kind_of_device
from kerasish.layers.products import ONEDNN
from kerasish.layers.recurrent.onednn import row_length

_aten = torch.ops.aten
_select_backend: Callable[..., Any] = torch._C._select_conv_backend
_WIDE = torch.backends.cpu.get_cpu_capability() == "AVX512"
_LEAST_BLOCK = 8
"""From a multiple of so many channels in a group on, oneDNN copies them into blocks."""
_BLOCK = 16 if _WIDE else _LEAST_BLOCK
"""It lays down a multiple of so many channels: a vector of the processor's."""
_PLAIN = range(1, _BLOCK) if _WIDE else (1, 3)
"""Channels of an image, which it reads as they lie, under a window."""
_SCRATCH = 8216
"""Bytes that it works in."""


def inner_bytes(operation: Any, args: Any, results: Any) -> int:
    """Bytes that a kernel takes besides its inputs and its results, at most."""
    found = _INNER.get(operation)
    if found is None or kind_of_device(args[0]) != "cpu":
        return 0
    return max(0, found(args, results))


def as_laid(operation: Any, args: Any, y: Any) -> Any:
    """What the kernel of an operation gives: the meta device gives more, or lays it otherwise."""
    if operation is _aten.native_batch_norm_backward.default:
        return tuple(each if wanted else None for each, wanted in zip(y, args[-1], strict=True))
    if operation is _aten.convolution.default and kind_of_device(y) == "cpu":
        if any(_is_channels_last(each) for each in args[:2]):
            return y.contiguous(memory_format=_LAST[y.dim()])
    return y


# ---- convolutions -------------------------------------------------------------------------------
# oneDNN copies what is not channels-last into blocks of channels, and the result back; torch's own
# kernels, for small inputs and other types, write out what each element of y is the product of.


class _Convolution(NamedTuple):
    """The arguments of both directions."""

    x: Tensor
    weight: Tensor
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    transposed: bool
    output_padding: list[int]
    groups: int

    @property
    def backend(self) -> str:
        """The kernels that torch takes for it: which ones, shapes and types decide."""
        x, weight = (torch.empty((), dtype=each.dtype, device="cpu").expand(each.shape)
                     for each in self[:2])
        name = str(_select_backend(x, weight, None, *self[2:])).rsplit(".")[-1]
        return "MkldnnTranspose" if name == "???" else name  # torch has not given it a name

    def copies(self, channels: int) -> bool:
        """Whether x, of so many channels, is copied into blocks."""
        in_group = channels // self.groups
        depthwise = in_group == 1 == self.weight.shape[1] and len(self.weight) == channels
        return depthwise or (in_group >= _LEAST_BLOCK and in_group % _LEAST_BLOCK == 0)

    @property
    def laid_weight(self) -> int:
        """Its copy that lies channels-last, as x does, unless it lies so itself."""
        return 0 if _is_channels_last(self.weight) else int(self.weight.nbytes)

    @property
    def scratch(self) -> int:
        """What a kernel works in where x lies channels-last."""
        return 6 * _SCRATCH if max(self.stride) > 1 else _SCRATCH

    def columns(self, x: Tensor, y: Tensor) -> int:
        """The elements of x under the kernel, for each place of y; under a single one, it is x."""
        window = math.prod(self.weight.shape[2:])
        places = x.shape[0] * math.prod(y.shape[2:])
        laid = self.laid_weight if _is_channels_last(self.x) else 0
        return int(laid + (0 if window == 1 else places * x.shape[1] * window * x.itemsize))


def _convolution(args: Any, y: Tensor) -> int:
    x, weight, _, *geometry = args
    conv = _Convolution(x, weight, *geometry)
    backend = conv.backend
    if "Mkldnn" in backend and _is_channels_last(x):
        return int(weight.nbytes) + conv.laid_weight + conv.scratch
    if "Mkldnn" in backend and conv.groups > 1 and not conv.copies(x.shape[1]):
        return int(y.nbytes)
    if backend == "Mkldnn":
        copied = _blocked(x) if conv.copies(x.shape[1]) else 0
        return int(max(copied + _blocked_weight(weight), _blocked(y)))
    if backend == "MkldnnTranspose" and max(conv.stride) > 1:
        return 2 * y.nbytes
    if backend == "MkldnnTranspose":
        results = 1 if conv.groups > 1 else 2
        return _blocked(x) + _blocked_weight(weight) + results * _blocked(y) - y.nbytes
    return conv.columns(y, x) if conv.transposed else conv.columns(x, y)


def _convolution_backward(args: Any, results: Any) -> int:
    dy, x, weight, _, *geometry, wanted = args
    conv = _Convolution(x, weight, *geometry)
    backend = conv.backend
    laid = _is_channels_last(dy) if _is_channels_last(x) else dy.is_contiguous()
    copied = 0 if laid else dy.nbytes  # as x lies
    if "Mkldnn" in backend and _is_channels_last(x):
        return int(copied + weight.nbytes + conv.laid_weight + max(weight.nbytes, conv.scratch))
    if "Mkldnn" in backend and conv.groups > 1 and not conv.copies(x.shape[1]):
        return int(x.nbytes)
    if backend in ("Mkldnn", "MkldnnTranspose"):
        left = sum(each.nbytes for each in results if each is not None)
        for_dx = _for_dx(conv, dy) - left if wanted[0] else 0
        return int(copied + max(for_dx, _for_dw(conv, dy)))
    return conv.columns(dy[:1], x[:1]) if conv.transposed else conv.columns(x, dy)


def _for_dx(conv: _Convolution, dy: Tensor) -> int:
    """While it makes dx, which counts here."""
    x, weight = conv.x, _blocked_weight(conv.weight)
    if not conv.transposed and max(conv.stride) > 1:
        return int(max(dy.nbytes + weight + x.nbytes + 8 * _SCRATCH, 3 * x.nbytes))
    plain = conv.transposed and dy.shape[1] in _PLAIN
    return (0 if plain else _blocked(dy)) + weight + _blocked(x)


def _for_dw(conv: _Convolution, dy: Tensor) -> int:
    """While it makes dW."""
    x = conv.x
    if max(conv.dilation) > 1 or (x.dim() == 5 and max(conv.padding) and not conv.transposed):
        return 0
    first, second = (x, dy) if conv.transposed else (dy, x)
    window = math.prod(conv.weight.shape[2:]) > 1
    plain = conv.groups == 1 and second.shape[1] in _PLAIN and (window or not _WIDE)
    return _blocked(first) + (0 if plain else _blocked(second))


_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _is_channels_last(x: Tensor) -> bool:
    return x.dim() in _LAST and x.is_contiguous(memory_format=_LAST[x.dim()])


def _blocked(x: Tensor) -> int:
    """A copy with its channels filled up."""
    return x.nbytes // x.shape[1] * _filled(x.shape[1])


def _blocked_weight(weight: Tensor) -> int:
    first, second = weight.shape[:2]
    return weight.nbytes // (first * second) * _filled(first) * _filled(second)


def _filled(channels: int) -> int:
    return -(-channels // _BLOCK) * _BLOCK


# ---- others -------------------------------------------------------------------------------------


def _batch_norm_backward(args: Any, results: Any) -> int:
    dy, *_, wanted = args
    return int(dy.nbytes) if wanted[0] else 0


def _group_norm_backward(args: Any, results: Any) -> int:
    """Sums of dy and of dy x, a sample and channel."""
    dy = args[0]
    return int(2 * dy.shape[0] * dy.shape[1] * dy.itemsize)


def _upsampling(args: Any, y: Tensor) -> int:
    """Channels-last copies."""
    x = args[0]
    return 0 if _is_channels_last(x) else int(x.nbytes + y.nbytes)


def _lstm(args: Any, results: Any) -> int:
    """The gates of all steps, and the weights in other rows."""
    x, weight_ih, weight_hh = args[:3]
    steps, samples, _ = x.shape
    row, columns = row_length(len(weight_ih)), weight_ih.shape[1] + weight_hh.shape[1]
    states = 2 * row_length(weight_hh.shape[1])
    return int(4 * (samples * (steps * row + states) + row * columns)) + _SCRATCH


def _lstm_backward(args: Any, results: Any) -> int:
    """The gradients of the weights in rows of oneDNN's, too, where those are longer."""
    sizes = [weight.shape[1] for weight in args[1:3]]
    longer = sum(row_length(size) for size in sizes if row_length(size) != size)
    return _lstm(args, results) + 4 * longer * len(args[1])


# ---- matrix products ----------------------------------------------------------------------------


def _linear(args: Any, results: Any) -> int:
    """Rows that do not lie in one piece, copied; and a block of the weight, packed."""
    rows, weight = args[:2]
    copied = 0 if rows.is_contiguous() else rows.nbytes
    return copied + (_packed(rows.shape[1]) if _packs(weight) else _UNPACKED)


def _packs(weight: Tensor) -> bool:
    """Whether a weight (out, in) is packed: one that is laid down by columns need not be."""
    columns = len(weight)
    if weight.is_contiguous():
        return True
    stumbles = columns >= (512 if _WIDE else 128) and columns.bit_count() == 1
    return stumbles or (not _WIDE and columns % 8 != 0)


def _packed(size: int) -> int:
    """64 columns over a block of what is summed."""
    block = min(-(-size // 16) * 16, 1024)
    if _WIDE and 512 < size <= 1024:
        block = 512
    return 4 * 64 * block + 1024


_UNPACKED = 896
_INNER: dict[Any, Callable[[Any, Any], int]] = {
    _aten.convolution.default: _convolution,
    _aten.convolution_backward.default: _convolution_backward,
    _aten.native_batch_norm_backward.default: _batch_norm_backward,
    _aten.native_group_norm_backward.default: _group_norm_backward,
    _aten.mkldnn_rnn_layer.default: _lstm,
    _aten.mkldnn_rnn_layer_backward.default: _lstm_backward,
    ONEDNN: _linear,
    _aten.upsample_bilinear2d.default: _upsampling,
    _aten.upsample_nearest2d.default: _upsampling,
    _aten._upsample_nearest_exact2d.default: _upsampling,
}
