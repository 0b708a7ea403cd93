"""Losses: objects with a forward and a backward, found by Keras' and torch's names."""

from functools import partial
from typing import Any

from kerasish.losses.binary import BinaryCrossEntropy
from kerasish.losses.crossentropy import NLL, CrossEntropy
from kerasish.losses.distributions import GaussianNLL, Poisson
from kerasish.losses.divergence import KLDivergence
from kerasish.losses.embeddings import CosineSimilarity, TripletMargin
from kerasish.losses.focal import BinaryFocal, Focal
from kerasish.losses.hinges import CategoricalHinge, Hinge, SquaredHinge
from kerasish.losses.loss import Loss, refuse_function
from kerasish.losses.regression import MAE, MAPE, MSE, MSLE
from kerasish.losses.robust import Huber, LogCosh, SmoothL1
from kerasish.registry import Registry

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "NLL",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CategoricalHinge",
    "CosineSimilarity",
    "CrossEntropy",
    "Focal",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "Poisson",
    "SmoothL1",
    "SquaredHinge",
    "TripletMargin",
    "get",
]

_named = Registry(Loss, "compile(loss)", "loss='mse'")
_named.add(MSE, "mean_squared_error", "mse_loss")
_named.add(MAE, "mean_absolute_error", "l1_loss", "l1")
_named.add(MAPE, "mean_absolute_percentage_error")
_named.add(MSLE, "mean_squared_logarithmic_error")
_named.add(Huber, "huber_loss")
_named.add(SmoothL1, "smooth_l1_loss")
_named.add(LogCosh)
_named.add(BinaryCrossEntropy, "bce", "bce_with_logits_loss", "binary_cross_entropy_with_logits")
_named.add_preset(partial(BinaryCrossEntropy, from_logits=False), "bce_loss")
_named.add(CrossEntropy, "ce", "cross_entropy_loss", "categorical_crossentropy",
           "sparse_categorical_crossentropy")
_named.add(NLL, "nll_loss")
_named.add(BinaryFocal, "binary_focal_crossentropy", "sigmoid_focal_loss")
_named.add(Focal, "focal_loss")
_named.add_preset(partial(Focal, alpha=0.25), "categorical_focal_crossentropy")  # Keras' default
_named.add(KLDivergence, "kld", "kullback_leibler_divergence")
_named.add_preset(partial(KLDivergence, log_input=True), "kl_div_loss", "kl_div")
_named.add(Hinge, "hinge_loss")
_named.add(SquaredHinge, "squared_hinge_loss")
_named.add(CategoricalHinge)
_named.add(CosineSimilarity)
_named.add(Poisson)
_named.add_preset(partial(Poisson, log_input=True), "poisson_nll_loss", "poisson_nll")
_named.add(GaussianNLL, "gaussian_nll_loss")
_named.add(TripletMargin, "triplet_margin_loss")


def get(loss: Any) -> Loss:
    """The loss of that name, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or a bare function.

    Example:
        >>> get("mean_squared_error")
        MSE()
    """
    if callable(loss) and not isinstance(loss, Loss | type):
        refuse_function(loss, _named)
    return _named.get(loss)
