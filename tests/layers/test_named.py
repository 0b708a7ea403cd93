"""What is special to activations by name: Keras' and torch's words, and the nearest ones."""

from typing import Any

import pytest

from kerasish import layers
from kerasish.layers import GELU, Identity, LeakyReLU, Linear, ReLU, ReLU6, SiLU, Tanh
from kerasish.layers.activations.named import activation


@pytest.mark.parametrize(("name", "cls"), [
    ("relu", ReLU), ("ReLU", ReLU), ("relu6", ReLU6), ("gelu", GELU), ("tanh", Tanh),
    ("leaky_relu", LeakyReLU), ("leakyrelu", LeakyReLU), ("swish", SiLU), ("silu", SiLU),
    ("linear", Identity),
])
def test_a_name_makes_a_new_activation(name: str, cls: type) -> None:
    assert type(activation(name)) is cls and activation(name) is not activation(name)


@pytest.mark.parametrize("name", [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "swish", "tanh",
    "tanh_shrink",
])
def test_names_that_keras_knows_are_known(name: str) -> None:
    found = activation(name)
    assert found.build((4,)) and type(found).__name__ in layers.__all__


def test_an_instance_stays_what_it_is() -> None:
    for module in (LeakyReLU(0.3), Linear(3)):
        assert activation(module) is module


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"activation expects a name that is known, .*; got "
                                         r"'rleu'\. Did you mean .*'relu'"):
        activation("rleu")


@pytest.mark.parametrize(("value", "fix"), [(ReLU, r"Write ReLU\(\.\.\.\)"),
                                            (None, "Write activation='relu'"),
                                            (abs, "Write activation='relu'")])
def test_a_class_or_anything_else_is_refused(value: Any, fix: str) -> None:
    with pytest.raises(TypeError, match=rf"activation expects a name, or an instance of .*{fix}"):
        activation(value)
