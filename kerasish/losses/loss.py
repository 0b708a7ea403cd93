"""The contract of losses: one number from predictions and targets, and its gradient."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from kerasish.differentiable import Differentiable
from kerasish.shapes import alike, require_alike


class Loss(Differentiable):
    """Base of all losses: the mean over the batch, weighted by sample if weights are given.

        L = Σ w · v / (number of v)        v: one value an element, or one a class distribution

    A subclass writes `forward` and `backward`. As in Keras, weights are not normalised.

    Example:
        >>> import torch
        >>> class Linex(Loss):
        ...     def forward(self, y_pred, y_true, sample_weight=None):
        ...         error = y_pred - self.matched(y_pred, y_true)
        ...         self.save_for_backward(error, self.weights(sample_weight, error))
        ...         return self.mean(error.exp() - error - 1, sample_weight)
        ...     def backward(self):
        ...         error, weights = self.saved_tensors()
        ...         return weights * (error.exp() - 1) / error.numel()
        >>> Linex()(torch.zeros(2, 1), torch.zeros(2, 1))
        tensor(0.)
    """

    formula: ClassVar[str] = "L = mean of v(y_pred, y_true)"
    from_logits: bool | None = None
    """Whether y_pred are logits (True) or probabilities (False), where that matters: `compile`
    refuses a model that gives the other."""

    value_names: tuple[str, ...] = ()
    """The names of `values`, known before the first batch."""
    values: Mapping[str, Tensor] = MappingProxyType({})
    """What the loss of the latest batch is made of, for logs to show beside it."""

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss as a 0-dim tensor."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward method. Write it.")

    def backward(self) -> Tensor:
        """dL/dy_pred of the latest forward."""
        raise NotImplementedError(f"{type(self).__name__} needs a backward method. Write it.")

    def __call__(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The same as `forward`."""
        return self.forward(y_pred, y_true, sample_weight)

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        """Refuses targets whose shape does not fit the predictions'; (N,) is read as (N, 1).

        Raises: ValueError with both shapes.
        """
        require_alike(self, y_pred, y_true)

    def check_targets(self, y_pred: tuple[int, ...], y_true: Tensor) -> None:
        """Refuses targets that cannot be meant, before training: reads all of y_true once.

        Raises: ValueError for other shapes, and for values outside the loss' domain.
        """
        self.check_shapes(y_pred, tuple(y_true.shape))

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """y_true in the shape of y_pred, never by broadcasting."""
        return alike(self, y_pred, y_true)

    def weights(self, sample_weight: Tensor | None, values: Tensor) -> Any:
        """Sample weights in a shape that multiplies the values; the number 1.0 for none."""
        if sample_weight is None:
            return 1.0
        if sample_weight.shape != values.shape[:1]:
            raise ValueError(
                f"{self!r} expects one sample_weight a sample, shape ({len(values)},); got "
                f"{tuple(sample_weight.shape)}. Weigh samples, not elements."
            )
        return sample_weight.to(values.dtype).view(-1, *[1] * (values.dim() - 1))

    def mean(self, values: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Σ w · v / (number of v); 0 for an empty batch."""
        if sample_weight is not None:
            values = values * self.weights(sample_weight, values)
        return values.sum().div_(max(values.numel(), 1))


def refuse_function(loss: Callable[..., Any]) -> None:
    """Says how to turn a bare function into a loss: kerasish has no autograd to derive it.

    Raises: TypeError, always.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    raise TypeError(
        f"compile(loss) expects a name or a Loss with forward and backward; got the function "
        f"{name!r}. Write `class MyLoss(Loss)` with both methods: there is no autograd to derive a "
        "function."
    )
