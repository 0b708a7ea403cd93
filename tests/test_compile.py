"""compile: what it keeps, what it refuses without a trace, and a model that has no loss."""

import pytest
import torch

from kerasish import Model
from kerasish.layers import Linear
from kerasish.losses.several import NoLoss
from kerasish.metrics import MAE
from kerasish.optimizers import SGD
from tests.table import numbers

X, Y = numbers(6, 3).float(), numbers(6, 1, seed=1).float()


def compiled(**settings) -> Model:
    model = Model(Linear(1), device="cpu")
    model.compile(**{"optimizer": SGD(0.0), "loss": "mse"} | settings)
    return model


@pytest.mark.parametrize(("given", "says"), [
    ({"weighted_metrics": ["maee"]}, r"got 'maee'. Did you mean 'mae'"),
    ({"weighted_metrics": [MAE]}, r"Write MAE\(...\), an instance"),
    ({"weighted_metrics": 3}, "got 3"),
    ({"weighted_metrics": ["loss"]}, "got 'loss'"),
    ({"steps_per_execution": 0}, r"compile\(steps_per_execution\) expects .* at least 1; got 0"),
    ({"steps_per_execution": 1.5}, r"compile\(steps_per_execution\) expects .*; got 1.5"),
])
def test_bad_arguments_leave_the_model_as_it_was(given: dict, says: str) -> None:
    model = compiled(metrics=["mae"])
    before = model.loss, model.optimizer, model.metrics, model.compile_arguments
    with pytest.raises((TypeError, ValueError), match=says):
        model.compile(**{"optimizer": "adam", "loss": "mae"} | given)
    assert (model.loss, model.optimizer, model.metrics, model.compile_arguments) == before


def test_what_it_was_given_is_kept_as_it_was_given() -> None:
    model, optimizer = compiled(), SGD(0.5)
    model.compile(optimizer, "mse", weighted_metrics=["mae"], steps_per_execution=4)
    assert model.compile_arguments == {
        "optimizer": optimizer, "loss": "mse", "loss_weights": None, "metrics": None,
        "weighted_metrics": ["mae"], "steps_per_execution": 4, "precision": None,
        "jit_compile": False}
    assert model.compile_arguments["optimizer"] is optimizer and model.steps_per_execution == 4


@pytest.mark.parametrize("alias", ["ce", "crossentropy", "cross_entropy",
                                   "sparse_categorical_crossentropy"])
def test_a_crossentropy_is_a_metric_too_under_the_name_it_was_given(alias: str) -> None:
    model = Model(Linear(3), device="cpu")
    model.compile("sgd", alias, metrics=[alias], weighted_metrics=[alias])
    answer = model.evaluate(X, torch.tensor([0, 1, 2, 1, 0, 2]), verbose=0, return_dict=True)
    assert list(answer) == ["loss", alias, f"weighted_{alias}"]
    assert answer[alias] == pytest.approx(answer["loss"], rel=1e-6)


# ---- no loss ------------------------------------------------------------------------------------


class Own(Model):
    """Trains with a loss that it works out itself, and says what the logs are to show."""

    def train_step(self, x, y, sample_weight=None):
        y_pred = self.module.forward(x)
        self.backward(2 * (y_pred - y) / len(y))
        self.step()
        return {"loss": (y_pred - y).square().mean(), "size": y_pred.abs().mean()}


def test_no_loss_is_for_a_class_with_its_own_train_step() -> None:
    model = Own(Linear(1), device="cpu")
    model.compile(SGD(0.1), None)
    assert isinstance(model.loss, NoLoss) and model.metrics_names == ["loss"]
    assert float(model.loss(torch.ones(2, 1), None)) == 0.0
    history = model.fit(X, Y, epochs=3, verbose=0).history
    assert sorted(history) == ["loss", "size"] and history["loss"][-1] < history["loss"][0]
    with pytest.raises(TypeError, match=r"^compile\(loss\) expects a loss to train with; got None. "
                                        r"Write loss='mse'"):
        compiled(loss=None)


@pytest.mark.parametrize("weights", [2, [1.0]], ids=str)
def test_no_loss_has_no_weight(weights) -> None:
    with pytest.raises(ValueError, match=r"^compile\(loss_weights\) expects a loss to weigh; got "):
        Own(Linear(1), device="cpu").compile("sgd", None, loss_weights=weights)


def test_going_back_from_no_loss_says_that_there_is_none() -> None:
    class Plain(Model):
        """Overrides the step, and relies on a loss all the same."""

        def train_step(self, x, y, sample_weight=None):
            return super().train_step(x, y, sample_weight)

    model = Plain(Linear(1), device="cpu")
    model.compile("sgd", None)
    with pytest.raises(RuntimeError, match=r"with loss=None. Give compile a loss, or"):
        model.fit(X, Y, verbose=0)
