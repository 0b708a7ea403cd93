"""What a module ends in: the modules that give its outputs their values."""

from typing import Any

from kerasish.containers import Graph, Parallel, Recompute, Sequential
from kerasish.losses import Loss
from kerasish.losses.several import OutputLosses
from kerasish.module import Module
from kerasish.node import Node
from kerasish.trees import mapped


def endings(module: Module) -> Any:
    """The last modules but for reshaping, in the structure of the outputs as far as it is known.

    Of containers other than the library's own, only their own declaration is known.
    """
    if isinstance(module, Sequential):
        values = [layer for layer in module.layers if not _only_shapes(layer)]
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
        if not (_only_shapes(node.module) and isinstance(node.inputs, Node)):
            return endings(node.module)
        node = node.inputs
    return Module()  # the input itself: anything


def _only_shapes(module: Module) -> bool:
    """Whether its output holds the values of its input."""
    return module.returns_view and module.backward_reads == set() and not any(module.children())


def check_endings(loss: Loss, ending: Any) -> None:
    """Refuses outputs that are probabilities for a loss that takes logits, or the reverse.

    Raises: ValueError naming both fixes.
    """
    if not isinstance(loss, OutputLosses):
        _check(loss, ending, "")
    elif isinstance(ending, tuple | dict):
        lasts: Any = ending
        for part in loss.parts:
            _check(part.loss, lasts[part.key], f" at output {part.name!r}")


def _check(loss: Loss, last: Any, place: str) -> None:
    takes, y_range = type(loss).__name__, getattr(last, "y_range", None)
    if loss.from_logits and y_range == (0.0, 1.0):
        raise ValueError(
            f"compile(loss={takes}()) expects a model that ends in logits{place}, any real "
            f"numbers; got one that ends in {last!r}. Leave {last!r} out, or write "
            f"{takes}(from_logits=False)."
        )
    if loss.from_logits is False and y_range not in (None, (0.0, 1.0)):
        raise ValueError(
            f"compile(loss={takes}(from_logits=False)) expects a model that ends in "
            f"probabilities{place}; got one that ends in {last!r}. Add Sigmoid(), say, at the end, "
            "or leave from_logits=False out."
        )
