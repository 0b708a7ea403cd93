"""What stands for kerasish's containers in torch: modules that wire modules.

Several tensors come in a tuple or a dict, as one argument, as in kerasish.
"""

from collections.abc import Iterable
from functools import reduce
from operator import add, mul
from typing import Any

import torch
from torch import Tensor, nn

from kerasish.containers.wiring import in_order, placed
from kerasish.node import Node
from kerasish.trees import leaves, mapped


class Residual(nn.Module):
    """merge(body(x), shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, merge: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.merge = body, shortcut, merge

    def forward(self, x: Any) -> Any:
        return self.merge((self.body(x), self.shortcut(x)))


class Parallel(nn.Module):
    """merge((branch(x), ...)), or the tuple."""

    def __init__(self, branches: Iterable[nn.Module], merge: nn.Module | None) -> None:
        super().__init__()
        self.names = []
        for index, branch in enumerate(branches):
            self.names.append(str(index))
            self.add_module(str(index), branch)
        self.merge = merge

    def forward(self, x: Any) -> Any:
        y = tuple(self.get_submodule(name)(x) for name in self.names)
        return y if self.merge is None else self.merge(y)


class Concat(nn.Module):
    """Several tensors, in a tuple or a dict, end to end."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Tensor:
        return torch.cat(list(leaves(x)), self.axis)


class Add(nn.Module):
    """The sum of several tensors, in a tuple or a dict."""

    def forward(self, x: Any) -> Tensor:
        y: Tensor = reduce(add, leaves(x))
        return y


class Multiply(nn.Module):
    """The product of several tensors, in a tuple or a dict."""

    def forward(self, x: Any) -> Tensor:
        y: Tensor = reduce(mul, leaves(x))
        return y


class Pick(nn.Module):
    """x[key]."""

    def __init__(self, key: int | str) -> None:
        super().__init__()
        self.key = key

    def forward(self, x: Any) -> Any:
        return x[self.key]


class Shared(nn.Module):
    """One module on each of several tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return mapped(self.module, x)


class Recompute(nn.Module):
    """One module, computed once: autograd keeps what its backward needs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return self.module(x)


class Graph(nn.Module):
    """Modules in the order of computation, each with the slots that it reads.

    Args:
        parts: the modules; calls: the places of those called and the slots they read; inputs: the
            structure of x; outputs: the slots of y.
    """

    def __init__(self, parts: Iterable[nn.Module], calls: list[tuple[int, Any]], inputs: Any,
                 outputs: Any) -> None:
        super().__init__()
        for index, part in enumerate(parts):
            self.add_module(str(index), part)
        self.calls, self.outputs = calls, outputs
        self.inputs = mapped(lambda node: Node(None, (), node.shape), inputs)

    def forward(self, x: Any) -> Any:
        values = in_order(self.inputs, x)
        for place, source in self.calls:
            values.append(self.get_submodule(str(place))(placed(values, source)))
        return placed(values, self.outputs)
