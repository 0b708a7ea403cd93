"""Sizes that read like `range`: `Linear(25)` learns its input size, `Linear(2, 25)` states it."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.initializers import kaiming_normal, zeros
from kerasish.module import Module
from kerasish.parameter import Parameter
from kerasish.trees import sample_shapes
from kerasish.types import Device, Shape


def size_or_none(who: str, value: int | None) -> int | None:
    """Hands a size back if it is one, or None, which leaves it to build."""
    return value if value is None else check_count(who, value, 1, "Leave it out to infer it.")


class Sized(Module):
    """Base of modules whose two sizes come first, and of which the first may be left out.

    A subclass names the two in `size_names`, and asks for them in `__init__`. One whose `__init__`
    has other arguments names them again, or goes without.
    """

    size_names: ClassVar[tuple[str, str]]
    """What the sizes of input and output are called: `("in_features", "out_features")`."""

    use_bias: bool
    device: Device | None
    dtype: torch.dtype | None

    def sizes(self, first: int | None, last: int | None) -> tuple[int | None, int]:
        """The size of the input, None if it is to be learned, and the size of the output.

        Raises: ValueError for sizes below 1, and for an input size alone given by its name.

        Args:
            first: the first argument; alone it is meant for the last.
            last: the second one.
        """
        who, (first_name, last_name) = type(self).__name__, self.size_names
        if last is None:
            if self._names_sizes() and first_name in self._arguments[1]:
                raise ValueError(
                    f"{who}({first_name}) expects {last_name} beside it; got {first!r} alone. "
                    f"Write {who}({last_name}={first!r}) for that many outputs."
                )
            first, last = None, first
        fix = f"Write {last_name} alone, or {first_name} before it."
        if first is not None:
            first = check_count(f"{who}({first_name})", first, 1, fix)
        return first, check_count(f"{who}({last_name})", last, 1, fix)

    def learn(self, size: int, axis: str) -> None:
        """Keeps the size of the input, which lies on that axis of x.

        Raises: ValueError if another one was stated.
        """
        name = self.size_names[0]
        stated = getattr(self, name)
        if stated not in (None, size):
            raise ValueError(
                f"{self!r} expects {stated} {name.removeprefix('in_')} on {axis} of x; got {size}. "
                f"Give it such data, or make a layer for {size}."
            )
        setattr(self, name, size)

    def weight_and_bias(self, shape: Shape, outputs: int) -> tuple[Parameter, Parameter | None]:
        """A weight of that shape, and a bias of that size unless there is to be none."""
        weight = Parameter(kaiming_normal(shape, self.device, self.dtype))
        if not self.use_bias:
            return weight, None
        return weight, Parameter(zeros((outputs,), self.device, self.dtype), decay=False)

    def mended(self, x: Tensor) -> Tensor:
        """Integers as floats; raises what is wrong with any other x that forward stumbled over."""
        if not self.built:
            raise RuntimeError(
                f"{self!r}.forward(x) expects a module that is built; got one that is not. Call "
                "build(shape) first, or the module itself, which builds it."
            ) from None
        try:
            self.build(sample_shapes(x))
        except ValueError as error:
            raise error from None
        if x.is_floating_point():
            raise  # torch's own error, about the type or the device of x
        return x.to(next(self.parameters()).data.dtype)

    def get_config(self) -> dict[str, Any]:
        config, (first_name, last_name) = super().get_config(), self.size_names
        if self._names_sizes() and config.get(last_name) is None:  # a single size is meant for it
            config = {last_name: config[first_name]} | {
                name: value for name, value in config.items() if name not in self.size_names}
        return config

    def _names_sizes(self) -> bool:
        """Whether `size_names` stands in the class, or above the class, that has `__init__`."""
        line = type(self).__mro__
        return next(cls for cls in line if "__init__" in vars(cls)) == next(
            cls for cls in line if "size_names" in vars(cls))
