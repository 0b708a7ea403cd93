"""Losses of embeddings: which vectors are to lie close to each other."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_number
from kerasish.losses.loss import Loss
from kerasish.shapes import require_axis

_LEAST = 1e-12
"""Squared lengths are cut here, as in Keras."""


class CosineSimilarity(Loss):
    """How far apart two directions are: -1 if they are the same, 1 if they are opposite.

        L = mean of  -a · b,    a = y_pred / |y_pred|, b = y_true / |y_true|

    Shapes: y_pred and y_true (N, ..., D), the same. L (). The mean is over all but the axis.
    Backward: dy_pred = ((a · b) a - b) / |y_pred| / (number of vectors).
    Source: Keras, whose least length is the same, 1e-6.
    Raises: ValueError if the shapes differ: nothing is broadcast.

    Args:
        axis: the axis that vectors lie along.
        reduction: "mean" or "sum".

    Example:
        >>> CosineSimilarity()(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]]))
        tensor(-0.8000)
    """

    formula: ClassVar[str] = "L = mean of -y_pred · y_true / (|y_pred| |y_true|)"
    backward_formula: ClassVar[str] = (
        "dy_pred = ((a · b) a - b) / |y_pred| / n, a and b of length 1")

    def __init__(self, axis: int = -1, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.axis = axis

    def forward(
        self, y_pred: Tensor, y_true: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        a, length = self._directed(y_pred)
        b, _ = self._directed(self.matched(y_pred, y_true))
        cosine = (a * b).sum(self.axis, keepdim=True)
        shares = self.shares(sample_weight, cosine)
        self.save_for_backward(a, b, cosine, length, shares)
        return self.total(cosine, -shares)

    def backward(self) -> Tensor:
        a, b, cosine, length, shares = self.saved_tensors()
        turned = cosine.masked_fill_(length * length <= _LEAST, 0)  # a is no direction there
        dy: Tensor = a.mul_(turned).sub_(b).mul_(shares / length)
        return dy

    def _directed(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of length 1, and their lengths before."""
        squares = vectors.square().sum(self.axis, keepdim=True)
        length = squares.clamp_min_(_LEAST).sqrt_()
        return vectors / length, length

    def check_shapes(self, y_pred: tuple[int, ...], y_true: tuple[int, ...]) -> None:
        super().check_shapes(y_pred, y_true)
        require_axis(self, self.axis, y_pred)


class TripletMargin(Loss):
    """An anchor is to lie closer to its positive than to its negative, by a margin.

        L = mean of  max(0, margin + |a - b + eps|_p - |a - c + eps|_p)

    for an anchor a, a positive b and a negative c, which y_pred holds in this order. Targets are
    not looked at: any will do, zeros for instance.

    Shapes: y_pred (N, 3, D), or a tuple of three (N, D); y_true (N, ...). L ().
    Backward: with u = a - b + eps, the gradient of its length by b is
        -sign(u) (|u| / |u|_p)^(p - 1), and of the other one likewise; 0 beyond the margin.
    Source: Balntas et al. (2016), "Learning local feature descriptors with triplets", sections 3
        and 3.1 for `swap`.
    Raises: ValueError for other shapes.

    Args:
        margin: how much closer, 0 or more.
        p: which norm; 2 is the usual length, 1 or more.
        eps: is added to differences, as in torch, so that no length is 0.
        swap: whether the negative's distance is that from anchor or positive, whichever is closer.
        reduction: "mean" or "sum".

    Example:
        >>> a, b, c = torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([[2.5]])
        >>> TripletMargin()((a, b, c), torch.zeros(1))
        tensor(0.5000)
    """

    formula: ClassVar[str] = "L = mean of max(0, margin + |a - b| - |a - c|)"
    backward_formula: ClassVar[str] = (
        "u = a - b + eps,  dy_pred = ± sign(u) (|u| / |u|_p)^(p - 1) / n within the margin")

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.margin = check_number("TripletMargin(margin)", margin, 0, fix="1.0 is usual.")
        self.p = check_number("TripletMargin(p)", p, 1, fix="2.0 is the usual length.")
        self.eps, self.swap = check_number("TripletMargin(eps)", eps, 0), swap

    def forward(self, y_pred: Any, y_true: Any, sample_weight: Tensor | None = None) -> Tensor:
        is_tuple = not isinstance(y_pred, Tensor)
        if is_tuple:
            y_pred = torch.stack(tuple(y_pred), 1)
        self._require_triplets(tuple(y_pred.shape))
        anchor, positive, negative = y_pred.unbind(1)
        near, near_length = self._apart(anchor, positive)
        far, far_length = self._apart(anchor, negative)
        swapped = None
        if self.swap:
            other, other_length = self._apart(positive, negative)
            swapped = other_length < far_length
            far, far_length = torch.where(swapped, other, far), other_length.minimum(far_length)
        lack = (near_length - far_length).add_(self.margin).clamp_min_(0)
        shares = self.shares(sample_weight, lack)
        self.save_for_backward((near, near_length), (far, far_length), swapped, lack, shares,
                               is_tuple)
        return self.total(lack, shares)

    def backward(self) -> Any:
        near, far, swapped, lack, shares, is_tuple = self.saved_tensors()
        active = lack.sign_().mul_(shares)
        pull, push = self._slope(*near).mul_(active), self._slope(*far).mul_(active)
        parts = [pull - push, -pull, push]
        if swapped is not None:
            parts[0] = pull - push.masked_fill(swapped, 0)
            parts[1] = -pull - push.masked_fill(~swapped, 0)
        return tuple(parts) if is_tuple else torch.stack(parts, 1)

    def _apart(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The difference of vectors, and its length."""
        difference = torch.sub(first, second).add_(self.eps)
        return difference, torch.linalg.vector_norm(difference, self.p, 1, keepdim=True)

    def _slope(self, difference: Tensor, length: Tensor) -> Tensor:
        """The gradient of the length by the difference; 0 where they are 0."""
        share = torch.div(difference, length.clamp_min(torch.finfo(length.dtype).tiny))
        return share if self.p == 2 else share.abs().pow_(self.p - 1).mul_(difference.sign())

    def check_shapes(self, y_pred: Any, y_true: Any) -> None:
        if y_pred and not isinstance(y_pred[0], int):
            alike = len(y_pred) == 3 and len({tuple(shape) for shape in y_pred}) == 1
            y_pred = (*y_pred[0][:1], 3, *y_pred[0][1:]) if alike else y_pred
        self._require_triplets(tuple(y_pred))

    def check_targets(self, y_pred: Any, y_true: Any) -> None:
        self.check_shapes(y_pred, ())

    def _require_triplets(self, y_pred: tuple[Any, ...]) -> None:
        if len(y_pred) != 3 or y_pred[1] != 3:
            raise ValueError(
                f"{self!r} expects y_pred with an anchor, a positive and a negative for each "
                f"sample, shape (N, 3, D), or a tuple of three (N, D); got {y_pred}. Give all "
                "three to the model as one x of shape (N, 3, ...)."
            )
