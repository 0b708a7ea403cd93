"""What a module ends in: the modules that give its outputs their values."""

import inspect
from typing import Any

from torch import Tensor

from kerasish.containers import Graph, Parallel, Recompute, Sequential
from kerasish.layers import LogSoftmax, Softmax
from kerasish.losses import Loss
from kerasish.losses.several import OutputLosses, keys_of
from kerasish.module import Module
from kerasish.node import Node
from kerasish.trees import leaves, mapped


def endings(module: Module) -> Any:
    """The last modules but for reshaping, in the structure of the outputs as far as it is known.

    Of containers other than the library's own, only their own declaration is known.
    """
    if isinstance(module, Sequential):
        values = [layer for layer in module.layers if not layer.keeps_values]
        return endings(values[-1]) if values else module
    if isinstance(module, Parallel):
        if module.merge is not None:
            return module.merge
        return tuple(endings(branch) for branch in module.branches)
    if isinstance(module, Recompute):
        return endings(module.module)
    return mapped(_ending_of, module.outputs) if isinstance(module, Graph) else module


def _ending_of(node: Node) -> Any:
    while node.module is not None:
        if not node.module.keeps_values:
            return endings(node.module)
        node = node.inputs
    return Module()  # the input itself: anything


def known_outputs(module: Module, ending: Any) -> list[Any] | None:
    """The names of several outputs, or their places; [] for a single one, None if it is not known.

    A built module knows its outputs. Of others the structure of the endings tells, or a forward
    that declares to return a Tensor.
    """
    if module.built:
        return keys_of(module.output_shape) or []
    if isinstance(ending, tuple | dict):
        return keys_of(ending)
    returned = inspect.signature(ending.forward).return_annotation
    return [] if returned in (Tensor, "Tensor") else None


def check_endings(loss: Loss, ending: Any) -> None:
    """Refuses outputs that are probabilities for a loss that takes logits, or the reverse.

    Raises: ValueError naming the ways out.
    """
    if not isinstance(loss, OutputLosses):
        loss.check_ending(ending, getattr(ending, "y_range", None))
    elif isinstance(ending, tuple | dict):
        lasts: Any = ending
        for part in loss.parts:
            last = lasts[part.key]
            part.loss.check_ending(last, getattr(last, "y_range", None),
                                   f" at output {part.name!r}")


def check_classes(ending: Any) -> None:
    """Refuses built modules at the end that compare a single class with itself.

    Raises: ValueError naming the ways out.
    """
    for last in leaves(ending):
        if isinstance(last, Softmax | LogSoftmax):
            axis = last.dim - 1 if last.dim > 0 else last.dim
            if last.output_shape[axis] == 1:
                always = 1 if isinstance(last, Softmax) else 0
                raise ValueError(
                    f"{last!r} at the end of a model expects two classes or more on axis "
                    f"{last.dim}; got one, for which it is always {always}. Use Sigmoid() for one "
                    "output of yes or no."
                )
