"""Which names compile understands for metrics, and under which names they are logged."""

import functools

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.layers import Linear, Tanh
from kerasish.metrics import (
    MAE,
    MSE,
    BinaryAccuracy,
    CategoricalAccuracy,
    FunctionMetric,
    Metric,
    get,
)
from kerasish.metrics.named import _free_names
from kerasish.optimizers import SGD

X = [[0.0], [1.0], [2.0], [3.0]]
Y = [[1.0], [-1.0], [1.0], [1.0]]


def logged(metrics) -> dict[str, float]:
    """What one epoch logs besides the loss."""
    model = Model(Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse", metrics=metrics)
    history = model.fit(X, Y, verbose=0, seed=0).history
    logs = {name: value for name, (value,) in history.items()}
    assert list(logs) == model.metrics_names, "names are known once the model is compiled"
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(logs)
    del logs["loss"]
    return logs


def f1(y_true, y_pred):
    return (y_true - y_pred).abs()


def other(y_true, y_pred):
    return torch.full((len(y_true),), 7.0)


def named(name: str):
    function = functools.partial(other)
    function.__name__ = name
    return function


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mse", MSE), ("MSE", MSE), ("mean_squared_error", MSE), ("mae", MAE), ("MAE", MAE),
     ("mean_absolute_error", MAE), ("MeanAbsoluteError", MAE), ("binary_accuracy", BinaryAccuracy),
     ("BinaryAccuracy", BinaryAccuracy), ("categorical_accuracy", CategoricalAccuracy),
     ("sparse_categorical_accuracy", CategoricalAccuracy)],
)  # fmt: skip
def test_keras_names_are_understood_and_logged_as_they_were_written(name: str, kind: type) -> None:
    assert type(get(name)) is kind and get(name).name == name


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (None, []),
        ([], []),
        ("mae", ["mae"]),
        (["mae", "accuracy"], ["mae", "accuracy"]),
        (("accuracy", "mae"), ["accuracy", "mae"]),
        (MAE(), ["mae"]),
        ([BinaryAccuracy(0.0)], ["binary_accuracy"]),
        (f1, ["f1"]),
        ([FunctionMetric(f1)], ["f1"]),
    ],
    ids=["None", "no metrics", "a name alone", "names", "a tuple", "a metric alone", "a metric",
         "a function alone", "a function wrapped"],
)
def test_metrics_are_logged_in_order_under_their_names(metrics, names: list[str]) -> None:
    assert list(logged(metrics)) == names


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (["mae", "mae"], ["mae", "mae_1"]),
        (["mae", "mae", "mae", "mse", "mse"], ["mae", "mae_1", "mae_2", "mse", "mse_1"]),
        ([f1, named("f1")], ["f1", "f1_1"]),
        (["mae", "mae", named("mae_1")], ["mae", "mae_1", "mae_1_1"]),
        ([named("mae_1"), "mae", "mae"], ["mae_1", "mae", "mae_2"]),
        ([named("loss")], ["loss_1"]),
        ([named("a_"), named("a_")], ["a_", "a__1"]),
        (["accuracy", "accuracy"], ["accuracy", "accuracy_1"]),
    ],
    ids=["twice", "often", "names with digits", "a name like a repeated one",
         "the same the other way", "a metric called loss", "a name that ends in _",
         "accuracy twice"],
)  # fmt: skip
def test_a_name_that_is_taken_gets_a_number_and_no_metric_is_lost(metrics, names) -> None:
    assert list(logged(metrics)) == names


def test_each_of_two_metrics_of_one_name_keeps_its_own_value() -> None:
    logs = logged([f1, named("f1"), named("loss")])
    assert logs["f1"] != 7.0 and logs["f1_1"] == logs["loss_1"] == 7.0


def test_one_metric_given_twice_counts_once() -> None:
    metric = MAE()
    logs = logged([metric, metric])
    assert logs["mae"] == logs["mae_1"] == pytest.approx(logged("mae")["mae"])


def test_a_metric_may_be_named() -> None:
    metric = MAE()
    metric.name = "error"
    assert list(logged([metric, MAE()])) == ["error", "mae"]


