"""What a user sees who makes one of the usual mistakes: each row of a table of Keras' answers.

A comment above each test holds the words of its row. The rows about checkpoints, weights and model
files are in `test_misuse_of_files.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model, Module, Sequential
from kerasish.callbacks import EarlyStopping, LearningRateScheduler, TerminateOnNaN
from kerasish.containers import Graph, Input
from kerasish.hooks import Callback
from kerasish.layers import Linear, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from kerasish.losses import BinaryCrossEntropy, CrossEntropy
from kerasish.optimizers import SGD
from tests.table import numbers

X, Y = numbers(16, 4).numpy().astype("float32"), numbers(16, 1, seed=1).numpy().astype("float32")
LABELS = np.arange(16) % 3
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


def net(*modules: Module, optimizer: Any = "sgd", loss: Any = "mse", **settings: Any) -> Model:
    model = Model(*(modules or (Linear(1),)), device="cpu")
    model.compile(optimizer, loss, **settings)
    return model


def two_outputs() -> Graph:
    x = Input((4,))
    return Graph(x, {"a": Linear(1)(x), "b": Linear(1)(x)})


def fit(model: Model, x: Any = X, y: Any = Y, **settings: Any) -> dict[str, list[float]]:
    return model.fit(x, y, **{"verbose": 0} | settings).history


def says(kind: type[Exception], *parts: str, do: Callable[[], Any]) -> None:
    """The error has all these words, and shows no colours and no values of the data."""
    with pytest.raises(kind) as caught:
        do()
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert "\x1b" not in message and "tensor(" not in message and "array(" not in message
    assert len(message) < 2000


# ---- compile ------------------------------------------------------------------------------------


# fit / train_on_batch before compile | name the method
# evaluate before compile | same as above
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_before_compile(method: str) -> None:
    says(RuntimeError, f"Model.{method} expects a compiled model", "Call model.compile(optimizer=",
         do=lambda: getattr(Model(Linear(1), device="cpu"), method)(X, Y))


# compile without loss, then fit | ok
def test_compile_without_a_loss() -> None:
    says(TypeError, "compile(loss) expects a loss", "got None", "loss='mse'",
         do=lambda: net(loss=None))


# optimizer=None then fit | say so
def test_no_optimizer() -> None:
    says(TypeError, "compile(optimizer) expects a name", "got None. Write optimizer='sgd'",
         do=lambda: net(optimizer=None))


# unknown loss | at compile, list nearest names
# unknown metric | at compile
# unknown optimizer | add suggestion
@pytest.mark.parametrize(("setting", "near"), [
    ({"loss": "msee"}, "'mse'"),
    ({"metrics": ["acuracy"]}, "'accuracy'"),
    ({"metrics": ["foo"]}, "'accuracy'"),
    ({"weighted_metrics": ["maee"]}, "'mae'"),
    ({"optimizer": "adamm"}, "'adam'"),
])
def test_unknown_names(setting: Any, near: str) -> None:
    ((_, name),) = setting.items()
    wrong = name if isinstance(name, str) else name[0]
    says(ValueError, "compile(", f"got {wrong!r}", near, do=lambda: net(**setting))


# metrics="mae" | accept it
def test_a_metric_by_its_name_alone() -> None:
    assert net(metrics="mae").metrics_names == ["loss", "mae"]


# SGD(learning_rate=1) | accept ints
def test_a_whole_learning_rate() -> None:
    assert SGD(learning_rate=1).learning_rate == 1.0


# SGD(lr=.1) | suggest learning_rate
def test_a_learning_rate_under_another_name() -> None:
    says(TypeError, "SGD(lr=...)", "Write learning_rate=...", do=lambda: SGD(lr=0.1))


# loss dict keys / loss_weights count
@pytest.mark.parametrize(("settings", "parts"), [
    ({"loss": {"a": "mse", "zz": "mse"}}, ("compile(loss)", "got 'zz'", "'a', 'b'")),
    ({"loss": {"a": "mse", "c_b": "mse", "b": "mse"}}, ("compile(loss)", "got 'c_b'")),
    ({"loss": {"a": "mse"}}, ("compile(loss)", "got none for 'b'", "Write None")),
    ({"loss": ["mse"] * 3}, ("compile(loss)", "one for each of 2 outputs", "got 3")),
    ({"loss": ["mse"] * 2, "loss_weights": [1.0]},
     ("compile(loss_weights)", "one for each of 2 outputs", "got 1")),
    ({"loss_weights": {"aa": 1.0}}, ("compile(loss_weights)", "got 'aa'")),
])
def test_losses_for_other_outputs(settings: Any, parts: tuple[str, ...]) -> None:
    says(ValueError, *parts, do=lambda: net(two_outputs(), **settings))


# ---- shapes -------------------------------------------------------------------------------------


# x and y lengths differ | same, formatted
def test_lengths_that_differ() -> None:
    says(ValueError, "fit(x, y)", "got 16 in x and 10 in y. ", do=lambda: fit(net(), y=Y[:10]))


# wrong feature count | keep content; drop ANSI in str(e); name the model
def test_another_number_of_features() -> None:
    model = net(Linear(3), Linear(1))
    model.build((4,))
    says(ValueError, "Linear(3) expects 4 features on the last axis of x; got 3",
         do=lambda: fit(model, X[:, :3]))
    with pytest.raises(ValueError) as caught:
        model.predict(X[:, :3], verbose=0)
    assert caught.value.__notes__ == ["in layer 0 of Sequential, Linear(3)"]


# wrong rank | shapes only
@pytest.mark.parametrize("built", [False, True])
def test_samples_without_an_axis_of_features(built: bool) -> None:
    model = net()
    if built:
        model.build((4,))
    says(ValueError, "Linear(1) expects x of shape (N, features); got shape (N,)", "x[:, None]",
         do=lambda: fit(model, X[:, 0]))


# y (N,2) vs pred (N,3), mse | name loss, y_true, y_pred
# y (N,3) vs pred (N,1), mse | error
# BCE shape mismatch | ok
@pytest.mark.parametrize(("outputs", "targets", "loss"), [
    (3, 2, "mse"), (1, 3, "mse"), (3, 1, "mae"), (1, 2, "binary_crossentropy"),
])
def test_targets_of_another_shape(outputs: int, targets: int, loss: str) -> None:
    model = net(Linear(outputs), loss=loss)
    says(ValueError, repr(model.loss), f"y_true in the shape of y_pred, (16, {outputs})",
         f"got (16, {targets})", do=lambda: fit(model, y=np.ones((16, targets))))


# CCE with int labels | suggest sparse_categorical_crossentropy
# SCCE with one-hot | suggest categorical_crossentropy
def test_each_name_of_the_cross_entropy_takes_labels_and_one_hot_rows() -> None:
    given = [fit(net(Linear(3), loss=name), y=y, seed=1)["loss"]
             for name in ("categorical_crossentropy", "sparse_categorical_crossentropy")
             for y in (LABELS, ONE_HOT, ONE_HOT.astype(int))]
    assert given[1:] == [pytest.approx(given[0])] * 5


def test_one_hot_rows_of_other_classes_name_both_forms() -> None:
    says(ValueError, "class indices of shape (16,) or probabilities of shape (16, 3)", "(16, 4)",
         do=lambda: fit(net(Linear(3), loss="cross_entropy"), y=np.eye(4)[LABELS]))


# SCCE label out of range | name class range and sample index
@pytest.mark.parametrize("wrong", [7, -1])
def test_a_label_out_of_range(wrong: int) -> None:
    labels = LABELS.copy()
    labels[5] = wrong
    says(ValueError, "expects classes from 0 to 2, as y_pred has 3", str(wrong), "in sample 5",
         do=lambda: fit(net(Linear(3), loss="cross_entropy"), y=labels))


# CCE/softmax with 1 unit | ok
@pytest.mark.parametrize(("modules", "loss"), [
    ((Linear(1),), "categorical_crossentropy"),
    ((Linear(1), Softmax()), CrossEntropy(from_logits=False)),
])
def test_a_loss_of_classes_with_one_unit(modules: Any, loss: Any) -> None:
    says(ValueError, "two classes or more on axis 1; got shape (16, 1)", "BinaryCrossEntropy",
         do=lambda: fit(net(*modules, loss=loss), y=np.ones((16, 1))))


@pytest.mark.parametrize(("last", "loss", "always"), [
    (Softmax(), "mse", 1), (Softmax(-1), BinaryCrossEntropy(from_logits=False), 1),
    (LogSoftmax(), "mse", 0),
])
def test_a_softmax_of_one_unit(last: Module, loss: Any, always: int) -> None:
    model = net(Linear(1), last, loss=loss)
    says(ValueError, f"{last!r} at the end of a model expects two classes or more",
         f"always {always}. Use Sigmoid()", do=lambda: fit(model, y=np.ones((16, 1))))
    assert not model.built


# y structure
@pytest.mark.parametrize(("y", "got"), [((Y, Y), "[0, 1]"), ({"a": Y}, "['a']"), (Y, "Tensor")])
def test_targets_of_another_structure(y: Any, got: str) -> None:
    says(ValueError, "targets with the outputs ['a', 'b'] in a dict", f"got {got}",
         "Give targets for each output that has a loss", do=lambda: fit(net(two_outputs()), y=y))


def test_several_targets_for_one_output() -> None:
    says(ValueError, "a loss for each of several targets", "['a']",
         do=lambda: fit(net(), y={"a": Y}))


# ---- data ---------------------------------------------------------------------------------------


def loader(x: Any = X, y: Any = Y) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.as_tensor(x), torch.as_tensor(y)), 4)


# empty arrays to fit | "x has 0 samples"
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_no_samples(method: str) -> None:
    says(ValueError, f"{method}(x) expects at least one sample; got x of shape (0, 4)",
         do=lambda: getattr(net(), method)(X[:0], Y[:0], verbose=0))


# empty arrays to predict | return an empty array
def test_predictions_for_no_samples() -> None:
    assert net(Linear(3)).predict(X[:0], verbose=0).shape == (0, 3)


# empty generator | ok
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_no_batches(method: str) -> None:
    says(ValueError, f"{method}(x) expects at least one batch; got a generator without any",
         do=lambda: getattr(net(), method)((batch for batch in []), verbose=0))


# generator yields a list | accept lists
def test_batches_in_lists_and_in_tuples_train_alike() -> None:
    in_lists, in_tuples = (
        fit(net(), (kind((X, Y)) for _ in range(2)), None, seed=1) for kind in (list, tuple))
    assert in_lists == in_tuples


# torch Dataset, nested Python lists | accept both
def test_datasets_and_nested_lists_train_as_arrays_do() -> None:
    settings: Any = {"seed": 1, "shuffle": False}
    arrays = fit(net(), **settings)
    assert fit(net(), loader().dataset, None, **settings)["loss"] == pytest.approx(arrays["loss"])
    assert fit(net(), X.tolist(), Y.tolist(), **settings)["loss"] == pytest.approx(arrays["loss"])


# y with DataLoader | ok
def test_targets_beside_a_loader() -> None:
    says(ValueError, "fit(y) expects to be left out", "x of DataLoader", "(x, y, weights)",
         do=lambda: fit(net(), loader(), Y))


# class_weight with DataLoader | support it
def test_class_weights_with_a_loader() -> None:
    y, settings = (Y > 0).astype("float32"), {"seed": 1, "class_weight": {1: 5.0}}
    arrays = fit(net(loss="bce"), y=y, batch_size=4, shuffle=False, **settings)
    assert fit(net(loss="bce"), loader(X, y), None, **settings) == arrays
    assert fit(net(loss="bce"), loader(X, y), None, seed=1) != arrays


# sample_weight and class_weight | multiply them
def test_weights_of_samples_times_those_of_classes() -> None:
    y, own = (Y > 0).astype("float32"), np.linspace(0, 2, 16)
    both = fit(net(loss="bce"), y=y, class_weight={1: 5.0}, sample_weight=own, seed=1)
    product = own * np.where(y[:, 0] == 1, 5.0, 1.0)
    alone = fit(net(loss="bce"), y=y, sample_weight=product, seed=1)
    assert both["loss"] == pytest.approx(alone["loss"])


# class_weight={"a":1} | ok
def test_classes_that_are_no_numbers() -> None:
    says(ValueError, "fit(class_weight) expects whole numbers as classes; got 'a'",
         do=lambda: fit(net(), class_weight={"a": 1}))


# validation_split on a loader | ok
def test_a_split_of_a_loader() -> None:
    says(ValueError, "fit(validation_split) expects arrays", "a DataLoader", "validation_data",
         do=lambda: fit(net(), loader(), None, validation_split=0.2))


# validation_split leaves one side empty | ok
@pytest.mark.parametrize("share", [0.99, 1.0])
def test_a_split_that_leaves_a_side_empty(share: float) -> None:
    says(ValueError, "fit(validation_split)", "samples on both sides", f"got {share} of 16 samples",
         do=lambda: fit(net(), validation_split=share))


# data ran out | say how many batches were seen
@pytest.mark.parametrize("steps", [None, 2])
def test_data_that_runs_out(steps: int | None) -> None:
    says(ValueError, "fit(x) expects batches for all epochs and steps", "after 3 batches",
         "Give a function that makes it",
         do=lambda: fit(net(), ((X, Y) for _ in range(3)), None, epochs=3, steps_per_epoch=steps))


# ---- callbacks ----------------------------------------------------------------------------------


class Began(Callback):
    """Notices if training begins."""

    began = False

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.began = True


def no_direction(y_true, y_pred):
    return 0.0


# EarlyStopping, metric absent | error at train begin when no validation is configured
# monitor direction unknown | at train begin
@pytest.mark.parametrize(("monitor", "parts"), [
    ("val_loss", ("EarlyStopping(monitor)", "'val_loss'", "validation_data or validation_split")),
    ("no_direction", ("EarlyStopping(mode='auto')", "'no_direction'", "mode='max'")),
])
def test_monitors_fail_before_training(monitor: str, parts: tuple[str, ...]) -> None:
    began = Began()
    says(ValueError, *parts,
         do=lambda: fit(net(metrics=[no_direction]), callbacks=[EarlyStopping(monitor), began]))
    assert not began.began


# TypeError inside LR schedule | original error
@pytest.mark.parametrize("schedule", [lambda epoch: 1 + "a", lambda epoch, lr: 1 + "a"])
def test_an_error_in_a_schedule_of_epochs(schedule: Any) -> None:
    says(TypeError, "unsupported operand type(s) for +: 'int' and 'str'",
         do=lambda: fit(net(), callbacks=LearningRateScheduler(schedule)))


def test_an_error_in_a_schedule_of_updates() -> None:
    says(TypeError, "which fails: unsupported operand type(s) for +: 'int' and 'str'",
         do=lambda: fit(net(optimizer=SGD(lambda step: 1 + "a"))))


# NaN loss | opt-in first-NaN locator
def test_the_first_nan_is_located(capsys: pytest.CaptureFixture[str]) -> None:
    y = Y.copy()
    y[9] = np.nan
    model = net(Linear(2), ReLU(), Linear(1))
    fit(model, y=y, batch_size=4, shuffle=False, callbacks=TerminateOnNaN())
    said = capsys.readouterr().err
    assert model.diverged and "Batch 3 of epoch 1" in said
    assert "the predictions are finite, but MSE() of them is not. The targets of this" in said


# callback class, not instance | say "instance"
# None in callbacks | skip or say so
@pytest.mark.parametrize(("given", "got"), [
    ([EarlyStopping], "the class EarlyStopping. Write EarlyStopping(...)"),
    ([None], "None in the list. Leave it out"),
])
def test_what_is_no_callback(given: Any, got: str) -> None:
    says(TypeError, "callbacks expects instances of Callback", got,
         do=lambda: fit(net(), callbacks=given))


# ---- layers and weights -------------------------------------------------------------------------


# missing grads [T]
def test_a_module_without_a_backward() -> None:
    class Forward(Module):
        """Has no derivative."""

        def forward(self, x):
            return x * 2

    says(NotImplementedError, "Forward needs a backward(dy) method", "check_gradients",
         do=lambda: fit(net(Linear(1), Forward())))


# no trainable weights | once, before training
def test_nothing_to_train_is_said_once_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    class Seen(Callback):
        """Keeps what was said before the first epoch."""

        said = ""

        def on_train_begin(self, logs=None) -> None:
            self.said = capsys.readouterr().err

    model, seen = net(), Seen()
    model.trainable = False
    fit(model, epochs=3, batch_size=4, callbacks=seen)
    assert seen.said == ("fit: the model has no trainable parameters, so nothing will be learned. "
                         "Set trainable = True, for all of it or for a layer.\n")
    assert capsys.readouterr().err == ""
    model.trainable = True
    fit(model, callbacks=seen)
    assert seen.said == ""


# layer.trainable changed after compile | effect + documented
def test_a_layer_that_is_frozen_after_compile_stays_as_it_is() -> None:
    model = net(Linear(3), Tanh(), Linear(1))
    fit(model)
    model.get_layer("0").trainable = False
    before = model.get_weights()
    fit(model)
    model.train_on_batch(X, Y)
    same = [np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]
    assert "takes effect at once" in str(Module.trainable.__doc__)
    assert "takes effect at once" in str(Model.trainable.__doc__)


# set_weights count / shape | name the layer
@pytest.mark.parametrize(("weights", "parts"), [
    ([np.ones((1, 4))], ("expects 2 arrays; got 1", "'0.bias', of Linear(1)")),
    ([np.ones((4, 2)), np.ones(1)], ("expects shape (1, 4) for '0.weight', of Linear(1)",
                                     "got (4, 2)")),
])
def test_weights_that_do_not_fit(weights: Any, parts: tuple[str, ...]) -> None:
    model = net(Linear(1), Sigmoid())
    model.build((4,))
    says(ValueError, "Model.set_weights(weights)", *parts, do=lambda: model.set_weights(weights))


# Sequential: non-layer / dup name
@pytest.mark.parametrize(("wrong", "fix"), [(3, "Wrap it in one"), (Tanh, "Write Tanh(...)")])
def test_what_is_no_layer(wrong: Any, fix: str) -> None:
    says(TypeError, "Sequential(layers) expects modules", fix, do=lambda: Sequential(wrong))


def test_one_layer_at_two_places_has_two_paths_and_one_set_of_weights() -> None:
    same = Linear(4)
    model = net(same, same, Linear(1))
    fit(model)
    assert model.get_layer("0") is model.get_layer("1") and len(model.get_weights()) == 4
