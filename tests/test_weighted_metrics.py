"""Weights of samples: which numbers they reach, under which names, for one output and several."""

from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.containers import Graph, Input, Parallel
from kerasish.layers import GRU, Identity, Linear, Sigmoid, Tanh
from kerasish.losses import MSE
from kerasish.losses.several import OutputLosses, check_weights, weights_of
from kerasish.metrics import MAE, Metric
from kerasish.optimizers import SGD
from tests.table import numbers

X, Y = numbers(6, 3).float(), numbers(6, 1, seed=1).float()
WEIGHTS = torch.tensor([0.0, 1.0, 2.0, 0.5, 3.0, 1.0])


def one(**settings: Any) -> Model:
    model = Model(Linear(1), device="cpu")
    model.compile(**{"optimizer": SGD(0.0), "loss": "mse"} | settings)
    return model


def error(model: Model) -> torch.Tensor:
    """|y_pred - y| of each sample."""
    return (torch.as_tensor(model.predict(X, verbose=0)) - Y).abs().flatten()


def results(model: Model, *data: Any, **settings: Any) -> dict[str, float]:
    return model.evaluate(*data, **{"verbose": 0, "return_dict": True} | settings)


# ---- one output ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_metrics_never_see_sample_weights_and_weighted_metrics_do(batch_size: int) -> None:
    model = one(metrics=["mae"], weighted_metrics=["mae", "rmse"])
    got = results(model, X, Y, batch_size, sample_weight=WEIGHTS)
    each = error(model)
    rmse = float((each**2 * WEIGHTS).sum() / WEIGHTS.sum()) ** 0.5
    assert got["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert got["mae"] == pytest.approx(float(each.mean()), rel=1e-5)
    weighted = float((each * WEIGHTS).sum() / WEIGHTS.sum())
    assert got["weighted_mae"] == pytest.approx(weighted, rel=1e-5)
    assert got["loss"] == pytest.approx(float((each**2 * WEIGHTS).sum() / 6), rel=1e-5)
    assert model.train_on_batch(X, Y, WEIGHTS, return_dict=True) == pytest.approx(got, rel=1e-5)


def test_without_weights_both_say_the_same() -> None:
    got = results(one(metrics=["mae"], weighted_metrics=["mae"]), X, Y)
    assert got["mae"] == got["weighted_mae"]


def test_fit_weighs_in_training_and_in_validation() -> None:
    model = one(metrics=["mae"], weighted_metrics=["mae"])
    history = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, sample_weight=WEIGHTS,
                        validation_data=(X, Y, WEIGHTS.flip(0))).history
    each = error(model)
    for prefix, weights in (("", WEIGHTS), ("val_", WEIGHTS.flip(0))):
        assert history[f"{prefix}mae"][0] == pytest.approx(float(each.mean()), rel=1e-5)
        assert history[f"{prefix}weighted_mae"][0] == pytest.approx(
            float((each * weights).sum() / weights.sum()), rel=1e-5)


def test_class_weights_reach_weighted_metrics_in_training_alone() -> None:
    y = torch.tensor([0, 1, 0, 1, 1, 0])
    model = Model(Linear(2), device="cpu")
    model.compile(SGD(0.0), "cross_entropy", metrics="accuracy", weighted_metrics="accuracy")
    history = model.fit(X, y, class_weight={0: 3.0}, validation_data=(X, y), verbose=0).history
    right = torch.as_tensor(model.predict(X, verbose=0)).argmax(1) == y
    weights = torch.where(y == 0, 3.0, 1.0)
    assert history["accuracy"][0] == pytest.approx(float(right.float().mean()))
    assert history["weighted_accuracy"][0] == pytest.approx(
        float((right * weights).sum() / weights.sum()))
    assert history["val_weighted_accuracy"] == history["val_accuracy"] == history["accuracy"]


