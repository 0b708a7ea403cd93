"""Metrics: running means over samples, found by Keras' names."""

from typing import Any

from kerasish.metrics.accuracy import BinaryAccuracy, CategoricalAccuracy, accuracy_for
from kerasish.metrics.metric import FunctionMetric, Mean, Metric
from kerasish.metrics.regression import MAE, MSE
from kerasish.registry import Registry

__all__ = ["MAE", "MSE", "BinaryAccuracy", "CategoricalAccuracy", "FunctionMetric", "Mean",
           "Metric", "accuracy_for", "get"]

_named = Registry(Metric, "metrics", "metrics=['accuracy']", also=("accuracy",))
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
    if callable(metric) and not isinstance(metric, Metric | type):
        return FunctionMetric(metric)
    return _named.get(metric)
