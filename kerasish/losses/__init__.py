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
    "named",
]

named = Registry(Loss, "compile(loss)", "loss='mse'")
"""Every name that stands for a loss."""

named.add(MSE, "mean_squared_error", "mse_loss")
named.add(MAE, "mean_absolute_error", "l1_loss", "l1")
named.add(MAPE, "mean_absolute_percentage_error")
named.add(MSLE, "mean_squared_logarithmic_error")
named.add(Huber, "huber_loss")
named.add(SmoothL1, "smooth_l1_loss")
named.add(LogCosh)
named.add(BinaryCrossEntropy, "bce", "bce_with_logits_loss", "binary_cross_entropy_with_logits")
named.add_preset(partial(BinaryCrossEntropy, from_logits=False), "bce_loss")
named.add(CrossEntropy, "ce", "cross_entropy_loss", "categorical_crossentropy",
          "sparse_categorical_crossentropy")
named.add(NLL, "nll_loss")
named.add(BinaryFocal, "binary_focal_crossentropy", "sigmoid_focal_loss")
named.add(Focal, "focal_loss")
named.add_preset(partial(Focal, alpha=0.25), "categorical_focal_crossentropy")  # Keras' default
named.add(KLDivergence, "kld", "kullback_leibler_divergence")
named.add_preset(partial(KLDivergence, log_input=True), "kl_div_loss", "kl_div")
named.add(Hinge, "hinge_loss")
named.add(SquaredHinge, "squared_hinge_loss")
named.add(CategoricalHinge)
named.add(CosineSimilarity)
named.add(Poisson)
named.add_preset(partial(Poisson, log_input=True), "poisson_nll_loss", "poisson_nll")
named.add(GaussianNLL, "gaussian_nll_loss")
named.add(TripletMargin, "triplet_margin_loss")


def get(loss: Any) -> Loss:
    """The loss of that name, or the instance itself.

    Raises: ValueError with the nearest names; TypeError for a class or a bare function.

    Example:
        >>> get("mean_squared_error")
        MSE()
    """
    if callable(loss) and not isinstance(loss, Loss | type):
        refuse_function(loss, named)
    return named.get(loss)
