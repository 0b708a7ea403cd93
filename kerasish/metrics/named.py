"""Which metrics `compile` is asked for, under which names, and what "accuracy" means among them."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from kerasish import losses
from kerasish.differentiable import Differentiable
from kerasish.losses import Loss
from kerasish.losses.several import OutputLosses, in_order, keys_of, output_name, weights_of
from kerasish.metrics.accuracy import (
    AccuracyByTargets,
    BinaryAccuracy,
    CategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy_for,
)
from kerasish.metrics.areas import AUC
from kerasish.metrics.confusion import F1, ConfusionMatrix, MeanIoU, Precision, Recall
from kerasish.metrics.held import Held
from kerasish.metrics.losses import LossMetric
from kerasish.metrics.metric import FunctionMetric, Mean, Metric
from kerasish.metrics.reading import Range
from kerasish.metrics.regression import MAE, MSE, R2, RMSE
from kerasish.registry import Registry
from kerasish.trees import leaves
from kerasish.types import Device

_ACCURACY = ("accuracy", "acc")
_WHO = ("metrics", "weighted_metrics")
METRICS_LIMIT = 1_000
"""More than anybody can look at; a file that asks for more means harm."""

_named = Registry(Metric, "compile(metrics)", "metrics=['accuracy']",
                  also=("accuracy", *losses.named))
_named.add(BinaryAccuracy)
_named.add(CategoricalAccuracy, "sparse_categorical_accuracy")
_named.add(TopKCategoricalAccuracy, "sparse_top_k_categorical_accuracy")
_named.add(Precision)
_named.add(Recall)
_named.add(F1, "f1_score")
_named.add(AUC, "roc_auc")
_named.add(ConfusionMatrix)
_named.add(MeanIoU, "mean_iou")
_named.add(MSE, "mean_squared_error")
_named.add(MAE, "mean_absolute_error")
_named.add(RMSE, "root_mean_squared_error")
_named.add(R2, "r2_score")


def get(metric: Any) -> Metric:
    """The metric of that name, which logs then show; a function wrapped; or the instance itself.

    The name of a loss that is no metric's stands for its mean.

    Raises: ValueError with the nearest names, and for "accuracy", which `compile` decides;
        TypeError for a class or anything else, and for a metric that lacks a method.

    Example:
        >>> get("mae").name
        'mae'
    """
    if isinstance(metric, str):
        if _is_accuracy(metric):
            raise ValueError(f"metrics.get(metric) expects a name with one meaning; got {metric!r}"
                             ", which compile decides by the loss. Write it in compile(metrics), "
                             "or say which: BinaryAccuracy() or CategoricalAccuracy().")
        of_loss = metric in losses.named and metric not in _named
        found = LossMetric(losses.get(metric)) if of_loss else _named.get(metric)
        found.name = metric
        return found
    if callable(metric) and not isinstance(metric, Metric | Differentiable | type):
        return FunctionMetric(metric)
    found = _named.get(metric)
    _require_written(found)
    return found


def _is_accuracy(metric: Any) -> bool:
    return isinstance(metric, str) and metric.lower() in _ACCURACY


def _require_written(metric: Metric) -> None:
    """Refuses a base class, or a class derived from one without the method that it asks for."""
    cls: Any = type(metric)
    lacks = [name for name in ("update", "result", "reset")
             if getattr(cls, name) is getattr(Metric, name)]
    if cls.update is Mean.update and cls.values is Mean.values:
        lacks.append("values")
    if cls.result is Held.result and cls.score is Held.score:
        lacks.append("score")
    if lacks:
        raise TypeError(f"compile(metrics) expects metrics with a {lacks[0]} method; got "
                        f"{metric!r}, which has none. Derive a class that writes it, or give a "
                        "function of (y_true, y_pred).")


def named_metrics(
    wanted: Any, loss: Loss, ending: Any, beside: Mapping[str, Metric] | None = None
) -> dict[str, Metric]:
    """The metrics by the names that logs show, of one output or of several.

    What has the name of one that it stands beside is called weighted_<name>.

    Raises: ValueError with the nearest names; TypeError for what is no metric.

    Args:
        wanted: names, Metrics or functions, one or a list; for several outputs a dict or a tuple or
            list of these, or one that is meant for each.
        loss: the loss that was chosen.
        ending: the last module, or several in the structure of the outputs.
        beside: the metrics without weights, where those with weights are wanted; None if these are
            without.
    """
    taken, who = dict(beside or {}), _WHO[beside is not None]
    if (asked := len(list(leaves(wanted)))) > METRICS_LIMIT:
        raise ValueError(f"compile({who}) expects at most {METRICS_LIMIT:,} metrics; got "
                         f"{asked:,}. Choose those that tell you something.")
    named: list[tuple[str, str, Metric]] = []
    if isinstance(loss, OutputLosses):
        losses = {part.key: part.loss for part in loss.parts}
        for key, each in in_order(who, wanted, loss.keys).items():
            last = ending[key] if isinstance(ending, tuple | dict) else None
            prefix = f"{output_name(key)}_" if len(loss.keys) > 1 else ""
            named += [(prefix, name, OfOutput(key, copy.deepcopy(metric))) for name, metric in
                      _of_one(each, losses.get(key), getattr(last, "y_range", None))]
    elif isinstance(wanted, dict):
        raise ValueError(f"compile({who}) expects one metric or a list for a model with one loss; "
                         f"got metrics by the names {list(wanted)}. Leave these out.")
    else:
        alone = _of_one(wanted, loss, getattr(ending, "y_range", None))
        named = [("", name, _with_own_sums(metric, taken)) for name, metric in alone]
    told_apart = ((prefix + ("weighted_" if prefix + name in taken else "") + name, metric)
                  for prefix, name, metric in named)
    return _free_names(told_apart, ["loss", *loss.value_names, *taken])


def _with_own_sums(metric: Metric, others: Mapping[str, Metric]) -> Metric:
    """The metric, or a copy if the same object is among the others."""
    return copy.deepcopy(metric) if any(metric is other for other in others.values()) else metric


def _of_one(wanted: Any, loss: Loss | None, y_range: Range) -> list[tuple[str, Metric]]:
    """What is wanted of one output, with the names that it would have alone."""
    named: list[tuple[str, Metric]] = []
    listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    for each in [] if wanted is None else listed:
        if _is_accuracy(each):
            if loss is None:
                raise ValueError(f"compile(metrics) expects outputs with a loss for {each!r}; got "
                                 "one without. Say which with BinaryAccuracy() or "
                                 "CategoricalAccuracy().")
            named.append((each, accuracy_for(loss, y_range) or AccuracyByTargets(loss)))
        else:
            metric = get(each)
            metric.told(loss, y_range)
            named.append((metric.name, metric))
    return named


def _free_names(
    named: Iterable[tuple[str, Metric]], taken: Iterable[str]
) -> dict[str, Metric]:
    """Each metric under its name, or if that is taken, the first free one of name_1, name_2, ..."""
    free, used, numbers = dict[str, Metric](), set(taken), dict[str, Iterator[int]]()
    for name, metric in named:
        number, found = numbers.setdefault(name, count(1)), name
        while found in used:
            found = f"{name}_{next(number)}"
        used.add(found)
        free[found] = metric
    return free


class OfOutput(Metric):
    """A metric of one of several outputs.

    Args:
        key: the place of the output in the tuple, or its name in the dict.
        metric: what looks at it.
    """

    def __init__(self, key: int | str, metric: Metric) -> None:
        self.key, self.metric, self.name = key, metric, metric.name

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """As the metric says."""
        return self.metric.higher_is_better

    def decided(self, y_true: Any) -> Metric:
        self._require_target(y_true)
        return OfOutput(self.key, self.metric.decided(y_true[self.key]))

    def _require_target(self, y_true: Any) -> None:
        if self.key not in (keys_of(y_true) or ()):
            raise ValueError(
                f"compile(metrics) expects targets for the output {self.key!r}, which "
                f"{self.metric!r} looks at; got targets for {keys_of(y_true)}. Give targets for "
                "it, or leave the metric out."
            )

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        self._require_target(y_true)
        self.metric.check_shapes(y_pred[self.key], y_true[self.key])

    def update(self, y_pred: Any, y_true: Any, sample_weight: Any = None) -> None:
        self.metric.update(y_pred[self.key], y_true[self.key], weights_of(self.key, sample_weight))

    def result(self) -> float:
        return self.metric.result()

    def reset(self) -> None:
        self.metric.reset()

    def state_dict(self) -> dict[str, Any]:
        return self.metric.state_dict()

    def load_state_dict(self, state: Mapping[str, Any], device: Device | None = None) -> None:
        self.metric.load_state_dict(state, device)
