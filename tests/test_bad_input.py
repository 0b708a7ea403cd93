"""Mistakes are named before training starts, with a way out, and leave everything as it was."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model
from kerasish.callbacks import Callback, EarlyStopping, TensorBoard
from kerasish.layers import Linear, ReLU, Sigmoid, Tanh
from kerasish.losses import MSE, BinaryCrossEntropy, CrossEntropy
from kerasish.metrics import MAE, BinaryAccuracy
from kerasish.optimizers import SGD, Adam


def data(count: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * count).view(count, 2)
    return x, x.sum(1, keepdim=True).sign()


def net(**compile_with) -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
    arguments = {"optimizer": SGD(0.1, momentum=0.9), "loss": "mse", "metrics": ["mae"]}
    model.compile(**arguments | compile_with)
    return model


def trained(**compile_with) -> Model:
    """A model with a past, so that there is something to spoil."""
    model = net(**compile_with)
    model.fit(*data(), epochs=2, verbose=0)
    return model


def state(model: Model) -> dict:
    """What a refused call has to leave as it was; objects stand for themselves."""
    kept = {
        "built": model.built,
        "training": [part.training for part in model.module.modules()],
        "weights": {name: value.tolist() for name, value in model.module.state_dict().items()},
        "history": model.history,
        "names": model.metrics_names,
        "epochs": model.epochs_trained,
    }
    if model.compiled:
        optimizer = model.optimizer
        kept |= {
            "optimizer": optimizer,
            "loss": model.loss,
            "metrics": dict(model.metrics),
            "iterations": optimizer.iterations,
            "slots": [
                slot.tolist()
                for flat in optimizer.flats
                for slot in optimizer.state[flat].values()
            ],
        }
    return kept


class Watch(Callback):
    """Notices if training starts."""

    started = False

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.started = True


class Bad(NamedTuple):
    """A mistake in a call of fit: what is given, and what the error says."""

    id: str
    arguments: dict
    error: type[Exception]
    says: tuple[str, ...]
    """Who, what was expected, what was got, what to do."""


x, y = data()
MISTAKES = [
    Bad("x and y of different lengths", {"y": y[:7]}, ValueError,
        ("fit(x, y)", "as many samples", "10 in x and 7 in y", "Axis 0")),
    Bad("zero samples", {"x": x[:0], "y": y[:0]}, ValueError,
        ("fit(x)", "at least one sample", "(0, 2)", "Check how x was selected")),
    Bad("no targets", {"y": None}, ValueError, ("fit(y)", "targets", "got None")),
    Bad("y of shape (N, 3) against (N, 1)", {"y": torch.zeros(10, 3)}, ValueError,
        ("MSE()", "(10, 1)", "got (10, 3)", "the last module's size")),
    Bad("y of shape (N, 1, 1)", {"y": torch.zeros(10, 2, 1)}, ValueError,
        ("MSE()", "(10, 1)", "got (10, 2, 1)")),
    Bad("batch_size of 0", {"batch_size": 0}, ValueError,
        ("fit(batch_size)", "at least 1", "got 0", "32 is a usual batch size")),
    Bad("batch_size below 0", {"batch_size": -3}, ValueError,
        ("fit(batch_size)", "at least 1", "got -3")),
    Bad("batch_size that is no number", {"batch_size": "8"}, ValueError,
        ("fit(batch_size)", "whole number", "got '8'")),
    Bad("batch_size that is not whole", {"batch_size": 2.5}, ValueError,
        ("fit(batch_size)", "whole number", "got 2.5")),
    Bad("epochs below 0", {"epochs": -1}, ValueError, ("fit(epochs)", "at least 0", "got -1")),
    Bad("epochs that are not whole", {"epochs": 1.5}, ValueError, ("fit(epochs)", "got 1.5")),
    Bad("initial_epoch below 0", {"initial_epoch": -1}, ValueError,
        ("fit(initial_epoch)", "at least 0", "got -1")),
    Bad("validation_split of 1", {"validation_split": 1.0}, ValueError,
        ("fit(validation_split)", "both sides", "got 1.0 of 10 samples", "0.1 holds back")),
    Bad("validation_split that leaves nothing to train on", {"validation_split": 0.95}, ValueError,
        ("fit(validation_split)", "both sides", "got 0.95 of 10 samples")),
    Bad("validation_split below 0", {"validation_split": -0.1}, ValueError,
        ("fit(validation_split)", "both sides", "got -0.1")),
    Bad("validation_split of one sample", {"x": x[:1], "y": y[:1], "validation_split": 0.5},
        ValueError, ("fit(validation_split)", "both sides", "got 0.5 of 1 samples")),
    Bad("validation_split that is no number", {"validation_split": "0.1"}, ValueError,
        ("fit(validation_split)", "got '0.1'")),
    Bad("validation_split that is NaN", {"validation_split": float("nan")}, ValueError,
        ("fit(validation_split)", "got nan")),
    Bad("validation_data that is x alone", {"validation_data": x}, ValueError,
        ("fit(validation_data)", "a tuple (x, y)", "got Tensor")),
    Bad("validation_data of zero samples", {"validation_data": (x[:0], y[:0])}, ValueError,
        ("fit(validation_data: x)", "at least one sample", "(0, 2)")),
    Bad("validation_data of different lengths", {"validation_data": (x, y[:3])}, ValueError,
        ("fit(validation_data: x, y)", "10 in x and 3 in y")),
    Bad("validation_data without targets", {"validation_data": (x, None)}, ValueError,
        ("fit(validation_data: y)", "targets", "got None")),
    Bad("validation_data of other features", {"validation_data": (x[:, :1], y)}, ValueError,
        ("Linear(3)", "2 features", "got 1")),
    Bad("validation_data of another target shape", {"validation_data": (x, torch.zeros(10, 3))},
        ValueError, ("MSE()", "(10, 1)", "got (10, 3)")),
    Bad("validation weights of another shape", {"validation_data": (x, y, torch.ones(10, 2))},
        ValueError, ("sample_weight", "(10,)", "got (10, 2)")),
    Bad("a callback class", {"callbacks": [EarlyStopping]}, TypeError,
        ("instances of Callback", "the class EarlyStopping", "Write EarlyStopping(...)")),
    Bad("a callback class alone", {"callbacks": TensorBoard}, TypeError,
        ("instances of Callback", "the class TensorBoard", "Write TensorBoard(...)")),
    Bad("a function as a callback", {"callbacks": [print]}, TypeError,
        ("instances of Callback", "print", "Derive it from Callback")),
    Bad("None among the callbacks", {"callbacks": [None]}, TypeError,
        ("instances of Callback", "None in the list", "Leave it out")),
    Bad("a monitor without validation data", {"callbacks": EarlyStopping("val_loss")}, ValueError,
        ("EarlyStopping(monitor)", "a name that is logged", "'val_loss'",
         "validation_data or validation_split")),
    Bad("a misspelt monitor", {"callbacks": EarlyStopping("los")}, ValueError,
        ("EarlyStopping(monitor)", "'los'", "Did you mean 'loss'?")),
    Bad("a misspelt monitor of validation",
        {"callbacks": EarlyStopping("val_maee"), "validation_split": 0.2}, ValueError,
        ("EarlyStopping(monitor)", "'val_maee'", "'val_mae'")),
    Bad("a monitor with nothing near", {"callbacks": EarlyStopping("f1")}, ValueError,
        ("EarlyStopping(monitor)", "'f1'", "'loss'", "'mae'")),
    Bad("a seed below 0", {"seed": -1}, ValueError, ("fit(seed)", "from 0 to 2**32 - 1", "got -1")),
    Bad("verbose of 3", {"verbose": 3}, ValueError, ("fit(verbose)", "'auto', 0, 1 or 2", "got 3")),
    Bad("ragged rows", {"x": [[1.0, 2.0], [3.0]], "y": [1.0, 2.0]}, ValueError,
        ("fit(x)", "rows of equal length")),
    Bad("strings", {"y": ["a"] * 10}, TypeError, ("fit(y)", "numbers", "Encode them")),
    Bad("a single number", {"x": 3.0}, ValueError, ("fit(x)", "axis 0", "3.0", "in a list")),
    Bad("samples without features", {"x": np.ones(10)}, ValueError, ("Linear(3)",)),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.id for mistake in MISTAKES])
@pytest.mark.parametrize("make", [net, trained], ids=["not built", "trained"])
def test_a_mistake_in_fit_is_named_and_changes_nothing(
    make, mistake: Bad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, watch = make(), Watch()
    before = state(model)
    arguments = {"x": x, "y": y, "verbose": 1, "callbacks": []} | mistake.arguments
    given = arguments["callbacks"]
    if not (isinstance(given, type) or given == [None]):
        given = given if isinstance(given, list) else [given]
        arguments["callbacks"] = [TensorBoard(tmp_path / "run"), *given, watch]
    with pytest.raises(mistake.error) as caught:
        model.fit(**arguments)
    message = str(caught.value)
    assert [part for part in mistake.says if part not in message] == [], message
    assert state(model) == before
    assert not watch.started and list(tmp_path.iterdir()) == [] and capsys.readouterr() == ("", "")
    assert model.fit(x, y, verbose=0).epoch == [0], "and it can be fitted"


@pytest.mark.parametrize("make", [net, trained], ids=["not built", "trained"])
@pytest.mark.parametrize("features", [1, 3])
def test_a_wrong_feature_count_names_the_module_and_both_sizes(make, features: int) -> None:
    model = make()
    model.build((2,))
    before = state(model)
    with pytest.raises(ValueError) as caught:
        model.fit(torch.ones(10, features), y, verbose=0)
    assert f"Linear(3) expects 2 features on the last axis of x; got {features}" in str(
        caught.value
    )
    assert "in layer 0 of Sequential, Linear(3)" in caught.value.__notes__
    assert state(model) == before


def test_a_wrong_feature_count_of_a_stated_size_leaves_the_model_unbuilt() -> None:
    model = Model(Tanh(), Linear(3), Linear(5, 1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    before = state(model)
    with pytest.raises(ValueError, match=r"Linear\(5, 1\) expects 5 features .* got 3") as caught:
        model.fit(x, y, verbose=0)
    assert "in layer 2 of Sequential, Linear(5, 1)" in caught.value.__notes__
    assert state(model) == before and not any(part.built for part in model.module.modules())


def test_fit_before_compile_says_what_to_call() -> None:
    model = Model(Linear(1), device="cpu")
    before = state(model)
    with pytest.raises(RuntimeError, match=r"Model\.fit expects a compiled model") as caught:
        model.fit(x, y)
    assert "model.compile(optimizer='sgd', loss='mse')" in str(caught.value)
    assert state(model) == before


def test_a_callback_that_refuses_in_on_train_begin_leaves_the_model_as_it_was() -> None:
    class Refuses(Callback):
        def on_train_begin(self, logs=None) -> None:
            raise ValueError("not today")

    for model in (net(), trained()):
        before = state(model)
        with pytest.raises(ValueError, match="not today"):
            model.fit(x, y, verbose=0, callbacks=Refuses())
        assert state(model) == before


def test_a_monitor_that_an_earlier_callback_may_log_fails_after_the_first_epoch() -> None:
    class Silent(Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.epochs += 1

    silent = Silent()
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor\).*'f1'") as caught:
        net().fit(x, y, epochs=5, verbose=0, callbacks=[silent, EarlyStopping("f1", mode="max")])
    assert silent.epochs == 1 and "'loss'" in str(caught.value)


def test_a_monitor_that_only_a_later_callback_could_log_fails_at_once() -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["f1"] = 1.0

    model = net()
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor\).*'f1'"):
        model.fit(x, y, verbose=0, callbacks=[EarlyStopping("f1", mode="max"), Adds()])
    assert not model.built


def test_a_direction_that_is_not_known_fails_before_training() -> None:
    def own(y_true, y_pred):
        return (y_true - y_pred).abs()

    for model in (net(metrics=[own]), trained(metrics=[own])):
        before = state(model)
        with pytest.raises(ValueError, match=r"mode='auto'.*got 'own'.*mode='max' or mode='min'"):
            model.fit(x, y, verbose=0, callbacks=EarlyStopping("own"))
        assert state(model) == before
        assert model.fit(x, y, verbose=0, callbacks=EarlyStopping("own", mode="min")).epoch == [0]


# ---- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "says"),
    [
        ("cross_entropy", 3, np.zeros(10), ("CrossEntropy()", "integers", "float", "long()")),
        ("cross_entropy", 3, np.arange(10) % 4, ("CrossEntropy()", "0 to 2", "0 to 3", "sample 3")),
        ("cross_entropy", 3, -np.ones(10, dtype=int), ("CrossEntropy()", "0 to 2", "-1")),
        ("cross_entropy", 3, np.zeros((10, 2)), ("CrossEntropy()", "(10, 3)", "(10, 2)")),
        ("binary_crossentropy", 1, -np.ones(10), ("BinaryCrossEntropy()", "0 to 1", "-1")),
        ("binary_crossentropy", 2, np.ones(10), ("BinaryCrossEntropy()", "(10, 2)", "(10,)")),
        ("mae", 2, np.ones((10, 1)), ("MAE()", "(10, 2)", "(10, 1)")),
    ],
    ids=["classes as floats", "a class too many", "a class below 0", "another number of classes",
         "signs", "one target for two outputs", "nothing is broadcast"],
)
def test_targets_that_the_loss_cannot_mean_are_refused(loss, outputs, targets, says) -> None:
    model = Model(Linear(outputs), device="cpu")
    model.compile(optimizer="sgd", loss=loss)
    before, watch = state(model), Watch()
    with pytest.raises(ValueError) as caught:
        model.fit(x, targets, verbose=0, callbacks=watch)
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)
    assert state(model) == before and not watch.started


@pytest.mark.parametrize("metric", ["mae", "mse", "binary_accuracy"])
def test_targets_that_a_metric_cannot_compare_are_refused(metric: str) -> None:
    model = Model(Linear(3), device="cpu")
    model.compile(optimizer="sgd", loss="cross_entropy", metrics=[metric])
    before, watch = state(model), Watch()
    with pytest.raises(ValueError, match=r"\(10, 3\).*\(10,\)"):
        model.fit(x, np.zeros(10, dtype=int), verbose=0, callbacks=watch)
    assert state(model) == before and not watch.started


def test_targets_that_leave_accuracy_undecided_are_refused() -> None:
    model = net(metrics=["accuracy"])
    before = state(model)
    with pytest.raises(ValueError, match=r"'accuracy'.*BinaryAccuracy\(threshold=\.\.\.\)"):
        model.fit(x, x[:, :1], verbose=0)
    assert state(model) == before


# ---- compile ------------------------------------------------------------------------------------


def own_loss(y_true, y_pred):
    return (y_true - y_pred).square().mean()


WRONG_CHOICES = [
    ("unknown optimizer", {"optimizer": "adamm"}, ValueError,
     ("compile(optimizer)", "'adamm'", "Did you mean 'adam'")),
    ("unknown optimizer with nothing near", {"optimizer": "zzz"}, ValueError,
     ("compile(optimizer)", "'zzz'", "'adam'", "'sgd'")),
    ("optimizer class", {"optimizer": Adam}, TypeError, ("compile(optimizer)", "Adam(...)")),
    ("no optimizer", {"optimizer": None}, TypeError, ("compile(optimizer)", "None")),
    ("unknown loss", {"loss": "msee"}, ValueError, ("compile(loss)", "'msee'", "'mse'")),
    ("misspelt long loss", {"loss": "mean_squred_error"}, ValueError,
     ("compile(loss)", "'mean_squred_error'", "'mean_squared_error'")),
    ("loss class", {"loss": MSE}, TypeError, ("compile(loss)", "MSE", "MSE(...)")),
    ("no loss", {"loss": None}, TypeError, ("compile(loss)", "None")),
    ("function as a loss", {"loss": own_loss}, TypeError,
     ("compile(loss)", "'own_loss'", "backward", "no autograd")),
    ("unknown metric", {"metrics": ["acuracy"]}, ValueError,
     ("compile(metrics)", "'acuracy'", "'accuracy'")),
    ("unknown metric alone", {"metrics": "maee"}, ValueError, ("compile(metrics)", "'mae'")),
    ("metric class", {"metrics": [MAE]}, TypeError, ("compile(metrics)", "MAE", "MAE(...)")),
    ("number as a metric", {"metrics": [3]}, TypeError, ("compile(metrics)", "got 3")),
    ("dictionary of metrics", {"metrics": {"a": "mae"}}, ValueError, ("compile(metrics)", "['a']")),
    ("a loss as a metric", {"metrics": [MSE()]}, TypeError, ("compile(metrics)", "MSE()")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [row[1:] for row in WRONG_CHOICES],
    ids=[row[0] for row in WRONG_CHOICES],
)
def test_a_wrong_choice_fails_in_compile_and_keeps_the_old_ones(change, error, says) -> None:
    model = trained()
    before = state(model)
    with pytest.raises(error) as caught:
        model.compile(**{"optimizer": "sgd", "loss": "mse"} | change)
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)
    assert state(model) == before
    with pytest.raises(error):
        Model(Linear(1), device="cpu").compile(**{"optimizer": "sgd", "loss": "mse"} | change)


@pytest.mark.parametrize(
    ("last", "loss", "fixes"),
    [
        (Sigmoid(), BinaryCrossEntropy(), ("Leave Sigmoid() out", "from_logits=False")),
        (Sigmoid(), CrossEntropy(), ("Leave Sigmoid() out", "from_logits=False")),
        (ReLU(), BinaryCrossEntropy(from_logits=False), ("Add Sigmoid()", "from_logits=False out")),
        (Linear(1), CrossEntropy(from_logits=False), ("Add Softmax(1)", "from_logits=False out")),
    ],
    ids=["probabilities for logits", "probabilities for classes", "ReLU for probabilities",
         "logits for probabilities"],
)
def test_a_loss_that_does_not_fit_the_last_module_names_both_fixes(last, loss, fixes) -> None:
    model = Model(Linear(3), last, device="cpu")
    with pytest.raises(ValueError, match=r"compile\(loss=") as caught:
        model.compile(optimizer="sgd", loss=loss)
    assert all(fix in str(caught.value) for fix in fixes) and repr(last) in str(caught.value)
    assert not model.compiled


# ---- methods of one batch -----------------------------------------------------------------------


@pytest.mark.parametrize("batches", [
    DataLoader(TensorDataset(*data()), batch_size=5), TensorDataset(*data()), [data(), data()],
    iter([data()]),
], ids=lambda batches: type(batches).__name__)  # fmt: skip
@pytest.mark.parametrize("method", [
    "train_on_batch", "test_on_batch", "predict_on_batch", "check", "explain", "profile",
])  # fmt: skip
def test_methods_of_one_batch_refuse_what_brings_several(method: str, batches) -> None:
    model = trained()
    before = state(model)
    with pytest.raises(TypeError) as caught:
        getattr(model, method)(batches)
    message = str(caught.value)
    assert message.startswith(f"{method}(x) expects one batch"), message
    assert type(batches).__name__ in message and "next(iter(batches))" in message
    assert state(model) == before


# ---- callbacks' own arguments -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TensorBoard(update_freq=0), ("TensorBoard(update_freq)", "at least 1", "got 0")),
        (lambda: TensorBoard(update_freq="step"), ("TensorBoard(update_freq)", "'step'")),
        (lambda: TensorBoard(update_freq=1.5), ("TensorBoard(update_freq)", "1.5")),
        (lambda: TensorBoard(update_freq=True), ("TensorBoard(update_freq)", "True")),
    ],
    ids=["update_freq of 0", "another update_freq", "update_freq not whole", "update_freq of True"],
)
def test_arguments_of_callbacks_are_checked_at_once(make, says) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


def test_a_metric_that_is_given_its_threshold_needs_no_deciding() -> None:
    model = net(metrics=[BinaryAccuracy(threshold=0.0)])
    assert "binary_accuracy" in model.fit(x, x[:, :1], verbose=0).history
