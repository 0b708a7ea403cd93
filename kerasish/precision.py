"""Computing in a smaller type than parameters are kept in: faster kernels, and nothing is lost.

A weight moves by less than bfloat16 can tell apart, so the weights that are trained stay what they
are. A copy of them in the smaller type stands in their place while the net goes forward and back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kerasish.checks import check_choice
from kerasish.devices import kind_of_device
from kerasish.differentiable import is_saving
from kerasish.module import Module
from kerasish.optimizers.flat import FlatParameters
from kerasish.parameter import Parameter, Storage, storage_of
from kerasish.paths import values
from kerasish.trees import mapped

_OWN = torch.float32
"""The type that weights are trained in, and that losses, metrics and users see."""
_TYPES = {"float32": _OWN, "bfloat16": torch.bfloat16}
_HALF = ("float16", "fp16", "half", "mixed_float16")
_BLOCK = 1 << 18
"""Numbers: so many are added at once on the CPU, where adding two types is slow and a copy is not;
they stay in its cache."""


def check_precision(value: Any) -> torch.dtype | None:
    """The type of that name; None is that of the parameters, whatever it is.

    Raises: ValueError for another name, with the nearest one.

    Example:
        >>> check_precision("bfloat16")
        torch.bfloat16
    """
    if value is None:
        return None
    if value in _HALF or value is torch.float16:
        raise ValueError(f"compile(precision) expects 'float32', 'bfloat16' or None; got {value!r},"
                         " in which small gradients are 0 unless the loss is scaled. Write "
                         "'bfloat16', which has the range of float32.")
    return _TYPES[check_choice("compile(precision)", value, _TYPES)]


def compute_copy(module: Module, dtype: torch.dtype | None) -> "ComputeCopy | None":
    """What computes in that type in the place of a module; None where it does so by itself.

    Raises: ValueError for parameters of another type than float32.

    Args:
        module: that of the model; one that is not built has no copy yet.
        dtype: the type to compute in, or None.
    """
    if dtype is None or not module.built:
        return None
    for path, parameter in module.named_parameters():
        if parameter.data.dtype != _OWN:
            raise ValueError(
                f"compile(precision={_name(dtype)!r}) expects parameters of float32, to train and "
                f"to save; got {path!r} of {_name(parameter.data.dtype)}. Leave precision out, or "
                "make the net of float32: module.to(torch.float32).")
    return None if dtype == _OWN else ComputeCopy(module, dtype)


class _Pair(NamedTuple):
    """Flat vectors, and their copies in the smaller type."""

    flat: FlatParameters
    data: Tensor
    grad: Tensor
    blocks: list[tuple[Tensor, Tensor]]
    """The gradients block by block, those of the parameters first."""


class ComputeCopy:
    """Goes forward and back through a module of float32 in a smaller type.

        w̃ = round(w),  x̃ = round(x),  y = f(x̃; w̃)        g ← g + g̃

    Inside, modules see w̃ and g̃, the gradient of one batch, as `data` and `grad` of their
    parameters. Outside, all is as it was: y, dx, weights and gradients are in float32, and only
    these are trained and saved. Modules with `own_precision` keep the parameters that they have.

    Source: Micikevicius et al. (2018), "Mixed Precision Training", section 3.1.
    Raises: RuntimeError for a backward without a forward of its own.

    Args:
        module: a built one, whose parameters lie in flat vectors by its first forward.
        dtype: the smaller type.

    Example:
        >>> from kerasish.layers import Linear
        >>> from kerasish.optimizers.flat import flatten
        >>> layer = Linear(2, 1, bias=False)
        >>> layer.build((2,))
        (1,)
        >>> layer.weight.data = torch.tensor([[1.001, 1.0]])
        >>> flats = flatten(layer.parameters())
        >>> ComputeCopy(layer, torch.bfloat16).forward(torch.tensor([[1.0, 2.0]]))
        tensor([[3.]])
        >>> layer.weight.data
        tensor([[1.0010, 1.0000]])
    """

    def __init__(self, module: Module, dtype: torch.dtype) -> None:
        self.module, self.dtype = module, dtype
        self._pairs: list[_Pair] | None = None
        self._storages: list[tuple[Parameter, Storage, Storage]] = []
        self._scratch: Tensor | None = None
        self._forwards = 0
        self._copied_at: list[int] | None = None

    def forward(self, x: Any) -> Any:
        """The output for x."""
        self._copy_weights()
        with self._lent():
            y = self.module.forward(_cast(x, self.dtype))
        self._forwards += is_saving()
        return _cast(y, _OWN)

    def backward(self, dy: Any, **granted: Any) -> Any:
        """Goes back through the latest forward; adds to the gradients of the parameters.

        Raises: RuntimeError if there was none here, even if there was one of the module itself.
        """
        if not self._forwards:
            raise RuntimeError(
                f"Model.backward(dy) expects a forward in {_name(self.dtype)} to go back through; "
                "got none. Call self.forward(x) in train_step, not self.module.forward(x).")
        self._forwards -= 1
        pairs = self._bound()
        for pair in pairs:
            pair.grad.zero_()
        with self._lent():
            dx = self.module.backward(_cast(dy, self.dtype), **granted)
        for pair in pairs:
            self._add(pair)
        return _cast(dx, _OWN)

    def expire(self) -> None:
        """From here on the weights may be others than those that were copied."""
        self._copied_at = None

    def forget(self) -> None:
        """Drops the forwards that nothing will go back through."""
        self._forwards = 0

    def _copy_weights(self) -> None:
        """When they have changed: after each forward of training, which an update follows.

        Fused kernels of optimizers do not count as a change.
        """
        pairs = self._bound()
        counts = [pair.flat.data._version for pair in pairs]
        if counts != self._copied_at:
            for pair in pairs:
                pair.data.copy_(pair.flat.data)
        self._copied_at = None if is_saving() else counts

    def _add(self, pair: _Pair) -> None:
        scratch = self._scratch
        for own, part in pair.blocks:
            own.add_(part if scratch is None else scratch[: len(part)].copy_(part))

    @contextmanager
    def _lent(self) -> Iterator[None]:
        """Inside the block modules see the copies."""
        try:
            for parameter, _, copy in self._storages:
                parameter.lie_in(copy)
            yield
        except Exception as error:
            error.add_note(f"computing in {_name(self.dtype)}, as compile(precision) says; if a "
                           "module cannot, leave precision out")
            raise
        finally:
            for parameter, own, _ in self._storages:
                parameter.lie_in(own)

    def _bound(self) -> list[_Pair]:
        """The copies, made once."""
        if self._pairs is None:
            with torch.inference_mode(False):  # they outlive every step
                self._bind()
            assert self._pairs is not None
        return self._pairs

    def _bind(self) -> None:
        kept = {parameter for part in self.module.modules()
                for _, parameter in values(part, Parameter)
                if kind_of_device(parameter.data) in part.own_precision}
        lent: dict[Any, list[Parameter]] = {}
        for parameter in self.module.parameters():
            if parameter not in kept:
                lent.setdefault(parameter.flat, []).append(parameter)
        self._pairs, self._storages = [], []
        for flat, parameters in lent.items():
            pair = self._pair(flat)
            self._pairs.append(pair)
            for parameter in parameters:
                copy = storage_of(flat.part(pair.data, parameter), flat.part(pair.grad, parameter),
                                  flat)
                self._storages.append((parameter, parameter.storage, copy))

    def _pair(self, flat: FlatParameters) -> _Pair:
        data = torch.zeros_like(flat.data, dtype=self.dtype)
        grad, size = torch.zeros_like(data), len(data)
        if kind_of_device(data) == "cpu":
            size = min(size, _BLOCK)
            if self._scratch is None or len(self._scratch) < size:
                self._scratch = torch.empty(size, dtype=flat.data.dtype, device=data.device)
        blocks = zip(torch.split(flat.grad, size), torch.split(grad, size), strict=True)
        return _Pair(flat, data, grad, list(blocks))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy makes copies of its own module's weights."""
        return ComputeCopy, (self.module, self.dtype)


def _cast(tree: Any, dtype: torch.dtype) -> Any:
    """The same with its floats in that type."""
    return mapped(lambda part: part.to(dtype) if part.is_floating_point() else part, tree)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
