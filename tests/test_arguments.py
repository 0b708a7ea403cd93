"""Arguments that a class has not, and what stands for them here; rates that are none."""

from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.configured import argument_names
from kerasish.containers import Sequential
from kerasish.initializers import Orthogonal
from kerasish.layers import (
    LSTM,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    MultiheadAttention,
    ReLU,
)
from kerasish.losses import Focal, Huber
from kerasish.metrics import BinaryAccuracy
from kerasish.optimizers import SGD, Adam
from kerasish.regularizers import L2
from kerasish.schedules import CosineDecay, PolynomialDecay
from tests.table import numbers

UNKNOWN = [
    (lambda: Adam(lr=1), "Adam(lr=...)", "Write learning_rate=... here."),
    (lambda: Adam(betas=(0.9, 0.99)), "Adam(betas=...)", "Write beta_1=... here."),
    (lambda: SGD(momentm=0.9), "SGD(momentm=...)", "Did you mean 'momentum'"),
    (lambda: SGD(weigth_decay=0.9), "SGD(weigth_decay=...)", "Did you mean 'weight_decay'"),
    (lambda: Dropout(rate=0.5), "Dropout(rate=...)", "Write p=... here."),
    (lambda: ReLU(foo=1), "ReLU(foo=...)", "'inplace'"),
    (lambda: Flatten(dims=1), "Flatten(dims=...)", "'start_dim'"),
    (lambda: BatchNorm2d(momentm=0.1), "BatchNorm2d(momentm=...)", "Did you mean 'momentum'"),
    (lambda: LSTM(units=3), "LSTM(units=...)", "Write hidden_size=... here."),
    (lambda: Linear(units=3), "Linear(units=...)", "Write out_features=... here."),
    (lambda: Conv2d(filters=3), "Conv2d(filters=...)", "Write out_channels=... here."),
    (lambda: Linear(3, kernel_regularizer="l2"), "Linear(kernel_regularizer=...)",
     "'weight_regularizer'"),
    (lambda: MultiheadAttention(8, heads=2), "MultiheadAttention(heads=...)", "'num_heads'"),
    (lambda: Huber(dela=1), "Huber(dela=...)", "Did you mean 'delta'"),
    (lambda: BinaryAccuracy(treshold=0), "BinaryAccuracy(treshold=...)", "'threshold'"),
    (lambda: CosineDecay(0.1, 10, alfa=0), "CosineDecay(alfa=...)", "Did you mean 'alpha'"),
    (lambda: L2(lamda=1), "L2(lamda=...)", "'l2'"),
    (lambda: Orthogonal(gian=1), "Orthogonal(gian=...)", "Did you mean 'gain'"),
    (lambda: Sequential(layer=Linear(1)), "Sequential(layer=...)", "Remove it."),
]


@pytest.mark.parametrize(("make", "who", "fix"), UNKNOWN)
def test_an_argument_that_a_class_has_not_is_refused_with_the_one_that_is_meant(
    make: Any, who: str, fix: str
) -> None:
    with pytest.raises(TypeError) as error:
        make()
    message = str(error.value)
    assert message.startswith(f"{who} expects an argument that ") and fix in message


def test_what_takes_anything_still_does() -> None:
    Identity(54, unused=True)
    assert argument_names(Identity) == ((), True)
    assert "weight_decay" in argument_names(Adam)[0] and not argument_names(Adam)[1]


@pytest.mark.parametrize(("make", "text"), [
    (lambda: SGD(0.1, 0.9, CosineDecay(0.1, 10)), "SGD(nesterov) expects True or False; got Cos"),
    (lambda: Adam(amsgrad=CosineDecay(0.1, 10)), "Adam(amsgrad) expects True or False; got Cos"),
    (lambda: Adam(use_ema="no"), "Adam(use_ema) expects True or False; got 'no'. Write one of"),
    (lambda: PolynomialDecay(0.1, 10, cycle=Adam()), "PolynomialDecay(cycle) expects True or"),
    (lambda: Linear(3, bias=None), "Linear(bias) expects True or False; got None"),
])  # fmt: skip
def test_what_is_not_yes_or_no_is_not_taken_for_yes(make: Any, text: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value).startswith(text)


