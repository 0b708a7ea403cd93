"""Which metrics `compile` is asked for, under which names, and what "accuracy" means among them."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from torch import Tensor

from kerasish.differentiable import Differentiable
from kerasish.losses import Loss
from kerasish.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, accuracy_for
from kerasish.metrics.metric import FunctionMetric, Metric
from kerasish.metrics.regression import MAE, MSE
from kerasish.registry import Registry

Range = tuple[float, float] | None
_ACCURACY = ("accuracy", "acc")

_named = Registry(Metric, "compile(metrics)", "metrics=['accuracy']", also=("accuracy",))
_named.add(BinaryAccuracy)
_named.add(CategoricalAccuracy, "sparse_categorical_accuracy")
_named.add(MSE, "mean_squared_error")
_named.add(MAE, "mean_absolute_error")


def get(metric: Any) -> Metric:
    """The metric of that name, which logs then show; a function wrapped; or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("mae").name
        'mae'
    """
    if isinstance(metric, str):
        found = _named.get(metric)
        found.name = metric
        return found
    if callable(metric) and not isinstance(metric, Metric | Differentiable | type):
        return FunctionMetric(metric)
    return _named.get(metric)


def named_metrics(wanted: Any, loss: Loss, y_range: Range) -> dict[str, Metric | None]:
    """The metrics by the names that logs show; None for an "accuracy" that only y can decide.

    Raises: ValueError with the nearest names; TypeError for what is no metric.
    """
    named: dict[str, Metric | None] = {}
    listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    for each in [] if wanted is None else listed:
        metric: Metric | None
        if isinstance(each, str) and each.lower() in _ACCURACY:
            name, metric = each, accuracy_for(loss, y_range)
        else:
            metric = get(each)
            name = metric.name
        named[_free_name(name, {"loss", *named})] = metric
    return named


def decided_by(
    named: Mapping[str, Metric | None], loss: Loss, y_range: Range, y_true: Tensor
) -> dict[str, Metric]:
    """The same with every "accuracy" decided, by the targets if need be."""
    decided = {}
    for name, metric in named.items():
        decided[name] = accuracy_for(loss, y_range, y_true) if metric is None else metric
    return {name: metric for name, metric in decided.items() if metric is not None}


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or if it is taken the first free one of name_1, name_2, ..."""
    if name not in taken:
        return name
    return next(free for k in count(1) if (free := f"{name}_{k}") not in taken)
