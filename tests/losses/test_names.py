"""Every string that users of Keras and of torch type finds its loss."""

import pytest

from kerasish import losses
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
    Loss,
    Poisson,
    SmoothL1,
    SquaredHinge,
    TripletMargin,
)

KERAS = {
    "mean_squared_error MeanSquaredError mse MSE": MSE(),
    "mean_absolute_error MeanAbsoluteError mae MAE": MAE(),
    "mean_absolute_percentage_error MeanAbsolutePercentageError mape MAPE": MAPE(),
    "mean_squared_logarithmic_error MeanSquaredLogarithmicError msle MSLE": MSLE(),
    "huber Huber": Huber(),
    "log_cosh logcosh LogCosh": LogCosh(),
    "categorical_crossentropy CategoricalCrossentropy sparse_categorical_crossentropy "
    "SparseCategoricalCrossentropy": CrossEntropy(),
    "binary_crossentropy BinaryCrossentropy": BinaryCrossEntropy(),
    "binary_focal_crossentropy BinaryFocalCrossentropy": BinaryFocal(),
    "categorical_focal_crossentropy CategoricalFocalCrossentropy": Focal(alpha=0.25),
    "kl_divergence KLDivergence kld KLD kullback_leibler_divergence": KLDivergence(),
    "hinge Hinge": Hinge(),
    "squared_hinge SquaredHinge": SquaredHinge(),
    "categorical_hinge CategoricalHinge": CategoricalHinge(),
    "cosine_similarity CosineSimilarity": CosineSimilarity(),
    "poisson Poisson": Poisson(),
}
TORCH = {
    "MSELoss mse_loss": MSE(),
    "L1Loss l1_loss": MAE(),
    "SmoothL1Loss smooth_l1_loss": SmoothL1(),
    "HuberLoss huber_loss": Huber(),
    "CrossEntropyLoss cross_entropy": CrossEntropy(),
    "BCEWithLogitsLoss binary_cross_entropy_with_logits": BinaryCrossEntropy(),
    "BCELoss": BinaryCrossEntropy(from_logits=False),
    "NLLLoss nll_loss": NLL(),
    "KLDivLoss kl_div": KLDivergence(log_input=True),
    "PoissonNLLLoss poisson_nll_loss": Poisson(log_input=True),
    "GaussianNLLLoss gaussian_nll_loss": GaussianNLL(),
    "TripletMarginLoss triplet_margin_loss": TripletMargin(),
    "sigmoid_focal_loss": BinaryFocal(),
}
OWN = {"bce": BinaryCrossEntropy(), "ce": CrossEntropy(), "focal": Focal(), "nll": NLL(),
       "binary focal": BinaryFocal(), "smooth_l1": SmoothL1(), "triplet_margin": TripletMargin(),
       "gaussian_nll": GaussianNLL(), "binary_cross_entropy": BinaryCrossEntropy()}
NAMES = [(name, loss) for known in (KERAS, TORCH) for names, loss in known.items()
         for name in names.split()] + list(OWN.items())


@pytest.mark.parametrize(("name", "loss"), NAMES, ids=[name for name, _ in NAMES])
def test_a_name_means(name: str, loss: Loss) -> None:
    for written in (name, name.upper(), name.replace("_", " ")):
        found = losses.get(written)
        assert type(found) is type(loss) and found.get_config() == loss.get_config()
        assert repr(found) == repr(loss)


def test_each_name_makes_a_loss_of_its_own() -> None:
    assert losses.get("BCELoss") is not losses.get("BCELoss")


@pytest.mark.parametrize(("name", "meant"), [
    ("BCEWithLogitLoss", "bce_with_logits_loss"), ("hubber", "huber"), ("poison", "poisson"),
    ("kl_divergance", "kl_divergence"), ("HingeEmbeddingLoss", "hinge"),
])
def test_a_name_that_is_not_known_brings_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"compile\(loss\) expects .* got '{name}'.*'{meant}"):
        losses.get(name)
