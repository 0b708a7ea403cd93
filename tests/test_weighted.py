"""Weights of samples: who sees them, what they are called in logs, and each output's own."""

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.containers import Graph, Input, Parallel
from kerasish.layers import Linear, Sigmoid
from kerasish.losses import MSE
from kerasish.losses.several import NoLoss, OutputLosses, check_weights, weights_of
from kerasish.metrics import MAE, BinaryAccuracy
from kerasish.optimizers import SGD
from tests.table import numbers

EVALUATE = {"verbose": 0, "return_dict": True}


def as_is(**compile_with) -> Model:
    """A model whose predictions are its inputs."""
    model = Model(Linear(1, bias=False), device="cpu")
    model.build((1,))
    model.module.weight.data = torch.ones(1, 1)
    model.compile(**{"optimizer": SGD(0.0), "loss": "mse"} | compile_with)
    return model


def two(**compile_with) -> Model:
    x = Input((2,))
    net = Graph(x, {"a": Linear(1)(x), "b": Linear(3)(x)})
    model = Model(net, device="cpu")
    model.compile(**{"optimizer": SGD(0.1), "loss": "mse"} | compile_with)
    return model


def data(count: int = 6) -> tuple[torch.Tensor, dict]:
    return numbers(count, 2).float(), {"a": numbers(count, 1).float() / 3,
                                       "b": numbers(count, 3).float() / 5}


X, Y, W = [[1.0], [3.0]], [[0.0], [0.0]], [3.0, 1.0]


# ---- metrics and weighted metrics -----------------------------------------------------------


def test_weighted_metrics_see_the_weights_and_metrics_never_do() -> None:
    model = as_is(metrics=["mae", "mse"], weighted_metrics=["mae", "rmse"])
    expected = {"loss": (3 + 9) / 2, "mae": 2.0, "mse": 5.0, "weighted_mae": 1.5,
                "rmse": pytest.approx(3**0.5)}
    answer = model.evaluate(X, Y, sample_weight=W, **EVALUATE)
    assert answer == expected and model.metrics_names == list(answer)
    assert model.evaluate(X, Y, sample_weight=W, verbose=0) == list(expected.values())
    logs = model.fit(X, Y, sample_weight=W, validation_data=(X, Y, np.array(W)), shuffle=False,
                     verbose=0).history
    for name, value in expected.items():
        assert logs[name] == logs[f"val_{name}"] == [value]
    assert model.train_on_batch(X, Y, W, return_dict=True) == expected


def test_without_weights_both_are_the_plain_mean() -> None:
    answer = as_is(metrics="mae", weighted_metrics="mae").evaluate(X, Y, **EVALUATE)
    assert answer == {"loss": pytest.approx(5.0), "mae": 2.0, "weighted_mae": 2.0}


def test_one_object_in_both_places_keeps_two_sums() -> None:
    mae = MAE()
    model = as_is(metrics=[mae], weighted_metrics=[mae])
    answer = model.evaluate(X, Y, sample_weight=W, **EVALUATE)
    assert answer == {"loss": 6.0, "mae": 2.0, "weighted_mae": 1.5}


def test_names_are_unique_however_often_a_metric_is_asked_for() -> None:
    model = as_is(metrics=["mae", "mae"], weighted_metrics=["mae", "mae", "mse"])
    assert model.metrics_names == ["loss", "mae", "mae_1", "weighted_mae", "weighted_mae_1", "mse"]


def test_accuracy_and_losses_by_name_may_be_weighted() -> None:
    model = Model(Linear(1, bias=False), Sigmoid(), device="cpu")
    model.build((1,))
    model.module[0].weight.data = torch.ones(1, 1)
    model.compile(SGD(0.0), "bce_loss", metrics=["accuracy"],
                  weighted_metrics=["accuracy", "bce_loss"])
    answer = model.evaluate([[1.0], [3.0]], [[1.0], [0.0]], sample_weight=W, **EVALUATE)
    assert answer["accuracy"] == 0.5 and answer["weighted_accuracy"] == 0.75
    assert answer["bce_loss"] == pytest.approx(answer["loss"] * 2 / 4, rel=1e-6)


def test_an_accuracy_that_the_targets_decide_may_be_weighted() -> None:
    model = as_is(weighted_metrics=["accuracy"])
    answer = model.evaluate([[1.0], [3.0]], [[1.0], [-1.0]], sample_weight=W, **EVALUATE)
    assert isinstance(model.metrics["accuracy"], BinaryAccuracy) and answer["accuracy"] == 0.75


@pytest.mark.parametrize("alias", ["ce", "crossentropy", "cross_entropy",
                                   "sparse_categorical_crossentropy"])
