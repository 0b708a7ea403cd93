"""Losses."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from kerasish.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy
from tests.table.row import LossRow, numbers


def _targets(*shape: int) -> Tensor:
    """Numbers that lie 0.01 or more away from all `numbers` of a small batch."""
    return numbers(*shape, seed=1) / 9


def _shares(*shape: int, axis: int = 1) -> Tensor:
    """Probabilities that sum to 1 along an axis."""
    return numbers(*shape, seed=1).softmax(axis)


def _labels(*shape: int) -> Tensor:
    """Class indices 0 to 4."""
    return torch.randint(5, shape, generator=torch.Generator().manual_seed(1))


def _values(twin: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda y_pred, y_true: twin(y_pred, y_true.view_as(y_pred), reduction="none")


def _cross_entropy(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return F.cross_entropy(y_pred, y_true, reduction="none")


def _nll(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return F.nll_loss(y_pred.log(), y_true, reduction="none")


_bce, _bce_with_logits = F.binary_cross_entropy, F.binary_cross_entropy_with_logits

ROWS = [
    LossRow("MSE", MSE, lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.mse_loss)),
    LossRow("MSE of images", MSE, lambda n: (numbers(n, 2, 3, 4), _targets(n, 2, 3, 4)),
            _values(F.mse_loss)),
    LossRow("MSE of (N,)", MSE, lambda n: (numbers(n), _targets(n)), _values(F.mse_loss)),
    LossRow("MSE of (N, 1) against (N,)", MSE, lambda n: (numbers(n, 1), _targets(n)),
            _values(F.mse_loss)),
    LossRow("MAE", MAE, lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.l1_loss)),
    LossRow("MAE of images", MAE, lambda n: (numbers(n, 2, 3, 4), _targets(n, 2, 3, 4)),
            _values(F.l1_loss)),
    LossRow("MAE of (N,) against (N, 1)", MAE, lambda n: (numbers(n), _targets(n, 1)),
            _values(F.l1_loss)),
    LossRow("BinaryCrossEntropy", BinaryCrossEntropy,
            lambda n: (numbers(n, 3), (_targets(n, 3) > 0).double()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of soft targets", BinaryCrossEntropy,
            lambda n: (numbers(n, 2, 3), _targets(n, 2, 3).sigmoid()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of (N, 1) against (N,)", BinaryCrossEntropy,
            lambda n: (numbers(n, 1), (_targets(n) > 0).double()), _values(_bce_with_logits)),
    LossRow("BinaryCrossEntropy of probabilities", lambda: BinaryCrossEntropy(from_logits=False),
            lambda n: (numbers(n, 3).sigmoid(), (_targets(n, 3) > 0).double()), _values(_bce)),
    LossRow("BinaryCrossEntropy of probabilities, soft targets",
            lambda: BinaryCrossEntropy(from_logits=False),
            lambda n: (numbers(n, 2, 3).sigmoid(), _targets(n, 2, 3).sigmoid()), _values(_bce)),
    LossRow("CrossEntropy", CrossEntropy, lambda n: (numbers(n, 5), _labels(n)), _cross_entropy),
    LossRow("CrossEntropy of labels (N, 1)", CrossEntropy,
            lambda n: (numbers(n, 5), _labels(n, 1)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true.squeeze(1))),
    LossRow("CrossEntropy of images", CrossEntropy,
            lambda n: (numbers(n, 5, 2, 3), _labels(n, 2, 3)), _cross_entropy),
    LossRow("CrossEntropy of images, labels (N, 1, H, W)", CrossEntropy,
            lambda n: (numbers(n, 5, 2, 3), _labels(n, 1, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true.squeeze(1))),
    LossRow("CrossEntropy of the last axis", lambda: CrossEntropy(axis=-1),
            lambda n: (numbers(n, 2, 3, 5), _labels(n, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred.movedim(-1, 1), y_true)),
    LossRow("CrossEntropy against probabilities", CrossEntropy,
            lambda n: (numbers(n, 5), _shares(n, 5)), _cross_entropy),
    LossRow("CrossEntropy against probabilities on the last axis", lambda: CrossEntropy(axis=-1),
            lambda n: (numbers(n, 2, 5), _shares(n, 2, 5, axis=-1)),
            lambda y_pred, y_true: _cross_entropy(y_pred.mT, y_true.mT)),
    LossRow("CrossEntropy against targets that sum to 2", CrossEntropy,
            lambda n: (numbers(n, 5, 2), 2 * _shares(n, 5, 2)), _cross_entropy),
    LossRow("CrossEntropy of probabilities", lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5, 2).softmax(1), _labels(n, 2)), _nll),
    LossRow("CrossEntropy of probabilities against probabilities",
            lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5).softmax(1), _shares(n, 5)),
            lambda y_pred, y_true: -(y_true * y_pred.log()).sum(1)),
]

EQUIVALENT = {
    r"\.div_\(\w+\.numel\(\)( // max\([^()]*, 1\))?( or 2)?\)$":
        "where there are no elements it does not matter what they are divided by",
    r"CrossEntropy\.backward: .* \+ .* // max\(dy\.shape\[self\.axis\], 2\) or 1\)$":
        "fewer classes than two are refused",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
