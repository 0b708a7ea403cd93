"""Weights of classes as weights of samples: looked up on the device, for a batch or for all."""

import math
import operator
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from kerasish.losses import KLDivergence, Loss
from kerasish.losses.classes import ClassLoss
from kerasish.losses.several import OutputLosses, output_name
from kerasish.registry import nearest
from kerasish.types import Shape


class ClassWeights:
    """What each sample weighs by its class; 1 for classes that are not named.

    Raises: ValueError for keys that are no whole numbers, and for weights below 0; when called, for
        targets that are not one class a sample.

    Args:
        class_weight: class → weight.
        scores: the shape of a sample's targets if they are scores or probabilities, one a class,
            of which the largest says the class; None if targets are the class itself.

    Example:
        >>> ClassWeights({0: 1.0, 1: 5.0})(torch.tensor([0, 1, 1, 2]))
        tensor([1., 5., 5., 1.])
    """

    def __init__(self, class_weight: Mapping[int, float], scores: Shape | None = None) -> None:
        weights = {_class(key): _weight(key, value) for key, value in class_weight.items()}
        self._low, high = min(weights, default=0), max(weights, default=0)
        if high - self._low > 10**7:
            raise ValueError("fit(class_weight) expects classes that lie close together; got "
                             f"{self._low} to {high}. Number them from 0.")
        named = [weights.get(key, 1.0) for key in range(self._low, high + 1)]
        self._table, self._scores = torch.tensor([1.0, *named, 1.0]), scores

    def __call__(self, y: Tensor) -> Tensor:
        """The weights of these targets, shape (N,)."""
        if self._scores is not None and tuple(y.shape[1:]) == tuple(self._scores):
            y = y.argmax(1)
        if y.numel() != len(y):
            raise ValueError(f"fit(class_weight) expects one class a sample; got targets of shape "
                             f"{tuple(y.shape)}. Give sample_weight instead.")
        self._table = self._table.to(y.device)
        whole = y.round() if y.is_floating_point() else y
        places = whole.reshape(len(y)).long() - (self._low - 1)
        return self._table[places.clamp(0, len(self._table) - 1)]


def class_weights(class_weight: Any, loss: Loss, output: Any) -> Any:
    """Weights for the targets of a model: one, or one for each output in a dict by its key.

    Raises: TypeError or ValueError for what is no dict, and for outputs that are not there.

    Args:
        class_weight: class → weight; with several outputs, output → such a dict.
        loss: what the model is trained with.
        output: the shape of a sample's output, or several in their structure.
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError("fit(class_weight) expects a dict of class → weight; got "
                        f"{class_weight!r}. {{0: 1.0, 1: 5.0}}, for instance, is one.")
    if not isinstance(loss, OutputLosses):
        return _weights_for(class_weight, loss, output)
    names = {output_name(part.key): part for part in loss.parts}
    found = {}
    for name, each in class_weight.items():
        part = names.get(name if isinstance(name, str) else output_name(name))
        if part is None or not isinstance(each, Mapping):
            raise ValueError("fit(class_weight) expects a dict for each of several outputs; got "
                             f"{each!r} for {name!r}. {nearest(str(name), names)}")
        found[part.key] = _weights_for(each, part.loss, output[part.key])
    return found


def _weights_for(class_weight: Mapping[int, float], loss: Loss, output: Shape) -> ClassWeights:
    """Weights for one output, whose classes are known where the loss is one of classes."""
    if isinstance(loss, ClassLoss) and output and output[0] > 1:
        for key in class_weight:
            if not 0 <= _class(key) < output[0]:
                raise ValueError(f"fit(class_weight) expects classes from 0 to {output[0] - 1}, as "
                                 f"the model has {output[0]} outputs; got {key!r}. Leave it out.")
    return ClassWeights(class_weight, _scores(loss, output))


def weights_by_class(weights: Any, y: Any, sample_weight: Any) -> Any:
    """The weights of samples times those of their classes, for each output if there are several."""
    if isinstance(weights, ClassWeights):
        return _times(sample_weight, weights(y))
    shared = sample_weight if isinstance(sample_weight, Tensor | None) else None
    keys = y if isinstance(y, dict) else range(len(y))
    products = {}
    for key in keys:
        own = shared if isinstance(sample_weight, Tensor | None) else _of(sample_weight, key)
        products[key] = _times(own, weights[key](y[key])) if key in weights else own
    return products if isinstance(y, dict) else tuple(products.values())


def _of(sample_weight: Any, key: Any) -> Tensor | None:
    """An output's own weights; None where a dict leaves it out."""
    own: Tensor | None = (
        sample_weight.get(key) if isinstance(sample_weight, dict) else sample_weight[key])
    return own


def _times(sample_weight: Tensor | None, weights: Tensor) -> Tensor:
    return weights if sample_weight is None else sample_weight * weights


def _scores(loss: Loss, output: Any) -> Shape | None:
    of_classes = isinstance(loss, ClassLoss | KLDivergence)
    return output if of_classes and len(output) == 1 and output[0] > 1 else None


def _class(key: Any) -> int:
    if isinstance(key, float) and key.is_integer():
        return int(key)
    with suppress(TypeError):
        return operator.index(key)
    raise ValueError(f"fit(class_weight) expects whole numbers as classes; got {key!r}. "
                     "Number the classes from 0.")


def _weight(key: Any, value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(f"fit(class_weight) expects weights of 0 or more; got {value!r} for "
                         f"class {key!r}. 1.0 leaves a class as it is.")
    return weight
