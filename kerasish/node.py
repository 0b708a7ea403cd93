"""What stands for a tensor while the wiring of a Graph is written down."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch

from kerasish.random import drawing_from
from kerasish.trees import is_shape, leaves, mapped


class Node:
    """The symbolic output of a module, or of nothing: then it is an input of a Graph.

    Args:
        module: what computes it; None for an input.
        inputs: the node, or the tuple or dict of nodes, that the module is called on.
        shape: without the batch axis; of an output it is inferred if None, and no data is run.
    """

    def __init__(self, module: Any, inputs: Any, shape: Any = None) -> None:
        self.module, self.inputs = module, inputs
        if module is not None:
            strangers = [part for part in leaves(inputs) if not isinstance(part, Node)]
            if strangers:
                raise TypeError(
                    f"{module!r}(x) expects symbolic inputs alone, or tensors alone; got a mixture "
                    f"with {type(strangers[0]).__name__}. Make an Input(shape) for it."
                )
            if shape is None:
                shape = inferred_shape(module, mapped(lambda node: node.shape, inputs))
        self.shape = shape

    pick: ClassVar[Callable[[Any], Any]]
    """Makes the module that takes one of several outputs; set where that is defined."""

    def __getitem__(self, key: Any) -> "Node":
        """One of several outputs: by its place in the tuple, or by its name in the dict."""
        if is_shape(self.shape):
            raise TypeError(f"{self!r}[{key!r}] expects a module with several outputs; got one "
                            "output. Take it as it is.")
        return Node(Node.pick(key), self)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.shape, dict):
            return iter(self.shape)
        if is_shape(self.shape):
            raise TypeError(f"{self!r} expects to be taken as it is; got taken apart. It has one "
                            "output.")
        return (self[place] for place in range(len(self.shape)))

    def __repr__(self) -> str:
        return f"Node({self.module!r}, shape={self.shape})" if self.module else (
            f"Input({self.shape})")


def inferred_shape(module: Any, shape: Any) -> Any:
    """The output shape for an input shape of a module that may not be built; it stays as it is."""
    if module.built:
        return module.build(shape)
    probe = copy.deepcopy(module)
    with torch.device("meta"), drawing_from(None):
        return probe.build(shape)
