"""Penalties on the values of a parameter: they are added to the loss, and their gradients too."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from kerasish.checks import check_choice, check_number
from kerasish.configured import Configured
from kerasish.registry import Registry


class Regularizer(Configured):
    """Base of regularizers: a function of one parameter, and its derivative.

    A subclass writes `penalty(w)`, a 0-dim tensor, and `gradient(w)`, of the shape of w.
    """

    formula: ClassVar[str] = "r(w)"

    def penalty(self, w: Tensor) -> Tensor:
        """r(w), which is added to the loss."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(w) method. Write it.")

    def gradient(self, w: Tensor) -> Tensor:
        """dr/dw, which is added to the gradient."""
        raise NotImplementedError(f"{type(self).__name__} needs a gradient(w) method. Write it.")

    def __call__(self, w: Tensor) -> Tensor:
        """The same as `penalty`."""
        return self.penalty(w)


class L1(Regularizer):
    """Pulls all values towards zero alike, until they are zero.

        r = λ Σ |w|

    Args:
        l1: λ, 0 or more.

    Example:
        >>> L1(0.5)(torch.tensor([1.0, -2.0]))
        tensor(1.5000)
    """

    formula: ClassVar[str] = "r = λ Σ |w|"

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _check_strength("L1(l1)", l1)

    def penalty(self, w: Tensor) -> Tensor:
        return self.l1 * w.abs().sum()

    def gradient(self, w: Tensor) -> Tensor:
        return self.l1 * w.sign()


class L2(Regularizer):
    """Pulls all values towards zero, large ones most.

        r = λ Σ w²

    Args:
        l2: λ, 0 or more.

    Example:
        >>> L2(0.5)(torch.tensor([1.0, 2.0]))
        tensor(2.5000)
    """

    formula: ClassVar[str] = "r = λ Σ w²"

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _check_strength("L2(l2)", l2)

    def penalty(self, w: Tensor) -> Tensor:
        return self.l2 * w.square().sum()

    def gradient(self, w: Tensor) -> Tensor:
        return 2 * self.l2 * w


class L1L2(Regularizer):
    """Both pulls together.

        r = λ₁ Σ |w| + λ₂ Σ w²

    Source: Zou & Hastie (2005), the elastic net.

    Args:
        l1: λ₁, 0 or more.
        l2: λ₂, 0 or more.

    Example:
        >>> L1L2(l1=0.5, l2=0.5)(torch.tensor([1.0, -2.0]))
        tensor(4.)
    """

    formula: ClassVar[str] = "r = λ₁ Σ |w| + λ₂ Σ w²"

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _check_strength("L1L2(l1)", l1)
        self.l2 = _check_strength("L1L2(l2)", l2)

    def penalty(self, w: Tensor) -> Tensor:
        return self.l1 * w.abs().sum() + self.l2 * w.square().sum()

    def gradient(self, w: Tensor) -> Tensor:
        return torch.add(self.l1 * w.sign(), w, alpha=2 * self.l2)


class Orthogonal(Regularizer):
    """Pulls the rows of a matrix, or its columns, towards being at right angles to each other.

        r = λ / P Σ |cos(wᵢ, wⱼ)|  over all P pairs i < j of rows, or of columns

    Shapes: w (outputs, inputs, *kernel), of which the axes after the first count as columns: in
        torch's layout a row holds the incoming weights of one output (in Keras' layout a column).
    Backward: with nᵢ = wᵢ / ‖wᵢ‖, dnᵢ = λ / P Σ sign(nᵢ·nⱼ) nⱼ over j ≠ i, and
        dwᵢ = (dnᵢ - nᵢ (nᵢ·dnᵢ)) / ‖wᵢ‖. A row of zeros has no angle: it is at right angles to all.
    Raises: ValueError for w of fewer than 2 axes.

    Args:
        factor: λ, 0 or more.
        mode: "rows" or "columns".

    Example:
        >>> Orthogonal(0.5)(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
        tensor(0.3000)
    """

    formula: ClassVar[str] = "r = λ / P Σ |cos(wᵢ, wⱼ)|"

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _check_strength("Orthogonal(factor)", factor)
        self.mode = check_choice("Orthogonal(mode)", mode, ("rows", "columns"))

    def penalty(self, w: Tensor) -> Tensor:
        n, _ = self._directions(w)
        return self._per_pair(n) / 2 * self._cosines(n).abs().sum()  # each pair comes twice

    def gradient(self, w: Tensor) -> Tensor:
        n, norms = self._directions(w)
        dn = self._per_pair(n) * torch.mm(self._cosines(n).sign(), n)
        dw = (dn - n * (n * dn).sum(1, keepdim=True)) / norms
        return (dw if self.mode == "rows" else dw.t()).reshape(w.shape)

    def _directions(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The rows or columns as rows of length 1, or of zeros, and the lengths that they had."""
        if w.dim() < 2:
            raise ValueError(f"{self!r} expects a matrix or a kernel, of 2 axes or more; got a "
                             f"parameter of shape {tuple(w.shape)}. Take another regularizer.")
        rows = w.flatten(1) if self.mode == "rows" else w.flatten(1).t()
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(1e-6)
        return rows / norms, norms

    def _cosines(self, n: Tensor) -> Tensor:
        return torch.mm(n, n.t()).fill_diagonal_(0)

    def _per_pair(self, n: Tensor) -> float:
        return self.factor / max(len(n) * (len(n) - 1) / 2, 1)


def _check_strength(who: str, value: float) -> float:
    return check_number(who, value, 0, fix="0.01 is a usual value.")


_named = Registry(Regularizer, "weight_regularizer", "weight_regularizer='l2'")
_named.add(L1)
_named.add(L2)
_named.add(L1L2, "l1_l2")
_named.add(Orthogonal, "orthogonal_regularizer")


def get(regularizer: Any) -> Regularizer:
    """The regularizer of that name with its defaults, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or anything else.

    Example:
        >>> get("l2")
        L2()
    """
    return _named.get(regularizer)