def test_an_accuracy_that_loss_or_targets_decide_may_be_weighted() -> None:
    for last, loss, y in ((Sigmoid(), "bce_loss", [[1.0], [0.0]]),
                          (Identity(), "mse", [[1.0], [-1.0]])):
        model = Model(Linear(1, bias=False), last, device="cpu")
        model.build((1,))
        model.module[0].weight.data = torch.ones(1, 1)
        model.compile(SGD(0.0), loss, metrics=["accuracy"], weighted_metrics=["accuracy", loss])
        got = results(model, [[1.0], [3.0]], y, sample_weight=[3.0, 1.0])
        assert got["accuracy"] == 0.5 and got["weighted_accuracy"] == 0.75
        assert got[loss] == pytest.approx(got["loss"] * 2 / 4, rel=1e-6)


def test_functions_and_metrics_of_ones_own_get_weights_among_the_weighted_alone() -> None:
    class Seen(Metric):
        """Keeps what it was given."""

        def __init__(self) -> None:
            self.reset()

        def reset(self) -> None:
            self.weights: list[Any] = []

        def update(self, y_pred, y_true, sample_weight=None) -> None:
            self.weights.append(sample_weight)

        def result(self) -> float:
            return float(sum(0 if each is None else each.sum() for each in self.weights))

    def gap(y_true, y_pred):
        return (y_true - y_pred)[:, 0]

    got = results(model := one(metrics=[Seen(), gap], weighted_metrics=[Seen(), gap]), X, Y, 4,
                  sample_weight=WEIGHTS)
    assert got["seen"] == 0.0 and got["weighted_seen"] == pytest.approx(7.5)
    gaps = Y.flatten() - torch.as_tensor(model.predict(X, verbose=0)).flatten()
    assert got["gap"] == pytest.approx(float(gaps.mean()), rel=1e-4)
    assert got["weighted_gap"] == pytest.approx(float((gaps * WEIGHTS).sum() / 7.5), rel=1e-4)


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metrics", "weighted", "names"), [
    (["mae"], ["mae"], ["mae", "weighted_mae"]),
    (None, ["mae"], ["mae"]),
    (None, "accuracy", ["accuracy"]),
    ("mae", "mape", ["mae", "mape"]),
    (["mae", "mse"], ["mse", "mape", "mae"], ["mae", "mse", "weighted_mse", "mape",
                                              "weighted_mae"]),
    (["mae"], ["mae", "mae"], ["mae", "weighted_mae", "weighted_mae_1"]),
    (["mae", "mae"], ["mae", "mse"], ["mae", "mae_1", "weighted_mae", "mse"]),
    ("accuracy", "rmse", ["accuracy", "rmse"]),
], ids=str)
def test_names_are_known_after_compile_and_are_those_of_evaluate(metrics, weighted, names) -> None:
    model = Model(Linear(1), Tanh(), device="cpu")
    model.compile(SGD(0.0), "mse", metrics=metrics, weighted_metrics=weighted)
    wanted = ["loss", *names]
    assert model.metrics_names == wanted
    y = Y.sign()
    got = results(model, X, y, sample_weight=WEIGHTS)
    assert list(got) == wanted == model.metrics_names
    assert list(model.fit(X, y, verbose=0, validation_split=0.5).history) == [
        *wanted, *(f"val_{name}" for name in wanted)]
    listed = model.evaluate(X, y, verbose=0, sample_weight=WEIGHTS)
    assert len(listed) == len(wanted), "one value a quantity"
    assert listed == list(results(model, X, y, sample_weight=WEIGHTS).values())


def test_one_object_in_both_lists_keeps_two_sums() -> None:
    metric = MAE()
    got = results(one(metrics=[metric], weighted_metrics=[metric]), X, Y, sample_weight=WEIGHTS)
    assert got["mae"] != got["weighted_mae"]


# ---- several outputs ----------------------------------------------------------------------------


def two(**settings: Any) -> Model:
    x = Input((3,))
    model = Model(Graph(x, {"a": Linear(1)(x), "b": Linear(1)(x)}), device="cpu")
    model.compile(**{"optimizer": SGD(0.0), "loss": "mse"} | settings)
    return model


TARGETS = {"a": Y, "b": -Y}


