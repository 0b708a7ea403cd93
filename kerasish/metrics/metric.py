"""The contract of metrics: sums stay on the device and are read only when somebody looks."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.configured import Configured, argument_names
from kerasish.metrics.sums import copied
from kerasish.naming import snake_case
from kerasish.shapes import require_alike
from kerasish.types import Device, Shape


class Metric(Configured):
    """Base of all metrics.

    Args of its methods: y_pred and y_true as the loss gets them, sample_weight of shape (N,).
    """

    higher_is_better: ClassVar[bool | None] = None
    """Which way is up; None where that is for the user to say, with `mode=`."""

    @property
    def name(self) -> str:
        """What the metric is called in logs: its class in snake_case, unless it is set."""
        return getattr(self, "_name", None) or snake_case(type(self).__name__)

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    runs_in_step: ClassVar[bool] = False
    """Whether `update` may run in torch's inference mode, as the step does, which saves leaving it:
    only where all tensors that outlive a batch are made outside that mode."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Attributes that no batch changes, besides the constructor's arguments: no part of a state."""

    def told(self, loss: Any, y_range: tuple[float, float] | None) -> None:
        """Takes what the model is trained with, and the range that its last module gives."""

    def decided(self, y_true: Any) -> "Metric":
        """The metric that is meant with these targets, all of them: this one, for most."""
        return self

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        """Refuses, before training, targets whose shape does not fit the predictions'."""

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        """Takes in one batch; reads nothing back from the device."""
        raise NotImplementedError(f"{type(self).__name__} needs an update method. Write it.")

    def result(self) -> float:
        """The value over all batches since `reset`; NaN before the first."""
        raise NotImplementedError(f"{type(self).__name__} needs a result method. Write it.")

    def reset(self) -> None:
        """Forgets all batches."""
        raise NotImplementedError(f"{type(self).__name__} needs a reset method. Write it.")

    def state_dict(self) -> dict[str, Any]:
        """What batches have left, exactly: a copy of all attributes that are no settings.

        Raises: TypeError naming an attribute that is neither plain data nor a tensor.
        """
        return {name: copied(f"{type(self).__name__}.{name}", value)
                for name, value in vars(self).items() if not self._is_setting(name)}

    def load_state_dict(self, state: Mapping[str, Any], device: Device | None = None) -> None:
        """Takes a state back; batches that follow give the same bits as if none had come between.

        Raises: ValueError for what is no state of such a metric; nothing is changed then.

        Args:
            state: what `state_dict` gave.
            device: where the tensors go; None leaves them where they are.
        """
        for name in state:
            if self._is_setting(name) or callable(getattr(type(self), name, None)):
                raise ValueError(f"{self!r}.load_state_dict(state) expects what state_dict gave; "
                                 f"got {name!r}, which is no sum. Load it into the same metric.")
        new = {name: copied(f"{type(self).__name__}.{name}", value, device)
               for name, value in state.items()}
        for name in [name for name in vars(self) if not self._is_setting(name)]:
            del vars(self)[name]
        vars(self).update(new)

    def _is_setting(self, name: str) -> bool:
        return name in ("_arguments", "_name", *self.settings, *argument_names(type(self))[0])


class Mean(Metric):
    """A running mean: always sum over count, never a mean of means.

        result = Σ w v / Σ w

    A metric that is a mean over samples is a subclass with a `values` method.

    Example:
        >>> mean = Mean()
        >>> mean.add(torch.tensor(1.0), 3), mean.add(torch.tensor(5.0), 1)
        (None, None)
        >>> mean.result()
        2.0
    """

    runs_in_step: ClassVar[bool] = True

    _total: Tensor | None = None
    _weight: Tensor | None = None
    _count: int = 0

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """One value a sample, or several a sample, with the sample as axis 0."""
        raise NotImplementedError(f"{type(self).__name__} needs a values method. Write it.")

    def update(self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None) -> None:
        values = self.values(y_pred, y_true)
        if sample_weight is None:
            self._take(values.sum(dtype=torch.float64), None, values.numel())
        else:
            values = one_row_each(values).to(torch.float64).mean(1)
            self._take((values * sample_weight).sum(), sample_weight.sum(), 0)

    def add(self, mean: Tensor, count: int) -> None:
        """Takes in the mean of so many samples: a 0-dim tensor, left on its device."""
        self._total = zeros_on(mean) if self._total is None else self._total
        self._total.add_(mean, alpha=count)
        self._count += count

    def add_all(self, means: Sequence[Tensor] | Tensor, count: int) -> None:
        """Takes in several means, each of so many samples, at the cost of a few."""
        stack = means if isinstance(means, Tensor) else torch.stack(list(means))
        self.add(stack.sum(dtype=torch.float64), count)
        self._count += count * (len(means) - 1)

    def _take(self, total: Tensor, weight: Tensor | None, count: int) -> None:
        self._total = zeros_on(total) if self._total is None else self._total
        self._total.add_(total)
        self._count += count
        if weight is not None:
            self._weight = zeros_on(weight) if self._weight is None else self._weight
            self._weight.add_(weight)

    def result(self) -> float:
        weight = self._count + (0.0 if self._weight is None else float(self._weight))
        return float(self._total) / weight if self._total is not None and weight else math.nan

    def reset(self) -> None:
        self._count = 0
        for total in (self._total, self._weight):
            if total is not None:
                total.zero_()


class ElementwiseMean(Mean):
    """A mean over elements that predictions and targets of the same shape give in pairs."""

    def check_shapes(self, y_pred: Shape, y_true: Shape) -> None:
        require_alike(self, y_pred, y_true)


class FunctionMetric(Mean):
    """Any function of (y_true, y_pred), Keras' and scikit-learn's order, as a metric.

    A function that gives one number a batch is averaged over batches by their number of samples.
    An attribute `higher_is_better` of the function says what callbacks are to wait for.

    Args:
        function: gives a tensor with the sample as axis 0, or one number.
    """

    runs_in_step: ClassVar[bool] = False

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """As the function says, if it does."""
        return getattr(self.function, "higher_is_better", None)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FunctionMetric":
        """Sums of its own, the function itself: what it may be bound to is not ours to copy."""
        return FunctionMetric(self.function)

    def values(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        values = torch.as_tensor(self.function(y_true, y_pred))
        return values if values.dim() else values.expand(y_pred.shape[0])


def one_row_each(values: Tensor) -> Tensor:
    """Values in one row for each sample, where there are no samples too."""
    return values.unsqueeze(-1).flatten(1)


def zeros_on(example: Tensor, *shape: int) -> Tensor:
    """Zeros in float64 on the device of a tensor, which may outlive the step."""
    with torch.inference_mode(False):
        return torch.zeros(shape, dtype=torch.float64, device=example.device)
