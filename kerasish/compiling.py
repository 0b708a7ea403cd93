"""What `compile` makes of its arguments: everything is checked here, before any data is seen."""

from typing import Any

from torch import Tensor

from kerasish import metrics
from kerasish.losses import Loss
from kerasish.metrics import Metric, accuracy_for
from kerasish.module import Module

_ACCURACY = ("accuracy", "acc")


def named_metrics(wanted: Any, loss: Loss, module: Module) -> dict[str, Metric | None]:
    """The metrics by the names that logs show; None for an "accuracy" that only y can decide.

    Raises: ValueError with the nearest names; TypeError for what is no metric.
    """
    named: dict[str, Metric | None] = {}
    for each in wanted if isinstance(wanted, list | tuple) else [wanted] if wanted else []:
        if each in _ACCURACY:
            name, metric = each, accuracy_for(loss, last_leaf(module).y_range)
        else:
            metric = metrics.get(each)
            name = metric.name
        repeats = sum(known.rstrip("_0123456789") == name for known in named)
        named[f"{name}_{repeats}" if repeats else name] = metric
    return named


def decided_by(
    named: dict[str, Metric | None], loss: Loss, module: Module, y: Tensor
) -> dict[str, Metric]:
    """The same with every "accuracy" decided, by the targets if need be."""
    y_range = last_leaf(module).y_range
    return {
        name: metric or accuracy_for(loss, y_range, y) for name, metric in named.items()
    }  # type: ignore[misc]


def check_ending(module: Module, loss: Loss) -> None:
    """Refuses a model that gives probabilities to a loss that takes logits, or the reverse.

    Raises: ValueError naming both fixes.
    """
    last, takes = last_leaf(module), type(loss).__name__
    if loss.from_logits and last.y_range == (0.0, 1.0):
        raise ValueError(
            f"compile(loss={takes}()) expects a model that ends in logits, any real numbers; got "
            f"one that ends in {last!r}. Leave {last!r} out, or write {takes}(from_logits=False)."
        )
    if loss.from_logits is False and last.y_range not in (None, (0.0, 1.0)):
        raise ValueError(
            f"compile(loss={takes}(from_logits=False)) expects a model that ends in probabilities; "
            f"got one that ends in {last!r}. Add Sigmoid() or Softmax() at the end, or leave "
            f"from_logits=False out."
        )


def last_leaf(module: Module) -> Module:
    """The leaf that makes the output of nested containers."""
    children = list(module.children())
    return last_leaf(children[-1]) if children else module
