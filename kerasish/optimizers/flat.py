"""All parameters of a model end to end: arithmetic on a whole model is a few operations."""

from collections.abc import Container, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kerasish.devices import kind_of_device
from kerasish.parameter import Parameter

_ALIGNMENT = 64
"""Bytes. Each parameter starts on a cache line, whatever precedes it."""


class FlatParameters:
    """Parameters of one device and type in one vector, their gradients in a second.

    Afterwards `parameter.data` and `parameter.grad` are views into them. Those under weight decay
    come first. Offsets never change: freezing only changes which slices are trained.

    Shapes: data and grad are the same, one axis; gaps between parameters hold zeros.
    Raises: ValueError for parameters of several devices or types, or laid down elsewhere already.

    Args:
        parameters: any; one that comes twice is laid down once.

    Example:
        >>> weight, bias = Parameter(torch.ones(2, 2)), Parameter(torch.zeros(2), decay=False)
        >>> flat = FlatParameters([bias, weight])
        >>> flat.data[:4]
        tensor([1., 1., 1., 1.])
        >>> weight.data.data_ptr() == flat.data.data_ptr()
        True
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        unique = list(dict.fromkeys(parameters))
        kinds = {_kind(p) for p in unique}
        if len(kinds) != 1 or any(p.flat is not None for p in unique):
            raise ValueError(
                "FlatParameters(parameters) expects parameters of one device and type that lie in "
                f"no other flat vector; got {len(unique)} parameters of {len(kinds)} kinds. "
                "Use flatten(parameters)."
            )
        ((device, dtype),) = kinds
        self.parameters = sorted(unique, key=lambda parameter: not parameter.decay)
        self.offsets: dict[Parameter, int] = {}
        size = 0
        for parameter in self.parameters:
            self.offsets[parameter] = size
            size += _padded(parameter)
        with torch.inference_mode(False):  # the vectors outlive every step
            self.data = torch.zeros(size, dtype=dtype, device=device)
            self.grad = torch.zeros_like(self.data)
        on_cpu = kind_of_device(self.data) == "cpu"
        self.turned = {p for p in self.parameters if p.channels_last and on_cpu}
        """Those that lie channels-last."""
        for parameter in self.parameters:
            self._lay_down(parameter)

    def _lay_down(self, parameter: Parameter) -> None:
        data, grad = self.part(self.data, parameter), self.part(self.grad, parameter)
        data.copy_(parameter.data)
        grad.copy_(parameter.grad)
        parameter.place(data, grad, self)

    def part(self, vector: Tensor, parameter: Parameter) -> Tensor:
        """What belongs to a parameter in a vector that is laid out as these, in its shape."""
        start = self.offsets[parameter]
        line = vector[start : start + parameter.data.numel()]
        return shaped(line, parameter.shape, parameter in self.turned)

    def run(self, parameter: Parameter) -> slice:
        """Where a parameter is, with the gap after it."""
        start = self.offsets[parameter]
        return slice(start, start + _padded(parameter))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies lay the copies of the parameters down in vectors of their own."""
        return FlatParameters, (self.parameters,)

    def runs(self, wanted: Container[Parameter]) -> list[slice]:
        """The fewest slices that cover the wanted ones of these parameters, and no others."""
        runs: list[slice] = []
        for parameter in self.parameters:
            if parameter not in wanted:
                continue
            run = self.run(parameter)
            if runs and runs[-1].stop == run.start:
                run = slice(runs.pop().start, run.stop)
            runs.append(run)
        return runs

    def sizes(self, run: slice) -> list[int]:
        """How many elements of a run belong to each of its parameters, padding included."""
        ends = [self.run(parameter) for parameter in self.parameters]
        return [min(each.stop, run.stop) - max(each.start, run.start) for each in ends
                if each.start < run.stop and run.start < each.stop]


def shaped(line: Tensor, shape: Sequence[int], channels_last: bool) -> Tensor:
    """A part of a vector in a shape; (out, in, height, width) may lie channels-last.

    Example:
        >>> shaped(torch.arange(4), (1, 2, 1, 2), channels_last=True).tolist()
        [[[[0, 2]], [[1, 3]]]]
    """
    if not channels_last:
        return line.view(shape)
    outputs, inputs, height, width = shape
    return line.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def lined(tensor: Tensor, channels_last: bool) -> Tensor:
    """The part of a vector that a tensor is; undoes `shaped`."""
    return (tensor.permute(0, 2, 3, 1) if channels_last else tensor).reshape(-1)


def flatten(parameters: Iterable[Parameter]) -> list[FlatParameters]:
    """Lays down what is not laid down yet, a vector for each device and type.

    Returns: all flat vectors that the parameters lie in afterwards, other models' included.
    """
    unique = list(dict.fromkeys(parameters))
    loose = [p for p in unique if p.flat is None]
    for kind in dict.fromkeys(map(_kind, loose)):
        FlatParameters(p for p in loose if _kind(p) == kind)
    flats = (p.flat for p in unique)
    return list(dict.fromkeys(flat for flat in flats if isinstance(flat, FlatParameters)))


def _kind(parameter: Parameter) -> tuple[torch.device, torch.dtype]:
    return parameter.data.device, parameter.data.dtype


def _padded(parameter: Parameter) -> int:
    step = _ALIGNMENT // parameter.data.dtype.itemsize
    return -(-parameter.data.numel() // step) * step