def test_a_crossentropy_is_a_metric_too_under_the_name_it_was_given(alias: str) -> None:
    model = Model(Linear(3), device="cpu")
    model.compile("sgd", alias, metrics=[alias], weighted_metrics=[alias])
    answer = model.evaluate(numbers(4, 2).float(), torch.tensor([0, 1, 2, 1]), **EVALUATE)
    assert list(answer) == ["loss", alias, f"weighted_{alias}"]
    assert answer[alias] == pytest.approx(answer["loss"], rel=1e-6)


@pytest.mark.parametrize(("given", "says"), [
    ({"weighted_metrics": ["maee"]}, r"got 'maee'. Did you mean 'mae'"),
    ({"weighted_metrics": [MAE]}, r"Write MAE\(...\), an instance"),
    ({"steps_per_execution": 0}, r"compile\(steps_per_execution\) expects .* at least 1; got 0"),
    ({"steps_per_execution": 1.5}, r"compile\(steps_per_execution\) expects .*; got 1.5"),
])
def test_bad_arguments_of_compile_leave_the_model_as_it_was(given: dict, says: str) -> None:
    model = as_is(metrics=["mae"])
    before = model.loss, model.optimizer, model.metrics, model.compile_arguments
    with pytest.raises((TypeError, ValueError), match=says):
        model.compile(**{"optimizer": "adam", "loss": "mae"} | given)
    assert (model.loss, model.optimizer, model.metrics, model.compile_arguments) == before


def test_what_compile_was_given_is_kept_as_it_was_given() -> None:
    model, optimizer = as_is(), SGD(0.5)
    model.compile(optimizer, "mse", weighted_metrics=["mae"], steps_per_execution=4)
    assert model.compile_arguments == {
        "optimizer": optimizer, "loss": "mse", "loss_weights": None, "metrics": None,
        "weighted_metrics": ["mae"], "steps_per_execution": 4}
    assert model.compile_arguments["optimizer"] is optimizer and model.steps_per_execution == 4


# ---- several outputs ------------------------------------------------------------------------


def test_names_of_several_outputs_come_in_one_order() -> None:
    model = two(metrics={"a": "mae", "b": ["mae", "mse"]}, weighted_metrics={"b": ["mae", "rmse"]})
    names = ["loss", "a_loss", "b_loss", "a_mae", "b_mae", "b_mse", "b_weighted_mae", "b_rmse"]
    x, y = data()
    assert model.metrics_names == names == list(model.evaluate(x, y, **EVALUATE))
    assert list(model.fit(x, y, verbose=0).history) == names


@pytest.mark.parametrize("weights", [{"a": [1.0, 2, 0, 0, 1, 0.5], "b": None},
                                     {"a": [1.0, 2, 0, 0, 1, 0.5]}], ids=["None", "left out"])
def test_each_output_may_have_weights_of_its_own(weights: dict) -> None:
    model = two(metrics={"a": "mae", "b": "mae"}, weighted_metrics={"a": "mae", "b": "mae"})
    x, y = data()
    weights = {key: None if value is None else np.array(value) for key, value in weights.items()}
    answer = model.evaluate(x, y, batch_size=4, sample_weight=weights, **EVALUATE)
    plain = model.evaluate(x, y, batch_size=4, **EVALUATE)
    w = torch.tensor([1.0, 2, 0, 0, 1, 0.5])
    error = (torch.tensor(model.predict(x, verbose=0)["a"]) - y["a"]).flatten()
    assert answer["a_loss"] == pytest.approx(float((w * error.square()).mean()), rel=1e-5)
    assert answer["a_weighted_mae"] == pytest.approx(
        float((w * error.abs()).sum() / w.sum()), rel=1e-5)
    assert answer["a_mae"] == plain["a_mae"]
    for name in ("b_loss", "b_mae", "b_weighted_mae"):
        assert answer[name] == plain[name]


def test_weights_in_a_tuple_reach_the_gradients_of_their_output_alone() -> None:
    def moved(weights) -> list[bool]:
        model = Model(Parallel(Linear(1), Linear(1)), device="cpu")
        model.build((2,))
        model.compile(SGD(0.1), ["mse", "mse"])
        before = [part.weight.data.clone() for part in model.module.branches]
        x, _ = data(4)
        model.fit(x, (x[:, :1], x[:, 1:]), sample_weight=weights, verbose=0)
        return [not torch.equal(old, part.weight.data)
                for old, part in zip(before, model.module.branches, strict=True)]

    assert moved((np.zeros(4), None)) == [False, True]
    assert moved((np.ones(4), np.zeros(4))) == [True, False]
    assert moved(np.zeros(4)) == [False, False]


