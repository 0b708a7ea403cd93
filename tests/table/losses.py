"""Losses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from kerasish.losses import (
    MAE,
    MAPE,
    MSE,
    MSLE,
    NLL,
    BinaryCrossEntropy,
    BinaryFocal,
    CategoricalHinge,
    CosineSimilarity,
    CrossEntropy,
    Focal,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Poisson,
    SmoothL1,
    SquaredHinge,
    TripletMargin,
)
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


def _some_ignored(*shape: int) -> Tensor:
    """Class indices with every fourth one ignored, the second first."""
    labels = _labels(*shape)
    labels.view(-1)[1::4] = IGNORED
    return labels


def _bits(*shape: int) -> Tensor:
    return (_targets(*shape) > 0).double()


def _values(twin: Callable[..., Tensor], **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda y_pred, y_true: twin(y_pred, y_true.view_as(y_pred), reduction="none", **settings)


IGNORED = -100
WEIGHT = [0.5, 2.0, 1.0, 0.25, 3.0]
_WEIGHT = torch.tensor(WEIGHT, dtype=torch.float64)


def _cross_entropy(
    y_pred: Tensor, y_true: Tensor, weight: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    weight = None if weight is None else weight.to(y_pred.dtype)
    return F.cross_entropy(y_pred, y_true, weight, label_smoothing=smoothing, reduction="none")


def _counts(y_true: Tensor) -> Tensor:
    """1 where a class index is not ignored."""
    return (y_true != IGNORED).double()


def _class_weights(y_true: Tensor) -> Tensor:
    """The weight of each class index, 0 where it is ignored."""
    return _WEIGHT[y_true.clamp_min(0)] * _counts(y_true)


def _mape(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return 100 * (y_pred - y_true).abs() / y_true.abs().clamp_min(1e-7)


def _msle(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return (y_pred.clamp_min(1e-7).log1p() - y_true.view_as(y_pred).log1p()) ** 2


def _log_cosh(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return (y_pred - y_true).cosh().log()


def _sign(y_true: Tensor) -> Tensor:
    return torch.where(y_true > 0, 1.0, -1.0).to(y_true.dtype)


def _hinge(y_pred: Tensor, y_true: Tensor) -> Tensor:
    return (1 - _sign(y_true).view_as(y_pred) * y_pred).relu()


def _categorical_hinge(y_pred: Tensor, t: Tensor, axis: int = 1) -> Tensor:
    """Keras' formula."""
    return (((1 - t) * y_pred).amax(axis) - (t * y_pred).sum(axis) + 1).relu()