def test_weights_of_each_output_reach_its_loss_and_its_weighted_metrics() -> None:
    model = two(metrics="mae", weighted_metrics={"a": "mae", "b": ["mae", "mse"]},
                loss_weights={"a": 2.0})
    weights = {"a": WEIGHTS, "b": WEIGHTS.flip(0)}
    got = results(model, X, TARGETS, 4, sample_weight=weights)
    assert list(got) == model.metrics_names == [
        "loss", "a_loss", "b_loss", "a_mae", "b_mae", "a_weighted_mae", "b_weighted_mae", "b_mse"]
    assert list(model.fit(X, TARGETS, verbose=0).history) == list(got)
    predicted = model.predict(X, verbose=0)
    for name, w in weights.items():
        each = (torch.as_tensor(predicted[name]) - TARGETS[name]).abs().flatten()
        assert got[f"{name}_mae"] == pytest.approx(float(each.mean()), rel=1e-5)
        assert got[f"{name}_weighted_mae"] == pytest.approx(float((each * w).sum() / 7.5), rel=1e-5)
        assert got[f"{name}_loss"] == pytest.approx(float((each**2 * w).sum() / 6), rel=1e-5)
    assert got["loss"] == pytest.approx(2 * got["a_loss"] + got["b_loss"], rel=1e-5)


@pytest.mark.parametrize("weights", [{"a": WEIGHTS}, {"a": WEIGHTS, "b": None}], ids=str)
def test_an_output_without_weights_counts_each_sample_once(weights: Any) -> None:
    model = two(weighted_metrics="mae")
    got = results(model, X, TARGETS, sample_weight=weights)
    alone = results(model, X, TARGETS)
    assert (got["b_mae"], got["b_loss"]) == (alone["b_mae"], alone["b_loss"])
    assert got["a_mae"] != alone["a_mae"] and got["a_loss"] != alone["a_loss"]


def test_one_weight_a_sample_serves_all_outputs() -> None:
    model = two(weighted_metrics="mae")
    both = results(model, X, TARGETS, sample_weight=WEIGHTS)
    each = results(model, X, TARGETS, sample_weight={"a": WEIGHTS, "b": WEIGHTS})
    assert both == each


@pytest.mark.parametrize(("weights", "trained"), [
    ((torch.zeros(6), WEIGHTS), [False, True]), ((torch.zeros(6), None), [False, True]),
    ((WEIGHTS, torch.zeros(6)), [True, False]), (torch.zeros(6), [False, False]),
], ids=["the second", "no weights for it", "the first", "none"])
def test_weights_in_a_tuple_go_by_place_and_train(weights: Any, trained: list[bool]) -> None:
    model = Model(Parallel(Linear(1), Linear(1)), device="cpu")
    model.compile(SGD(0.1), "mse", weighted_metrics="mae")
    model.build((3,))
    before = [tensor.clone() for tensor in model.weights]
    model.fit(X, (Y, -Y), sample_weight=weights, verbose=0)
    changed = [not torch.equal(*pair) for pair in zip(before, model.weights, strict=True)]
    assert changed[::2] == changed[1::2] == trained, "no weight, no step"


def test_weights_for_all_outputs_are_those_of_each() -> None:
    y_pred, w = (numbers(6, 3), numbers(6, 2, seed=1)), WEIGHTS.double()
    y_true, losses = (y_pred[0] / 2, y_pred[1] / 3), OutputLosses((MSE(), MSE()))
    assert torch.equal(losses(y_pred, y_true, w), losses(y_pred, y_true, (w, w)))
    assert not torch.equal(losses(y_pred, y_true, w), losses(y_pred, y_true, (w, None)))
    assert weights_of(1, (w, None)) is None and weights_of("a", {"a": w}) is w


@pytest.mark.parametrize(("weights", "message"), [
    ({"a": WEIGHTS, "c": WEIGHTS}, r"one array, or one for each of the outputs \['a', 'b'\]; "
                                   r"got \['a', 'c'\]\. Write None"),
    ((WEIGHTS, WEIGHTS), r"for each of the outputs \['a', 'b'\]; got \[0, 1\]\. Write None"),
    ({"a": WEIGHTS[:, None]}, "expects one weight a sample"),
    ({"a": WEIGHTS[:5]}, "as many samples in all arrays; got 6 in x and 5 in sample_weight"),
])
def test_weights_that_do_not_fit_the_outputs_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two().fit(X, TARGETS, sample_weight=weights, verbose=0)


