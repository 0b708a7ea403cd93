"""Curves of precision against recall: beside scikit-learn's, and where there are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_curve
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve.metadata import parse_plugin_metadata
from tensorboard.util.tensor_util import make_ndarray

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.curves import Curves
from kerasish.containers import Graph, Input
from kerasish.layers import Conv2d, Dropout, Linear, Sigmoid, Softmax, Tanh
from kerasish.losses import CrossEntropy
from tests.callbacks.pages import events, same, state_of, tags, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(60, 2, generator=GENERATOR)
NOISY = X.sum(1) + torch.randn(60, generator=GENERATOR)
YES = (NOISY > 0).float()
CLASSES = torch.bucketize(NOISY, torch.tensor([-1.0, 1.0]))
THRESHOLDS = np.linspace(0, 1, 201)


def fit(*callbacks: Callback, layers=None, loss="binary_cross_entropy", y=YES, x=X, cls=Model,
        **arguments) -> Model:
    model = cls(*(layers or (Linear(3), Tanh(), Dropout(0.5), Linear(1))), device="cpu")
    model.compile("adam", loss)
    options = {"batch_size": 16, "epochs": 2, "verbose": 0, "seed": 1,
               "validation_data": (x, y)} | arguments
    model.fit(x, y, callbacks=list(callbacks), **options)
    return model


def curves(folder: Path) -> dict[tuple[str, int], np.ndarray]:
    return {(value.tag, step): make_ndarray(value.tensor)
            for step, value in events(folder / "validation")
            if value.metadata.plugin_data.plugin_name == "pr_curves"}


def require_equal(shown: np.ndarray, yes: np.ndarray, p: np.ndarray) -> None:
    """All six rows at every threshold are what scikit-learn says; of nothing, 0."""
    precision, recall, thresholds = precision_recall_curve(yes, p)
    places = np.searchsorted(thresholds, THRESHOLDS)
    precision[-1] = 0.0
    assert shown.shape == (6, 201)
    assert shown[4] == pytest.approx(precision[places]) and shown[5] == pytest.approx(
        recall[places])
    said = p >= THRESHOLDS[:, None]
    counts = [said & yes, said & ~yes, ~said & ~yes, ~said & yes]
    assert shown[:4].tolist() == [each.sum(1).tolist() for each in counts]


def test_a_yes_or_no_has_the_curve_of_scikit_learn(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Curves()))
    found = curves(tmp_path)
    assert list(found) == [("pr_curve", 0), ("pr_curve", 1)]
    p = torch.from_numpy(model.predict(X, verbose=0)).double().sigmoid().flatten().numpy()
    require_equal(found["pr_curve", 1], YES.numpy() > 0, p)


@pytest.mark.parametrize("targets", ["indices", "probabilities"])
def test_classes_have_a_curve_each_against_the_rest(targets, tmp_path: Path) -> None:
    y = CLASSES if targets == "indices" else torch.nn.functional.one_hot(CLASSES).float()
    model = fit(*with_files(tmp_path, Curves()), layers=(Linear(3),), loss="cross_entropy", y=y)
    logits = torch.from_numpy(model.predict(X, verbose=0)).double()
    found = curves(tmp_path)
    assert len(found) == 6
    for number in range(3):
        require_equal(found[f"pr_curve/{number}", 1], (CLASSES == number).numpy(),
                      logits.softmax(1)[:, number].numpy())


def test_several_labels_have_a_curve_each(tmp_path: Path) -> None:
    y = torch.stack([YES, 1 - YES, X[:, 0] > 0], 1).float()
    model = fit(*with_files(tmp_path, Curves()), layers=(Linear(3),), y=y)
    p = torch.from_numpy(model.predict(X, verbose=0)).double().sigmoid().numpy()
    for number in range(3):
        require_equal(curves(tmp_path)[f"pr_curve/{number}", 1], y[:, number].numpy() > 0,
                      p[:, number])


def test_the_classes_of_every_place_count(tmp_path: Path) -> None:
    x = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    y[0] = -1  # no class
    model = fit(*with_files(tmp_path, Curves()), layers=(Conv2d(2, kernel_size=1),), x=x, y=y,
                loss=CrossEntropy(ignore_index=-1))
    p = torch.from_numpy(model.predict(x, verbose=0)).double().softmax(1)[1:, 1].flatten().numpy()
    require_equal(curves(tmp_path)["pr_curve/1", 1], (y[1:] == 1).flatten().numpy(), p)


def test_images_may_differ_in_size_from_batch_to_batch(tmp_path: Path) -> None:
    batches = [(x, (x[:, 0] > 0).long()) for x in (
        torch.randn(4, 1, size, size, generator=GENERATOR) for size in (3, 2, 2, 4))]
    model = fit(*with_files(tmp_path, Curves()), layers=(Conv2d(2, kernel_size=1),), x=batches,
                y=None, loss="cross_entropy", validation_data=batches, batch_size=None)
    p = [torch.from_numpy(model.predict(x, verbose=0)).double().softmax(1)[:, 1].flatten()
         for x, _ in batches]
    require_equal(curves(tmp_path)["pr_curve/1", 1],
                  torch.cat([y.flatten() for _, y in batches]).numpy() == 1, torch.cat(p).numpy())


class Reuses(Linear):
    """Writes each output over the one before."""

    memory: torch.Tensor | None = None

    def forward(self, x):
        y = super().forward(x)
        if self.memory is None or len(self.memory) < len(y):
            self.memory = y.clone()
        return self.memory[: len(y)].copy_(y)


def test_predictions_that_are_overwritten_were_looked_at_before(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Curves()), layers=(Reuses(1),), validation_batch_size=10)
    p = torch.from_numpy(model.predict(X, 60, verbose=0)).double().sigmoid().flatten().numpy()
    require_equal(curves(tmp_path)["pr_curve", 1], YES.numpy() > 0, p)


@pytest.mark.parametrize("block", [1, 40, 10**9])
def test_batches_taken_in_together_count_as_they_do_alone(block, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("kerasish.callbacks.tensorboard.validation._BLOCK", block)
    model = fit(*with_files(tmp_path, Curves()))
    p = torch.from_numpy(model.predict(X, verbose=0)).double().sigmoid().flatten().numpy()
    require_equal(curves(tmp_path)["pr_curve", 1], YES.numpy() > 0, p)


@pytest.mark.parametrize(("ending", "y"), [(Tanh, 2 * YES - 1), (Sigmoid, YES)])
def test_outputs_within_bounds_are_probabilities_whatever_the_loss(ending, y, tmp_path) -> None:
    model = fit(*with_files(tmp_path, Curves()), layers=(Linear(1), ending()), loss="mse", y=y)
    p = model.predict(X, verbose=0).flatten()
    p = (p + 1) / 2 if ending is Tanh else p
    require_equal(curves(tmp_path)["pr_curve", 1], YES.numpy() > 0, p)


def test_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    model = fit(*with_files(tmp_path, Curves()), layers=(Linear(3), Softmax(1)), y=CLASSES,
                loss=CrossEntropy(from_logits=False))
    require_equal(curves(tmp_path)["pr_curve/2", 1], (CLASSES == 2).numpy(),
                  model.predict(X, verbose=0)[:, 2])


def test_nan_is_yes_at_no_threshold_but_0(tmp_path: Path) -> None:
    x = X.clone()
    x[:20] = torch.nan
    fit(*with_files(tmp_path, Curves()), validation_data=(x, YES))
    shown = curves(tmp_path)["pr_curve", 1]
    assert shown[:2, 0].sum() == 60 and shown[:2, 1:].sum(0).max() <= 40


def test_tensorboard_finds_them_as_curves(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Curves()))
    accumulator = EventAccumulator(str(tmp_path / "validation"))
    accumulator.Reload()
    content = accumulator.PluginTagToContent("pr_curves")
    assert parse_plugin_metadata(content["pr_curve"]).num_thresholds == 201


def test_each_validation_has_its_curve(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Curves()), epochs=5, validation_freq=2)
    assert tags(tmp_path / "validation") == {"pr_curve": [1, 3]}


def test_counts_are_read_once_an_epoch(tmp_path: Path, monkeypatch) -> None:
    reads = []
    for name in ("cpu", "item", "tolist", "__float__", "__bool__", "__int__"):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name,
                            lambda self, name=name, real=real: reads.append(name) or real(self))
    page = Curves()
    callbacks = with_files(tmp_path, page)
    page.take = lambda *given: (reads.clear(), Curves.take(page, *given), taken.append(len(reads)))
    show, taken = page.show, []
    page.show = lambda: (reads.clear(), show(), shown.append(list(reads)))
    shown: list = []
    fit(*callbacks)
    assert taken == [0] * 2 and shown == [["cpu"]] * 2


# ---- where there are none ------------------------------------------------------------------------


class Answers(Model):
    def test_step(self, x, y, sample_weight=None):
        return {"loss": self.objective(self.module.forward(x), y)}


def two_outputs() -> Graph:
    x = Input((2,))
    return Graph(x, (Linear(1)(x), Linear(1)(x)))


MANY = {"layers": (Linear(21),), "loss": "cross_entropy", "y": CLASSES}


@pytest.mark.parametrize(("arguments", "why"), [
    ({"validation_data": None}, "fit was given no validation data"),
    ({"loss": "mse"}, "MSE() is no loss of classes"),
    ({"loss": "mse", "layers": (Linear(2), Sigmoid()), "y": X.sigmoid()},
     "MSE() is no loss of classes"),
    ({"loss": "hinge", "y": 2 * YES - 1}, "Hinge() is no loss of classes"),
    (MANY, "the model tells 21 classes apart, more than 20, which would be as many curves"),
    ({"layers": (two_outputs(),), "y": (YES, YES)}, "the model has several outputs"),
    ({"cls": Answers}, "test_step answers no predictions for these targets"),
], ids=["no validation", "regression", "shares", "hinge", "many classes", "outputs", "own step"])
def test_it_says_once_why_there_are_none(arguments, why, tmp_path: Path, capsys) -> None:
    fit(*with_files(tmp_path, Curves()), **arguments)
    said = [line for line in capsys.readouterr().err.splitlines() if "pr_curves" in line]
    assert said == [f"TensorBoard(pr_curves) has nothing to show: {why}."]
    assert not list(tmp_path.iterdir())


class Own(Model):
    """Trains with a loss of its own."""

    def train_step(self, x, y, sample_weight=None):
        y_pred = self.module.forward(x)
        loss = (y_pred - y.view_as(y_pred)).square().mean()
        self.module.backward(2 * (y_pred - y.view_as(y_pred)) / y_pred.numel())
        self.step()
        return {"loss": loss}

    def test_step(self, x, y, sample_weight=None):
        return {"loss": self.module.forward(x).mean()}


def test_a_model_without_a_loss_has_none(tmp_path: Path, capsys) -> None:
    fit(*with_files(tmp_path, Curves()), cls=Own, loss=None)
    assert "the model is compiled without a loss" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_told_again_has_none(tmp_path: Path, capsys) -> None:
    fit().history.replay(with_files(tmp_path, Curves()))
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


# ---- what it leaves ------------------------------------------------------------------------------


def test_it_leaves_training_and_validation_as_they_are(tmp_path: Path) -> None:
    states, histories = [], []
    for callbacks in ([], with_files(tmp_path, Curves())):
        torch.manual_seed(0)
        model = fit(*callbacks)
        states.append(state_of(model))
        histories.append(model.history.history)
    assert same(*states) and histories[0] == histories[1]


def test_a_run_started_again_has_each_curve_once(tmp_path: Path) -> None:
    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        fit(*with_files(folder / "runs", Curves()), *callbacks, epochs=3)

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", Dies(1, batch=1))
    whole, again = (curves(tmp_path / name / "runs") for name in ("whole", "again"))
    assert list(whole) == list(again) and all((whole[key] == again[key]).all() for key in whole)
    assert len(tags(tmp_path / "again" / "runs" / "validation")["pr_curve"]) == 3