def test_yes_and_no_of_numpy_and_in_numbers_are_fine() -> None:
    assert Adam(amsgrad=np.bool_(True)).amsgrad and not Linear(3, bias=0).use_bias


# ---- rates ----------------------------------------------------------------------------------


def test_a_schedule_is_an_instance() -> None:
    with pytest.raises(TypeError, match=r"got the class CosineDecay. Write CosineDecay\(...\)"):
        SGD(CosineDecay)


@pytest.mark.parametrize(("schedule", "error", "message"), [
    (lambda step: "x", ValueError, "expects a finite number of 0 or more, or a schedule; got 'x'"),
    (lambda step: -1.0, ValueError, "got -1.0"),
    (lambda: 0.1, TypeError, "a function of the number of updates; got <function"),
])
def test_a_function_that_gives_no_rate_is_refused_before_training(schedule, error, message) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(SGD(schedule), "mse")
    with pytest.raises(error, match=message):
        model.fit([[0.0], [1.0]], [[0.0], [1.0]], verbose=0)
    assert not model.built


def test_a_slope_is_a_number() -> None:
    with pytest.raises(ValueError, match=r"LeakyReLU\(negative_slope\) expects a finite number"):
        LeakyReLU("a")


# ---- what modules are called on -------------------------------------------------------------


@pytest.mark.parametrize("x", [np.ones((2, 3)), [[1.0, 2.0]], None, ()])
def test_a_module_is_called_on_tensors(x: Any) -> None:
    with pytest.raises(TypeError, match=r"Linear\(3\)\(x\) expects a tensor, or a tuple or dict"):
        Linear(3)(x)


def test_a_loss_of_classes_needs_two_of_them_also_by_itself() -> None:
    with pytest.raises(ValueError, match="two classes or more"):
        Focal()(torch.randn(4, 1), torch.ones(4, 1))


def test_several_targets_in_a_list_are_told_where_to_go() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="several inputs or targets come in a tuple"):
        model.fit(np.ones((4, 2)), [np.ones((4, 1)), np.ones((4, 2))], verbose=0)


# ---- batches that a batch norm cannot take, and a frozen one --------------------------------


def test_a_last_batch_of_one_sample_is_refused_before_training() -> None:
    model = Model(Linear(4), BatchNorm1d(), Linear(1), device="cpu")
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"fit\(batch_size\) expects batches of 2 samples or more, "
                                         r"for BatchNorm1d\(\) at '1'; got 33 samples in batches"):
        model.fit(numbers(33, 5), numbers(33, 1), verbose=0)
    assert not model.built
    model.fit(numbers(33, 5), numbers(33, 1), batch_size=11, verbose=0)
    images = Model(Conv2d(2, kernel_size=3), BatchNorm2d(), Flatten(), Linear(1), device="cpu")
    images.compile("adam", "mse")
    images.fit(numbers(3, 1, 5, 5), numbers(3, 1), batch_size=2, verbose=0)  # many values a channel


def test_a_frozen_batch_norm_keeps_its_statistics_as_in_keras() -> None:
    model = Model(Linear(4), BatchNorm1d(), Linear(1), device="cpu")
    model.compile("adam", "mse")
    x, y = numbers(32, 5).float(), numbers(32, 1).float()
    model.fit(x, y, verbose=0)
    norm = model.module[1]
    norm.trainable = False
    before = norm.state_dict()
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
    norm.trainable = True
    model.fit(x, y, verbose=0)
    assert not torch.equal(before["running_mean"], norm.state_dict()["running_mean"])


def test_a_model_in_bfloat16_predicts() -> None:
    model = Model(Linear(2, dtype=torch.bfloat16), device="cpu")
    assert model.predict(numbers(3, 4), verbose=0).dtype == np.float32