def _kl(axis: int = -1, **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda log_p, t: F.kl_div(log_p, t, reduction="none", **settings).sum(axis)


def _binary_focal(
    gamma: float, alpha: float = 0.5, smoothing: float = 0.0, of: Callable[..., Tensor] = F.sigmoid
) -> Callable[[Tensor, Tensor], Tensor]:
    """Lin et al.'s formula, in their p_t and α_t, for any t; for alpha 0.5 without α_t."""
    def values(y_pred: Tensor, t: Tensor) -> Tensor:
        t = t.view_as(y_pred) * (1 - smoothing) + smoothing / 2
        p = of(y_pred)
        cost = _bce(p, t, reduction="none") if of is _same else _bce_with_logits(
            y_pred, t, reduction="none")
        return 2 * (alpha * t + (1 - alpha) * (1 - t)) * (
            1 - p * t - (1 - p) * (1 - t)) ** gamma * cost / (1 if alpha == 0.5 else 2)
    return values


def _same(p: Tensor) -> Tensor:
    return p


def _focal(
    gamma: float, alpha: Any = 1.0, smoothing: float = 0.0, axis: int = 1,
    of: Callable[..., Tensor] = torch.log_softmax,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Keras' formula of the categorical loss, from class indices or probabilities."""
    def values(y_pred: Tensor, t: Tensor) -> Tensor:
        if not t.is_floating_point():
            hot = F.one_hot(t.clamp_min(0), y_pred.shape[axis]).to(y_pred).movedim(-1, axis)
            t = hot * (t != IGNORED).unsqueeze(axis)
            t = t * (1 - smoothing) + t.sum(axis, keepdim=True) * smoothing / hot.shape[axis]
        log_p = of(y_pred, axis)
        factor = torch.as_tensor(alpha, dtype=y_pred.dtype) * (1 - log_p.exp()) ** gamma
        return -(factor * t * log_p).sum(axis)
    return values


def _gaussian(log_variance: bool = False, **settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    def values(y_pred: Tensor, y_true: Tensor) -> Tensor:
        mean, spread = y_pred.chunk(2, 1)
        return F.gaussian_nll_loss(mean, y_true.view_as(mean).to(mean.dtype),
                                   spread.exp() if log_variance else spread,
                                   reduction="none", **settings)
    return values


def _means_and_variances(*shape: int) -> Tensor:
    return torch.cat([numbers(*shape), numbers(*shape, seed=5).exp()], 1)


def _some_far(*shape: int) -> Tensor:
    """Triplets of which every fourth has its negative far away."""
    y_pred = numbers(*shape)
    y_pred[1::4, 2] += 20
    return y_pred


def _triplets(**settings: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda y_pred, y_true: F.triplet_margin_loss(
        *y_pred.unbind(1), reduction="none", **settings)


def _nll(
    log_p: Tensor, y_true: Tensor, weight: Tensor | None = None
) -> Tensor:
    weight = None if weight is None else weight.to(log_p.dtype)
    return F.nll_loss(log_p, y_true, weight, reduction="none")


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
    LossRow("CrossEntropy against targets that sum to 4", CrossEntropy,
            lambda n: (numbers(n, 5, 2), 1 - _shares(n, 5, 2)), _cross_entropy),
    LossRow("CrossEntropy of probabilities", lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5, 2).softmax(1), _labels(n, 2)),
            lambda p, y_true: _nll(p.log(), y_true)),
    LossRow("CrossEntropy of probabilities against probabilities",
            lambda: CrossEntropy(from_logits=False),
            lambda n: (numbers(n, 5).softmax(1), _shares(n, 5)),
            lambda y_pred, y_true: -(y_true * y_pred.log()).sum(1)),
]

ROWS += [
    LossRow("MAPE", MAPE, lambda n: (numbers(n, 3), _targets(n, 3)), _mape),
    LossRow("MSLE", MSLE, lambda n: (numbers(n, 3).exp(), _targets(n, 3).exp()), _msle),
    LossRow("MSLE of predictions below 0", MSLE,
            lambda n: (numbers(n, 6), _targets(n, 6).exp()), _msle),
    LossRow("Huber", Huber, lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.huber_loss)),
    LossRow("Huber of delta 0.5, images", lambda: Huber(delta=0.5),
            lambda n: (numbers(n, 2, 3, 2), _targets(n, 2, 3, 2)),
            _values(F.huber_loss, delta=0.5)),
    LossRow("SmoothL1", SmoothL1, lambda n: (numbers(n, 1), _targets(n)),
            _values(F.smooth_l1_loss)),
    LossRow("SmoothL1 of beta 0.5", lambda: SmoothL1(beta=0.5),
            lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.smooth_l1_loss, beta=0.5)),
    LossRow("SmoothL1 of beta 0", lambda: SmoothL1(beta=0),
            lambda n: (numbers(n, 3), _targets(n, 3)), _values(F.smooth_l1_loss, beta=0.0)),
    LossRow("LogCosh", LogCosh, lambda n: (numbers(n, 3), _targets(n, 3)), _log_cosh),
    LossRow("BinaryCrossEntropy with smoothed targets",
            lambda: BinaryCrossEntropy(label_smoothing=0.2), lambda n: (numbers(n, 3), _bits(n, 3)),
            lambda y_pred, y_true: _bce_with_logits(y_pred, y_true * 0.8 + 0.1, reduction="none")),
    LossRow("BinaryCrossEntropy with a weight for yes", lambda: BinaryCrossEntropy(pos_weight=3.0),
            lambda n: (numbers(n, 3), _bits(n, 3)),
            _values(_bce_with_logits, pos_weight=torch.tensor(3.0))),
    LossRow("BinaryCrossEntropy with weights for yes by channel, soft targets",
            lambda: BinaryCrossEntropy(pos_weight=[[0.5], [3.0]]),
            lambda n: (numbers(n, 2, 3), _targets(n, 2, 3).sigmoid()),
            _values(_bce_with_logits, pos_weight=torch.tensor([[0.5], [3.0]]))),
    LossRow("BinaryCrossEntropy of probabilities with a weight for yes",
            lambda: BinaryCrossEntropy(from_logits=False, pos_weight=2.0, label_smoothing=0.1),
            lambda n: (numbers(n, 3).sigmoid(), _bits(n, 3)),
            lambda p, y_true: -2 * (y_true * 0.9 + 0.05) * p.log()
            - (0.95 - y_true * 0.9) * (1 - p).log()),
    LossRow("CrossEntropy with class weights", lambda: CrossEntropy(weight=WEIGHT),
            lambda n: (numbers(n, 5, 2), _labels(n, 2)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true, _WEIGHT), _class_weights),
    LossRow("CrossEntropy with ignored samples", lambda: CrossEntropy(ignore_index=IGNORED),
            lambda n: (numbers(n, 5), _some_ignored(n)), _cross_entropy, _counts),
    LossRow("CrossEntropy with class weights and ignored pixels, the last axis",
            lambda: CrossEntropy(axis=-1, weight=WEIGHT, ignore_index=IGNORED),
            lambda n: (numbers(n, 2, 3, 5), _some_ignored(n, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred.movedim(-1, 1), y_true, _WEIGHT),
            _class_weights),
    LossRow("CrossEntropy with smoothed targets", lambda: CrossEntropy(label_smoothing=0.1),
            lambda n: (numbers(n, 5), _labels(n)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true, smoothing=0.1)),
    LossRow("CrossEntropy with smoothed targets, class weights and ignored pixels",
            lambda: CrossEntropy(weight=WEIGHT, ignore_index=IGNORED, label_smoothing=0.3),
            lambda n: (numbers(n, 5, 2, 3), _some_ignored(n, 2, 3)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true, _WEIGHT, 0.3), _class_weights),
    LossRow("CrossEntropy against smoothed probabilities with class weights",
            lambda: CrossEntropy(weight=WEIGHT, label_smoothing=0.3),
            lambda n: (numbers(n, 5, 2), _shares(n, 5, 2)),
            lambda y_pred, y_true: _cross_entropy(y_pred, y_true, _WEIGHT, 0.3)),
    LossRow("CrossEntropy of probabilities with class weights and ignored samples",
            lambda: CrossEntropy(from_logits=False, weight=WEIGHT, ignore_index=IGNORED),
            lambda n: (numbers(n, 5, 2).softmax(1), _some_ignored(n, 2)),
            lambda p, y_true: _nll(p.log(), y_true, _WEIGHT), _class_weights),
    LossRow("NLL", NLL, lambda n: (numbers(n, 5).log_softmax(1), _labels(n)), _nll),
    LossRow("NLL with class weights and ignored samples, the last axis",
            lambda: NLL(axis=-1, weight=WEIGHT, ignore_index=IGNORED),
            lambda n: (numbers(n, 2, 5).log_softmax(-1), _some_ignored(n, 2)),
            lambda y_pred, y_true: _nll(y_pred.mT, y_true, _WEIGHT), _class_weights),
    LossRow("NLL against probabilities", NLL,
            lambda n: (numbers(n, 5).log_softmax(1), _shares(n, 5)),
            lambda y_pred, y_true: -(y_pred * y_true).sum(1)),
    LossRow("KLDivergence", KLDivergence,
            lambda n: (numbers(n, 2, 5).softmax(-1), _shares(n, 2, 5, axis=-1)),
            lambda p, t: _kl()(p.log(), t)),
    LossRow("KLDivergence of log-probabilities on axis 1",
            lambda: KLDivergence(axis=1, log_input=True),
            lambda n: (numbers(n, 5, 2).log_softmax(1), _shares(n, 5, 2)), _kl(1)),
    LossRow("KLDivergence by the batch, between log-probabilities",
            lambda: KLDivergence(log_input=True, log_target=True, reduction="batchmean"),
            lambda n: (numbers(n, 2, 5).log_softmax(-1), _shares(n, 2, 5, axis=-1).log()),
            _kl(log_target=True), lambda y_true: torch.ones(len(y_true))),
    LossRow("Hinge", Hinge, lambda n: (numbers(n, 4), _sign(_targets(n, 4))), _hinge),
    LossRow("Hinge of bits", Hinge, lambda n: (numbers(n, 1) / 4, _bits(n)), _hinge),
    LossRow("SquaredHinge", SquaredHinge, lambda n: (numbers(n, 4), _sign(_targets(n, 4))),
            lambda y_pred, y_true: _hinge(y_pred, y_true) ** 2),
    LossRow("CategoricalHinge", CategoricalHinge, lambda n: (numbers(n, 5), _labels(n)),
            lambda y_pred, y_true: _categorical_hinge(y_pred, F.one_hot(y_true, 5))),
    LossRow("CategoricalHinge against probabilities on the last axis, some beyond the margin",
            lambda: CategoricalHinge(axis=-1),
            lambda n: (3 * numbers(n, 4, 5), _shares(n, 4, 5, axis=-1) ** 3),
            lambda y_pred, y_true: _categorical_hinge(y_pred, y_true, -1)),
    LossRow("CosineSimilarity", CosineSimilarity, lambda n: (numbers(n, 2, 5), _targets(n, 2, 5)),
            lambda y_pred, y_true: -F.cosine_similarity(y_pred, y_true, -1)),
    LossRow("CosineSimilarity along axis 1", lambda: CosineSimilarity(axis=1),
            lambda n: (numbers(n, 5, 2), _targets(n, 5, 2)),
            lambda y_pred, y_true: -F.cosine_similarity(y_pred, y_true, 1)),
    LossRow("Poisson", Poisson, lambda n: (numbers(n, 3).exp(), _labels(n, 3).double()),
            _values(F.poisson_nll_loss, log_input=False, eps=1e-7)),
    LossRow("Poisson of logarithms, full", lambda: Poisson(log_input=True, full=True),
            lambda n: (numbers(n, 1), _labels(n).double()), _values(F.poisson_nll_loss, full=True)),
    LossRow("Poisson with a large eps", lambda: Poisson(eps=0.5),
            lambda n: (numbers(n, 3).exp(), _labels(n, 3).double()),
            _values(F.poisson_nll_loss, log_input=False, eps=0.5)),
    LossRow("GaussianNLL", GaussianNLL, lambda n: (_means_and_variances(n, 3), _targets(n, 3)),
            _gaussian()),
    LossRow("GaussianNLL of images, full", lambda: GaussianNLL(full=True),
            lambda n: (_means_and_variances(n, 2, 3), _targets(n, 2, 3)), _gaussian(full=True)),
    LossRow("GaussianNLL of logarithms of variances", lambda: GaussianNLL(log_variance=True),
            lambda n: (numbers(n, 2), _targets(n)), _gaussian(log_variance=True)),
    LossRow("BinaryFocal", BinaryFocal, lambda n: (numbers(n, 3), _bits(n, 3)), _binary_focal(2.0)),
    LossRow("BinaryFocal with alpha, soft targets", lambda: BinaryFocal(gamma=1.5, alpha=0.25),
            lambda n: (numbers(n, 2, 3), _targets(n, 2, 3).sigmoid()), _binary_focal(1.5, 0.25)),
    LossRow("BinaryFocal of probabilities, smoothed",
            lambda: BinaryFocal(gamma=0.5, alpha=0.75, from_logits=False, label_smoothing=0.2),
            lambda n: (numbers(n, 1).sigmoid(), _bits(n)),
            _binary_focal(0.5, 0.75, 0.2, of=_same)),
    LossRow("Focal", Focal, lambda n: (numbers(n, 5), _labels(n)), _focal(2.0)),
    LossRow("Focal with alpha against probabilities",
            lambda: Focal(gamma=1.5, alpha=[0.1, 0.2, 0.3, 0.4, 0.5], axis=-1),
            lambda n: (numbers(n, 2, 5), _shares(n, 2, 5, axis=-1)),
            _focal(1.5, [0.1, 0.2, 0.3, 0.4, 0.5], axis=-1)),
    LossRow("Focal of probabilities, smoothed, with ignored samples",
            lambda: Focal(gamma=0.5, alpha=0.25, from_logits=False, ignore_index=IGNORED,
                          label_smoothing=0.2),
            lambda n: (numbers(n, 5, 2).softmax(1), _some_ignored(n, 2)),
            _focal(0.5, 0.25, 0.2, of=lambda p, axis: p.log()), _counts),
    LossRow("TripletMargin", TripletMargin,
            lambda n: (numbers(n, 3, 5) / 9, torch.zeros(n)), _triplets()),
    LossRow("TripletMargin with swap, p 3 and some beyond the margin",
            lambda: TripletMargin(margin=5.0, p=3, eps=1e-3, swap=True),
            lambda n: (_some_far(n, 3, 5), torch.zeros(n)),
            _triplets(margin=5.0, p=3.0, eps=1e-3, swap=True)),
    LossRow("TripletMargin with p 1", lambda: TripletMargin(margin=9.0, p=1),
            lambda n: (numbers(n, 3, 5), torch.zeros(n)), _triplets(margin=9.0, p=1.0)),
]

EQUIVALENT = {
    r"\.div_\(\w+\.numel\(\)( // max\([^()]*, 1\))?( or 2)?\)$":
        "where there are no elements it does not matter what they are divided by",
    r"CrossEntropy\.backward: .* \+ .* // max\(dy\.shape\[self\.axis\], 2\) or 1\)$":
        "fewer classes than two are refused",
    r"Hinge\.backward: .* (lack|weighted)(\.sign_\(\))?\.div_\(t\)":
        "a target is 1 or -1, which divide as they multiply",
}
"""Mutants of backward (see test_mutations.py) that compute the same, with the reason."""
