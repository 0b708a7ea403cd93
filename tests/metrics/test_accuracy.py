"""What the word "accuracy" means: by the loss, the last module or the targets, or not at all."""

import numpy as np
import pytest
import torch

from kerasish import Model, Sequential
from kerasish.callbacks import EarlyStopping
from kerasish.layers import LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from kerasish.losses import MAE, MSE, BinaryCrossEntropy, CrossEntropy
from kerasish.metrics import BinaryAccuracy, CategoricalAccuracy, Metric, accuracy_for

SIGNS = [[1.0], [-1.0], [1.0], [-1.0]]
BITS = [[1.0], [0.0], [1.0], [0.0]]


def accuracy_of(modules, loss, y, word: str = "accuracy") -> Metric:
    """The metric that a fit makes of the word."""
    model = Model(*modules, device="cpu")
    model.compile(optimizer="sgd", loss=loss, metrics=[word])
    history = model.fit(np.zeros((4, 2)), y, verbose=0)
    assert list(history.history) == ["loss", word]
    return model.metrics[word]


def settings(metric: Metric) -> tuple:
    if isinstance(metric, CategoricalAccuracy):
        return ("categorical", metric.axis)
    assert isinstance(metric, BinaryAccuracy)
    return ("binary", metric.threshold, metric.target_threshold)


@pytest.mark.parametrize(
    ("modules", "loss", "y", "meaning"),
    [
        ([Linear(3)], "cross_entropy", [0, 1, 2, 0], ("categorical", 1)),
        ([Linear(3)], CrossEntropy(axis=-1), [0, 1, 2, 0], ("categorical", -1)),
        ([Linear(3)], "cross_entropy", np.eye(4, 3), ("categorical", 1)),
        ([Linear(3), Tanh()], "cross_entropy", [0, 1, 2, 0], ("categorical", 1)),
        ([Linear(1)], "binary_crossentropy", BITS, ("binary", 0.0, 0.5)),
        ([Linear(1), Sigmoid()], BinaryCrossEntropy(from_logits=False), BITS, ("binary", 0.5, 0.5)),
        ([Linear(1), Tanh()], "mse", SIGNS, ("binary", 0.0, 0.0)),
        ([Linear(1), Tanh()], "mae", SIGNS, ("binary", 0.0, 0.0)),
        ([Linear(1), Tanh()], "mse", [[0.3], [-0.2], [0.1], [0.9]], ("binary", 0.0, 0.0)),
        ([Linear(1), Sigmoid()], "mse", BITS, ("binary", 0.5, 0.5)),
        ([Linear(1), Sigmoid()], "mse", [[0.3], [0.2], [0.1], [0.9]], ("binary", 0.5, 0.5)),
        ([Sequential(Linear(1), Sequential(Tanh()))], "mse", SIGNS, ("binary", 0.0, 0.0)),
        ([Linear(1)], "mse", SIGNS, ("binary", 0.0, 0.0)),
        ([Linear(1)], "mse", BITS, ("binary", 0.5, 0.5)),
        ([Linear(1), ReLU()], "mse", BITS, ("binary", 0.5, 0.5)),
        ([Linear(1), LeakyReLU()], "mae", [1, -1, 1, -1], ("binary", 0.0, 0.0)),
        ([Linear(1)], "mse", [True, False, True, True], ("binary", 0.5, 0.5)),
        ([Linear(2)], "mse", [[0, 1], [1, 0], [1, 1], [0, 0]], ("binary", 0.5, 0.5)),
    ],
    ids=["classes", "classes on another axis", "one-hot", "classes whatever comes last",
         "binary logits", "probabilities", "Tanh", "Tanh and absolute errors",
         "Tanh and any targets", "Sigmoid", "Sigmoid and any targets", "nested Tanh", "signs",
         "bits", "bits after ReLU", "signs as integers", "truth values", "bits of several outputs"],
)  # fmt: skip
@pytest.mark.parametrize("word", ["accuracy", "acc"])
def test_accuracy_means(modules, loss, y, meaning, word: str) -> None:
    assert settings(accuracy_of(modules, loss, y, word)) == meaning


@pytest.mark.parametrize("y", [[[0.1], [0.9], [0.5], [0.3]], [[0.0], [1.0], [2.0], [1.0]],
                               [[-1.0], [0.0], [1.0], [1.0]]], ids=["shares", "counts", "mixed"])
def test_targets_that_do_not_tell_are_refused_with_a_way_out(y) -> None:
    with pytest.raises(ValueError) as caught:
        accuracy_of([Linear(1)], "mse", y)
    message = str(caught.value)
    for part in ("'accuracy'", "MSE()", f"targets from {np.min(y):g} to {np.max(y):g}",
                 "metrics=[BinaryAccuracy(threshold=...)]"):
        assert part in message, message


def test_the_way_out_works() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=[BinaryAccuracy(threshold=0.4)])
    history = model.fit(np.zeros((4, 2)), [[0.1], [0.9], [0.5], [0.3]], verbose=0)
    assert history.history["binary_accuracy"] == [0.5], "of predictions that are all 0"


def test_accuracy_is_decided_by_all_targets_and_not_by_a_batch() -> None:
    y = np.array([[1.0]] * 30 + [[-1.0]] * 2)
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    model.fit(np.zeros((32, 2)), y, batch_size=4, shuffle=False, verbose=0)
    assert settings(model.metrics["accuracy"]) == ("binary", 0.0, 0.0)


def test_accuracy_that_the_targets_decide_is_open_until_they_are_seen() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    assert repr(model.metrics["accuracy"]) == "decided by the targets"
    assert model.metrics_names == ["loss", "accuracy"]
    model.evaluate(np.zeros((4, 2)), BITS, verbose=0)
    assert settings(model.metrics["accuracy"]) == ("binary", 0.5, 0.5)


def test_compiling_again_decides_again() -> None:
    model = Model(Linear(1), device="cpu")
    for y, meaning in ((SIGNS, ("binary", 0.0, 0.0)), (BITS, ("binary", 0.5, 0.5))):
        model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
        model.fit(np.zeros((4, 2)), y, verbose=0)
        assert settings(model.metrics["accuracy"]) == meaning


@pytest.mark.parametrize("loss", [MSE(), MAE()], ids=repr)
@pytest.mark.parametrize("y_range", [None, (0.0, float("inf")), (-float("inf"), float("inf"))])
def test_without_targets_it_may_stay_open(loss, y_range) -> None:
    assert accuracy_for(loss, y_range) is None


def test_accuracy_counts_right_answers_of_binary_logits() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy"])
    model.build((1,))
    model.module.load_state_dict({"weight": torch.ones(1, 1), "bias": torch.zeros(1)})
    x, y = [[-2.0], [-0.1], [0.1], [0.4], [3.0]], [0, 1, 0, 1, 1]
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("word", ["accuracy", "acc"])
def test_accuracy_may_be_monitored_without_saying_which_way_is_up(word: str) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=[word])
    stopper = EarlyStopping(f"val_{word}", patience=3)
    model.fit(np.zeros((4, 2)), BITS, epochs=2, verbose=0, callbacks=stopper,
              validation_data=(np.zeros((4, 2)), BITS))
    assert stopper.best == 0.5
