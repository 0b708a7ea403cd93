"""Promises between parts, each of which was once broken without a word."""

import copy
import threading

import pytest
import torch

from kerasish import Model, Module, Parameter, Sequential
from kerasish.callbacks import Callback, TensorBoard
from kerasish.layers import Flatten, Linear, ReLU, Sigmoid, Tanh
from kerasish.losses import CrossEntropy
from kerasish.optimizers import SGD

X = torch.linspace(-1, 1, 24).view(8, 3)
Y = X.sum(1, keepdim=True).sign()


def net(*layers: Module, loss: str = "mse", metrics=None) -> Model:
    model = Model(*(layers or (Linear(4), Tanh(), Linear(1), Tanh())), device="cpu")
    model.compile(SGD(0.1), loss, metrics=metrics)
    return model


def test_no_graph_of_autograd_gets_into_a_parameter() -> None:
    theirs = torch.nn.Linear(3, 2)
    linear = Linear(2)
    linear.build((3,))
    linear.weight.data = theirs.weight
    linear.load_state_dict(dict(theirs.named_parameters()))
    assert not linear.weight.data.requires_grad and torch.equal(linear.weight.data, theirs.weight)


def test_an_optimizer_that_trains_something_else_is_refused() -> None:
    optimizer = SGD(0.1).build([Parameter(torch.ones(2))])
    with pytest.raises(ValueError, match=r"trains something else\. Make a new one"):
        Model(Linear(1), device="cpu").compile(optimizer, "mse")


def test_an_optimizer_without_parameters_says_so() -> None:
    with pytest.raises(RuntimeError, match="expects parameters to train; got none yet"):
        SGD().step()


def test_a_module_appended_after_a_forward_is_run() -> None:
    chain = Sequential(ReLU())
    chain.forward(X)
    chain.append(Tanh())
    assert torch.equal(chain.forward(X), torch.tanh(torch.relu(X)))


def test_a_sequential_tells_all_its_layers() -> None:
    chain = Sequential([Linear(3)]).append(Tanh())
    assert repr(chain) == "Sequential(Linear(3), Tanh())"
    twin = Sequential(*chain.get_config()["layers"])
    assert list(twin) == list(chain)


@pytest.mark.parametrize("layer", [ReLU(), Tanh(), Sigmoid()], ids=repr)
def test_an_activation_overwrites_what_it_was_told_to(layer: Module) -> None:
    x = X.clone()
    y = layer.forward(x, overwrite=True)
    assert y.data_ptr() == x.data_ptr() and torch.equal(y, type(layer)().forward(X))


def test_targets_that_fit_two_meanings_of_accuracy_decide_none() -> None:
    model = net(Linear(1), metrics=["accuracy"])
    with pytest.raises(ValueError, match="BinaryAccuracy"):
        model.train_on_batch(X, torch.ones(8, 1))
    model.fit(X, Y, verbose=0)
    assert model.metrics["accuracy"].threshold == 0.0


def test_reshaping_at_the_end_hides_no_sigmoid() -> None:
    with pytest.raises(ValueError, match=r"ends in Sigmoid\(\)"):
        net(Linear(1), Sigmoid(), Flatten(), loss="bce")
    assert net(Linear(1), Tanh(), Flatten(), metrics="accuracy").metrics["accuracy"] is not None


def test_of_a_module_of_ones_own_no_ending_is_guessed() -> None:
    class Gated(Module):
        def __init__(self) -> None:
            self.out, self.gate = Linear(1), Sigmoid()

    assert net(Gated(), loss="bce").compiled


def test_a_copy_made_while_training_can_be_trained() -> None:
    class Copies(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            self.copy = copy.deepcopy(self.model)

    copies = Copies()
    net().fit(X, Y, verbose=0, callbacks=copies)
    before = copies.copy.module.state_dict()["0.weight"]
    copies.copy.fit(X, Y, verbose=0)
    assert not torch.equal(copies.copy.module.state_dict()["0.weight"], before)


def test_what_a_metric_function_is_bound_to_is_not_copied() -> None:
    class Scorer:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def error(self, y_true, y_pred):
            return (y_true - y_pred).abs()

    history = net(metrics=[Scorer().error]).fit(X, Y, verbose=0, validation_data=(X, Y))
    assert set(history.history) == {"loss", "error", "val_loss", "val_error"}


def test_metric_functions_run_outside_inference_mode() -> None:
    seen = []

    def error(y_true, y_pred):
        seen.append(torch.is_inference_mode_enabled())
        return (y_true - y_pred).abs()

    net(metrics=[error]).fit(X, Y, verbose=0)
    assert seen and not any(seen)


def test_modules_in_a_dictionary_are_found() -> None:
    class Parts(Module):
        def __init__(self) -> None:
            self.parts = {"a": Linear(1)}

    module = Parts()
    module.parts["a"].build((3,))
    assert list(module.state_dict()) == ["parts.a.weight", "parts.a.bias"]


def test_a_size_of_input_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expects out_features beside it; got 5"):
        Linear(in_features=5)


def test_a_subclass_of_linear_has_arguments_of_its_own() -> None:
    class Wide(Linear):
        def __init__(self, in_features: int) -> None:
            super().__init__(25)

    assert Wide(in_features=2).out_features == 25
    assert Wide(in_features=2).get_config() == {"in_features": 2}


def test_samples_without_features_are_refused_by_a_built_linear() -> None:
    linear = Linear(2)
    linear.build((3,))
    with pytest.raises(ValueError, match=r"expects x of shape \(N, features\); got shape \(N,\)"):
        linear.forward(torch.ones(3))


@pytest.mark.parametrize("axis", [0, 5])
def test_a_class_axis_that_is_none_is_refused(axis: int) -> None:
    with pytest.raises(ValueError, match="two classes or more"):
        CrossEntropy(axis=axis).check_shapes((8, 3), (8,))


def test_a_folder_for_logs_that_is_a_file_is_refused_before_training(tmp_path) -> None:
    file = tmp_path / "file"
    file.touch()
    model = net()
    with pytest.raises(NotADirectoryError, match="TensorBoard\\(log_dir\\) expects a folder"):
        model.fit(X, Y, verbose=0, callbacks=TensorBoard(file))
    assert not model.built


def test_metrics_of_small_batches_are_exact_wherever_they_are_read() -> None:
    class Reads(Callback):
        def __init__(self) -> None:
            self.seen = []

        def on_train_batch_end(self, batch, logs=None) -> None:
            self.seen.append((logs["mae"], logs["accuracy"]))

    reads = Reads()
    model = net(metrics=["mae", "accuracy"])
    model.compile(SGD(0.0), "mse", metrics=["mae", "accuracy"])
    model.fit(X, Y, batch_size=1, verbose=0, shuffle=False, callbacks=reads)
    errors = torch.as_tensor(model.predict(X, verbose=0)) - Y
    for count, (mae, accuracy) in enumerate(reads.seen, start=1):
        assert mae == pytest.approx(errors[:count].abs().mean().item(), rel=1e-6)
        assert accuracy == pytest.approx((errors[:count].abs() < 1).double().mean().item())
