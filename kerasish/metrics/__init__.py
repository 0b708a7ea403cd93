"""Metrics: running means and other scores over samples, found by Keras' names."""

from kerasish.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy_for,
)
from kerasish.metrics.areas import AUC
from kerasish.metrics.confusion import F1, ConfusionMatrix, MeanIoU, Precision, Recall
from kerasish.metrics.held import Held, ScikitMetric
from kerasish.metrics.losses import LossMetric
from kerasish.metrics.metric import ElementwiseMean, FunctionMetric, Mean, Metric
from kerasish.metrics.named import get, named_metrics
from kerasish.metrics.regression import MAE, MSE, R2, RMSE
from kerasish.metrics.scores import RunningLogs, Scores

__all__ = [
    "AUC",
    "F1",
    "MAE",
    "MSE",
    "R2",
    "RMSE",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "ConfusionMatrix",
    "ElementwiseMean",
    "FunctionMetric",
    "Held",
    "LossMetric",
    "Mean",
    "MeanIoU",
    "Metric",
    "Precision",
    "Recall",
    "RunningLogs",
    "ScikitMetric",
    "Scores",
    "TopKCategoricalAccuracy",
    "accuracy_for",
    "get",
    "named_metrics",
]