def test_a_function_takes_targets_first_as_in_keras_and_scikit_learn() -> None:
    seen = []

    def difference(y_true, y_pred):
        seen.append((y_true.clone(), y_pred.clone()))
        return y_true - y_pred

    model = Model(Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse", metrics=[difference])
    answer = model.evaluate(X, Y, batch_size=3, verbose=0, return_dict=True)
    prediction = model.predict(X, verbose=0)
    assert answer["difference"] == pytest.approx(float(np.mean(Y - prediction)), rel=1e-5, abs=1e-6)
    assert [len(y_true) for y_true, _ in seen] == [3, 1]
    assert torch.cat([y_true for y_true, _ in seen]).tolist() == Y


@pytest.mark.parametrize(
    ("give", "expected"),
    [
        (lambda y_true, y_pred: 0.5 * len(y_true), (3 * 1.5 + 1 * 0.5) / 4),
        (lambda y_true, y_pred: torch.tensor(float(len(y_true))), (3 * 3 + 1 * 1) / 4),
        (lambda y_true, y_pred: np.float32(len(y_true)), (3 * 3 + 1 * 1) / 4),
        (lambda y_true, y_pred: len(y_true), (3 * 3 + 1 * 1) / 4),
        (lambda y_true, y_pred: y_true[:, 0], 0.5),
        (lambda y_true, y_pred: y_true.numpy(), 0.5),
        (lambda y_true, y_pred: y_true > 0, 0.75),
    ],
    ids=["a float", "a tensor", "a numpy number", "an integer", "a value a sample", "an array",
         "truth values"],
)
def test_functions_may_give_a_number_or_a_value_a_sample(give, expected: float) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=[give])
    answer = model.evaluate(X, Y, batch_size=3, verbose=0)
    assert answer[1] == pytest.approx(expected)


def test_a_metric_of_the_users_own_may_keep_what_it_likes() -> None:
    class Largest(Metric):
        """Makes its tensors when it needs them, and knows nothing of how it is run."""

        def reset(self) -> None:
            if hasattr(self, "most"):
                self.most.fill_(-float("inf"))

        def update(self, y_pred, y_true, sample_weight=None) -> None:
            if not hasattr(self, "most"):
                self.most = torch.full((), -float("inf"))
            self.most.copy_(torch.maximum(self.most, (y_pred - y_true).abs().amax()))

        def result(self) -> float:
            return float(self.most)

    model = Model(Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse", metrics=[Largest()])
    history = model.fit(X, Y, batch_size=1, epochs=3, verbose=0, validation_data=(X, Y))
    largest = float(np.abs(model.predict(X, verbose=0) - Y).max())
    assert history.history["largest"] == pytest.approx([largest] * 3)
    assert history.history["val_largest"] == pytest.approx([largest] * 3)


def test_a_metric_is_shared_by_no_two_passes() -> None:
    metric = MAE()
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer=SGD(0.0), loss="mse", metrics=[metric])
    alone = model.evaluate(X, Y, verbose=0)[1]
    history = model.fit(X[:2], Y[:2], epochs=2, verbose=0, validation_data=(X, Y))
    assert history.history["val_mae"] == pytest.approx([alone] * 2)


def test_many_metrics_of_one_name_take_no_more_time_each() -> None:
    looked_up = 0

    class Name(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal looked_up
            looked_up += 1
            return super().__hash__()

    mean = MAE()
    for count in (200, 400):
        looked_up = 0
        found = _free_names([(Name("mae"), mean)] * count, ["loss"])
        assert list(found)[-1] == f"mae_{count - 1}" and looked_up <= 5 * count


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_more_metrics_than_anybody_can_look_at_are_refused(argument: str) -> None:
    model = Model(Linear(1), device="cpu")
    with pytest.raises(ValueError, match=rf"compile\({argument}\) expects at most 1,000 metrics; "
                                         "got 1,001. Choose those"):
        model.compile("sgd", "mse", **{argument: ["mae"] * 1001})
    assert not model.compiled
    model.compile("sgd", "mse", **{argument: ["mae"] * 1000})
    assert len(model.metrics) == 1000
