"""The contract of losses: one number from predictions and targets, and its gradient."""

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from kerasish.checks import check_choice
from kerasish.differentiable import Differentiable
from kerasish.registry import Registry
from kerasish.shapes import alike, require_alike

Range = tuple[float, float]


class Ending(NamedTuple):
    """What a loss wants the last module to give, where that matters."""

    what: str
    """In words, after "a model that ends in"."""
    fix: str
    """What to do about another ending; "{last}" stands for its module."""
    within: Range | None = None
    """The interval that values must lie in, if there is one."""
    other_than: Range | None = None
    """An interval that says that the values are no such thing."""

    def fits(self, y_range: Range | None) -> bool:
        """Whether values from that interval may be meant; what is not known may."""
        if y_range is None:
            return True
        low, high = self.within or (-math.inf, math.inf)
        return y_range != self.other_than and low <= y_range[0] and y_range[1] <= high


class Loss(Differentiable):
    """Base of all losses: the mean over the batch, weighted by sample if weights are given.

        L = Σ w v / n        v: n values, one an element or one a class distribution

    A subclass writes `forward` and `backward`. As in Keras, weights are not normalised.

    Args:
        reduction: "mean", or "sum", which does not divide by n.

    Example:
        >>> import torch
        >>> class Linex(Loss):
        ...     def forward(self, y_pred, y_true, sample_weight=None):
        ...         error = y_pred - self.matched(y_pred, y_true)
        ...         shares = self.shares(sample_weight, error)
        ...         self.save_for_backward(error, shares)
        ...         return self.total(error.exp() - error - 1, shares)
        ...     def backward(self):
        ...         error, shares = self.saved_tensors()
        ...         return shares * (error.exp() - 1)
        >>> Linex()(torch.zeros(2, 1), torch.zeros(2, 1))
        tensor(0.)
    """

    formula: ClassVar[str] = "L = mean of v(y_pred, y_true)"
    backward_formula: ClassVar[str] = "dy_pred = dL/dy_pred"
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum")
    """What `reduction` may be."""
    from_logits: bool | None = None
    """Whether y_pred are logits (True) or probabilities (False), where that matters: `compile`
    refuses a model that gives the other."""
    reduction = "mean"

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = check_reduction(type(self), reduction)

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

    # ---- before training ----------------------------------------------------------------------

    @property
    def ending(self) -> Ending | None:
        """What the last module of a model should give; None where anything may be meant."""
        name = type(self).__name__
        if self.from_logits is None:
            return None
        if self.from_logits:
            return Ending("logits, any real numbers", "Leave {last} out, or write "
                          f"{name}(from_logits=False).", other_than=(0.0, 1.0))
        return Ending("probabilities", "Add Sigmoid(), say, at the end, or leave from_logits=False "
                      "out.", within=(0.0, 1.0))

    def check_ending(self, last: object, y_range: Range | None, place: str = "") -> None:
        """Refuses a last module whose values cannot be meant.

        Raises: ValueError naming the ways out.

        Args:
            last: the module, for the error.
            y_range: the interval that its values lie in, if it is known.
            place: which output, for the error, if there are several.
        """
        if (wanted := self.ending) and not wanted.fits(y_range):
            raise ValueError(
                f"compile(loss={self!r}) expects a model that ends in {wanted.what}{place}; got "
                f"one that ends in {last!r}. {wanted.fix.format(last=repr(last))}"
            )

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

    def check_values(self, y_true: Tensor, low: float, high: float, what: str, fix: str) -> None:
        """Refuses targets that are not all from low to high, in those words; NaN is not."""
        if not y_true.numel():
            return
        least, most = float(y_true.min()), float(y_true.max())
        if not (low <= least and most <= high):
            raise ValueError(f"{self!r} expects {what}; got {least:g} to {most:g}. {fix}")

    # ---- what forward is made of --------------------------------------------------------------

    def matched(self, y_pred: Tensor, y_true: Tensor) -> Tensor:
        """y_true in the shape of y_pred, never by broadcasting."""
        return alike(self, y_pred, y_true)

    def shares(
        self, sample_weight: Tensor | None, values: Tensor, number: int | Tensor | None = None
    ) -> Any:
        """What each value is multiplied by: w / n, or w for the sum. A number if all count alike.

        The gradient of the loss is the gradient of the values times these.

        Args:
            sample_weight: shape (N,), or None.
            values: anything in the shape and type of the values.
            number: what n is, if it is not how many values there are.
        """
        if number is None:
            number = values.numel() or 1
        if sample_weight is None:
            return 1.0 if self.reduction == "sum" else 1.0 / number
        if sample_weight.shape != values.shape[:1]:
            raise ValueError(
                f"{self!r} expects one sample_weight a sample, shape ({len(values)},); got "
                f"{tuple(sample_weight.shape)}. Weigh samples, not elements."
            )
        weights = sample_weight.to(values.dtype).view(-1, *[1] * (values.dim() - 1))
        return weights if self.reduction == "sum" else weights / number

    def total(self, values: Tensor, shares: Any) -> Tensor:
        """Σ values · shares, the loss; 0 for an empty batch."""
        if isinstance(shares, Tensor):
            return (values * shares).sum()
        return values.sum().mul_(shares)


def check_reduction(cls: type[Loss], reduction: Any) -> str:
    """Hands back how values are brought together; Keras' "sum_over_batch_size" is the mean.

    Raises: ValueError for any other way, "none" among them.
    """
    who = f"{cls.__name__}(reduction)"
    if reduction is None or reduction == "none":
        raise ValueError(
            f"{who} expects one of {', '.join(map(repr, cls.reductions))}; got {reduction!r}. A "
            "step goes back from one number: weigh samples with sample_weight, or call the loss "
            "on one sample at a time to see theirs."
        )
    if reduction == "sum_over_batch_size":
        return "mean"
    return check_choice(who, reduction, cls.reductions)


def refuse_function(loss: Callable[..., Any], named: Registry[Loss]) -> None:
    """Says how to turn a bare function into a loss: kerasish has no autograd to derive it.

    Raises: TypeError, always.

    Args:
        loss: the function, or an object of another library.
        named: where a loss of that name may be.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    ours = f" Write loss={name!r} for {named.get(name)!r}." if name in named else ""
    cls = "".join(part[:1].upper() + part[1:] for part in re.findall("[A-Za-z0-9]+", name))
    if not cls[:1].isalpha() or cls in ("Lambda", "Loss"):
        cls = "MyLoss"
    raise TypeError(
        f"compile(loss) expects a name or a Loss with forward and backward; got the function "
        f"{name!r}.{ours} There is no autograd to derive a function: write both methods. This is "
        "the squared error:\n\n"
        f"from kerasish.losses import Loss\n\n{_EXAMPLE.format(cls=cls)}\n"
        f"and pass an instance, loss={cls}()."
    )


_EXAMPLE = """\
class {cls}(Loss):
    def forward(self, y_pred, y_true, sample_weight=None):
        error = y_pred - self.matched(y_pred, y_true)
        shares = self.shares(sample_weight, error)  # w / n
        self.save_for_backward(error, shares)
        return self.total(error**2, shares)

    def backward(self):
        error, shares = self.saved_tensors()
        return 2 * error * shares  # the derivative of each value, times its share
"""