def test_weights_by_output_need_several_outputs() -> None:
    with pytest.raises(ValueError, match=r"one array for a model with one output; got \['a'\]"):
        one().fit(X, Y, sample_weight={"a": WEIGHTS}, verbose=0)


def test_quick_metrics_of_one_output_of_several_are_summed_over_short_batches() -> None:
    model = Model(Parallel(Linear(1), Tanh()), device="cpu")
    model.compile(SGD(0.0), ["mse", None], metrics=[["mae", "mse"], None],
                  weighted_metrics=["mae", None])
    got = results(model, X, (Y, X), 4, sample_weight=WEIGHTS)
    assert list(got) == model.metrics_names
    each = (torch.as_tensor(model.predict(X, verbose=0)[0]) - Y).abs().flatten()
    assert got["output_0_mae"] == pytest.approx(float(each.mean()), rel=1e-5)
    assert got["output_0_mse"] == pytest.approx(float((each**2).mean()), rel=1e-5)
    assert got["output_0_weighted_mae"] == pytest.approx(
        float((each * WEIGHTS).sum() / 7.5), rel=1e-5)


def test_one_quick_metric_takes_predictions_in_a_tuple() -> None:
    class First(MAE):
        """The error of the first output, told so by a class that runs in the step."""

        runs_in_step = True

        def update(self, y_pred, y_true, sample_weight=None) -> None:
            super().update(y_pred[0], y_true[0], sample_weight)

        def check_shapes(self, y_pred, y_true) -> None:
            pass

    class Own(Model):
        """Has a loss of its own."""

        def train_step(self, x, y, sample_weight=None):
            y_pred = self.module.forward(x)
            self.backward(tuple(2 * (p - t) / p.numel() for p, t in zip(y_pred, y, strict=True)))
            self.step()
            return (y_pred[0] - y[0]).square().mean(), y_pred

    model = Own(Parallel(Linear(1), Linear(1)), device="cpu")
    model.compile(SGD(0.0), None, metrics=[First()])
    history = model.fit(X, (Y, Y), batch_size=4, verbose=0, shuffle=False).history
    each = (torch.as_tensor(model.predict(X, verbose=0)[0]) - Y).abs()
    assert history["first"][0] == pytest.approx(float(each.mean()), rel=1e-5)


# ---- time steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 6], ids=["N != T", "N == T"])
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_weights_belong_to_samples_also_where_there_are_as_many_steps(steps: int, loss) -> None:
    x, y = numbers(6, steps, 2).float(), numbers(6, steps, 3, seed=1).float()
    model = Model(GRU(3, return_sequences=True), device="cpu")
    model.compile(SGD(0.0), loss, metrics=["mae"], weighted_metrics=[loss, "mae"])
    got = results(model, x, y, sample_weight=WEIGHTS)
    each = (torch.as_tensor(model.predict(x, verbose=0)) - y).abs()
    each = each**2 if loss == "mse" else each
    a_sample = each.mean((1, 2))
    assert got["loss"] == pytest.approx(float((a_sample * WEIGHTS).mean()), rel=1e-5)
    weighted = got["mse" if loss == "mse" else "weighted_mae"]
    assert weighted == pytest.approx(float((a_sample * WEIGHTS).sum() / 7.5), rel=1e-5)
    assert got["loss"] * 6 == pytest.approx(weighted * 7.5, rel=1e-5), "they agree"


# ---- weights that fit nothing -------------------------------------------------------------------


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


@pytest.mark.parametrize("shape", [(6, 1), (1, 6), (6, 6)])
def test_weights_of_elements_are_refused_before_training(shape: tuple[int, ...]) -> None:
    model = one()
    with pytest.raises(ValueError, match=r"sample_weight\) expects one weight a sample, shape "
                                         r"\(6,\); got|expects as many samples"):
        model.fit(X, Y, sample_weight=np.ones(shape), verbose=0)
    assert model.epochs_trained == 0


def test_a_weight_for_each_step_is_refused() -> None:
    model = Model(GRU(3, return_sequences=True), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expects one weight a sample"):
        model.fit(numbers(6, 4, 2), numbers(6, 4, 3), sample_weight=np.ones((6, 4)), verbose=0)