def test_weights_for_all_outputs_are_those_of_each() -> None:
    y_pred = (numbers(4, 3), numbers(4, 2, seed=1))
    y_true, w = (y_pred[0] / 2, y_pred[1] / 3), torch.tensor([0.0, 1.0, 2.0, 0.5])
    losses = OutputLosses((MSE(), MSE()))
    assert torch.equal(losses(y_pred, y_true, w), losses(y_pred, y_true, (w, w)))
    assert not torch.equal(losses(y_pred, y_true, w), losses(y_pred, y_true, (w, None)))
    assert weights_of(1, (w, None)) is None and weights_of("a", {"a": w}) is w


# ---- one weight a sample, whatever the shape ------------------------------------------------


def test_loss_and_weighted_metric_agree_on_sequences_as_long_as_the_batch() -> None:
    model = Model(Linear(2, bias=False), device="cpu")
    model.build((3, 2))
    model.module.weight.data = torch.eye(2)
    model.compile(SGD(0.0), "mse", weighted_metrics=["mse"])
    x, w = torch.zeros(3, 3, 2), torch.tensor([1.0, 0.0, 2.0])
    x[0], x[1], x[2] = 1.0, 7.0, 2.0
    answer = model.evaluate(x, torch.zeros(3, 3, 2), sample_weight=w, **EVALUATE)
    assert answer == {"loss": pytest.approx((1 + 2 * 4) / 3), "mse": pytest.approx((1 + 8) / 3)}


@pytest.mark.parametrize("shape", [(2, 1), (1, 2), (2, 2)])
def test_weights_of_elements_are_refused_before_training(shape: tuple) -> None:
    model = as_is()
    with pytest.raises(ValueError, match=r"sample_weight\) expects one weight a sample, shape "
                                         r"\(2,\); got|expects as many samples"):
        model.fit(X, Y, sample_weight=np.ones(shape), verbose=0)
    assert model.epochs_trained == 0


@pytest.mark.parametrize(("loss", "weights", "says"), [
    (MSE(), torch.ones(3), r"one weight a sample, shape \(2,\); got \(3,\). Weigh samples"),
    (MSE(), torch.ones(2, 1), r"one weight a sample, shape \(2,\); got \(2, 1\)"),
    (MSE(), (torch.ones(2),), r"one array for a model with one output; got \[0\]. Leave"),
    (OutputLosses((MSE(), MSE())), (torch.ones(2),), r"outputs \[0, 1\]; got \[0\]. Write None"),
    (OutputLosses((MSE(), MSE())), {"a": torch.ones(2)}, r"outputs \[0, 1\]; got \['a'\]"),
    (OutputLosses({"a": MSE()}), {"c": torch.ones(2)}, r"outputs \['a'\]; got \['c'\]"),
    (OutputLosses({"a": MSE()}), (torch.ones(2),), r"outputs \['a'\]; got \[0\]"),
    (OutputLosses({"a": MSE()}), {"a": torch.ones(2, 2)}, r"shape \(2,\); got \(2, 2\)"),
])
def test_weights_that_fit_no_output_are_refused(loss, weights, says: str) -> None:
    with pytest.raises(ValueError, match=rf"sample_weight expects .*{says}"):
        check_weights(loss, weights, 2)


def test_fit_checks_the_weights_of_outputs_at_the_door() -> None:
    x, y = data()
    with pytest.raises(ValueError, match=r"outputs \['a', 'b'\]; got \['a', 'z'\]"):
        two().fit(x, y, sample_weight={"a": np.ones(6), "z": np.ones(6)}, verbose=0)


# ---- no loss --------------------------------------------------------------------------------


class Own(Model):
    """A model with a step of its own."""

    def train_step(self, x, y, sample_weight=None):
        return super().train_step(x, y, sample_weight)


def test_no_loss_is_for_a_class_with_a_step_of_its_own() -> None:
    with pytest.raises(TypeError, match=r"compile\(loss\) expects a loss to train with; got None. "
                                        r"Write loss='mse'"):
        Model(Linear(1), device="cpu").compile("sgd", None)
    model = Own(Linear(1), device="cpu")
    model.compile("sgd", None)
    assert isinstance(model.loss, NoLoss) and model.metrics_names == ["loss"]
    assert float(model.loss(torch.ones(2, 1), None)) == 0.0
    with pytest.raises(ValueError, match=r"compile\(loss_weights\) expects a loss to weigh; got 2"):
        model.compile("sgd", None, loss_weights=2)
    with pytest.raises(RuntimeError, match=r"compiled with loss=None. Give compile a loss, or"):
        model.fit(X, Y, verbose=0)
