"""Metrics: running means over samples, found by Keras' names."""

from kerasish.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    accuracy_for,
)
from kerasish.metrics.metric import ElementwiseMean, FunctionMetric, Mean, Metric
from kerasish.metrics.named import get, named_metrics
from kerasish.metrics.regression import MAE, MSE
from kerasish.metrics.scores import RunningLogs, Scores

__all__ = [
    "MAE",
    "MSE",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "ElementwiseMean",
    "FunctionMetric",
    "Mean",
    "Metric",
    "RunningLogs",
    "Scores",
    "accuracy_for",
    "get",
    "named_metrics",
]
