"""What is inside a model: layers by path, class and place, weights as arrays, and their number."""

from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model, Sequential
from kerasish.containers import Residual
from kerasish.layers import BatchNorm1d, Linear, ReLU, Tanh
from tests.table import numbers


def net() -> Model:
    encoder = Sequential(Linear(3), BatchNorm1d(), ReLU())
    model = Model(encoder, Residual(Linear(3)), Tanh(), Linear(1, bias=False), device="cpu")
    model.build((4,))
    return model


# ---- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "type_"), [
    ("0", Sequential), ("0.1", BatchNorm1d), ("1.body", Linear), ("3", Linear),
    ("batch_norm1d", BatchNorm1d), ("residual", Residual), ("tanh", Tanh),
    ("sequential", Sequential),
])
def test_a_layer_is_found_by_its_path_and_by_its_class(name: str, type_: type) -> None:
    assert type(net().get_layer(name)) is type_


def test_a_path_is_the_one_of_the_state_dict() -> None:
    model = net()
    for path in model.module.state_dict():
        layer, _, name = path.rpartition(".")
        assert hasattr(model.get_layer(layer), name)


def test_layers_are_those_on_top_and_have_places() -> None:
    model = net()
    assert [type(each) for each in model.layers] == [Sequential, Residual, Tanh, Linear]
    for index in range(-4, 4):
        assert model.get_layer(index=index) is model.layers[index]


def test_a_model_of_one_module_has_one_layer() -> None:
    model = Model(Linear(2), device="cpu")
    assert model.layers == [model.module]
    assert model.get_layer("linear") is model.get_layer(index=0) is model.module


def test_a_shared_layer_is_one_of_its_class_and_at_each_of_its_paths() -> None:
    shared = Linear(3)
    model = Model(shared, Tanh(), shared, device="cpu")
    assert model.get_layer("linear") is model.get_layer("0") is model.get_layer("2") is shared
    assert model.layers == [shared, model.module[1], shared]


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({}, ValueError, "expects a name or an index; got None and None"),
    ({"name": "0", "index": 0}, ValueError, "got '0' and 0. Give one of them"),
    ({"name": "tanhh"}, ValueError, "got 'tanhh'. Did you mean 'tanh'"),
    ({"name": "1.bod"}, ValueError, "Did you mean '1.body'"),
    ({"name": ""}, ValueError, "expects the path of a layer, or its class in snake_case; got ''"),
    ({"name": "linear"}, ValueError, "of which there are 3. Say which by its path: '0.0', "
                                     "'1.body', '3'."),
    ({"name": 0}, TypeError, "expects a string; got 0. Write index=..."),
    ({"index": 4}, ValueError, "expects -4 to 3, as the model has 4 layers on top; got 4"),
    ({"index": -5}, ValueError, "got -5"),
    ({"index": "0"}, ValueError, "expects a whole number; got '0'"),
])
def test_a_layer_that_is_not_there_is_refused(arguments: Any, error: type, message: str) -> None:
    with pytest.raises(error) as refused:
        net().get_layer(**arguments)
    assert message in str(refused.value) and str(refused.value).startswith("Model.get_layer")


# ---- weights ------------------------------------------------------------------------------------


def test_weights_are_arrays_in_the_order_of_the_state_dict() -> None:
    model = net()
    state = model.module.state_dict()
    arrays = model.get_weights()
    assert all(isinstance(array, np.ndarray) for array in arrays)
    for array, tensor, value in zip(arrays, model.weights, state.values(), strict=True):
        np.testing.assert_array_equal(array, value.numpy())
        assert torch.equal(tensor, value)


def test_weights_put_back_give_the_same_predictions() -> None:
    one, other, x = net(), net(), numbers(5, 4)
    assert not np.array_equal(one.predict(x, verbose=0), other.predict(x, verbose=0))
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(one.predict(x, verbose=0), other.predict(x, verbose=0))


def test_arrays_are_copies_and_weights_are_the_tensors_themselves() -> None:
    model = net()
    array = model.get_weights()[0]
    array[:] = 7.0
    assert not (model.weights[0] == 7).any()
    model.weights[0].fill_(7.0)
    assert (model.get_weights()[0] == 7).all()


def test_setting_weights_of_a_compiled_model_trains_on_from_them() -> None:
    model = net()
    model.compile("sgd", "mse")
    model.fit(numbers(8, 4), numbers(8, 1), verbose=0)
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    assert all(not flat.data.any() for flat in model.optimizer.flats)


def test_what_is_shared_comes_once() -> None:
    shared = Linear(4)
    model = Model(shared, Tanh(), shared, device="cpu")
    model.build((4,))
    assert [array.shape for array in model.get_weights()] == [(4, 4), (4,)]
    assert model.count_params() == 20
    model.set_weights([np.ones((4, 4)), np.ones(4)])
    assert (shared.weight.data == 1).all()


def test_a_parameter_of_two_modules_comes_once() -> None:
    one, other = Linear(3, bias=False), Linear(3, bias=False)
    model = Model(one, other, device="cpu")
    model.build((3,))
    other.weight = one.weight
    assert len(model.weights) == len(model.get_weights()) == 1 and model.count_params() == 9
    model.set_weights([np.zeros((3, 3))])
    assert not other.weight.data.any()


def test_weights_take_lists_tensors_and_other_types() -> None:
    model = Model(Linear(2), device="cpu")
    model.build((1,))
    model.set_weights(([[1], [2]], torch.tensor([3.0, 4.0], dtype=torch.float64)))
    assert [array.tolist() for array in model.get_weights()] == [[[1.0], [2.0]], [3.0, 4.0]]


def test_weights_in_bfloat16_come_as_float32_and_go_back() -> None:
    model = Model(Linear(2, dtype=torch.bfloat16), device="cpu")
    model.build((1,))
    arrays = model.get_weights()
    assert [array.dtype for array in arrays] == [np.float32, np.float32]
    before = [tensor.clone() for tensor in model.weights]
    model.set_weights(arrays)
    assert all(map(torch.equal, before, model.weights))


def test_what_training_changes_is_told_apart() -> None:
    model = net()
    norm = model.get_layer("batch_norm1d")
    assert len(model.trainable_weights) == 7 and len(model.non_trainable_weights) == 3
    assert any(value is norm.running_mean for value in model.non_trainable_weights)
    norm.trainable = False
    assert len(model.trainable_weights) == 5 and len(model.non_trainable_weights) == 5
    assert len(model.weights) == 10


def test_a_model_is_frozen_as_a_whole_at_any_time() -> None:
    model = Model(Linear(2), Tanh(), Linear(1), device="cpu")
    assert model.trainable
    model.trainable = False
    assert not model.trainable and not model.module.trainable
    model.compile("sgd", "mse")
    model.build((3,))
    before = model.get_weights()
    model.fit(numbers(8, 3), numbers(8, 1), verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))
    assert model.trainable_weights == [] and model.count_params() == 11
    model.trainable = True
    model.fit(numbers(8, 3), numbers(8, 1), verbose=0)
    assert not any(map(np.array_equal, before, model.get_weights()))


def test_parameters_are_counted_without_buffers() -> None:
    assert net().count_params() == (4 * 3 + 3) + (3 + 3) + (3 * 3 + 3) + 3


# ---- what does not fit --------------------------------------------------------------------------


def change(place: int, value: Any) -> Any:
    return lambda arrays: [*arrays[:place], value, *arrays[place + 1 :]]


@pytest.mark.parametrize(("alter", "error", "message"), [
    (lambda arrays: arrays[:-1], ValueError,
     "expects 10 arrays; got 9. The first without one is '3.weight', of Linear(1, bias=False)."),
    (lambda arrays: [*arrays, arrays[0]], ValueError, "expects 10 arrays; got 11. Give as many"),
    (lambda arrays: [], ValueError, "got 0. The first without one is '0.0.weight', of Linear(3)"),
    (change(9, np.ones((3, 1))), ValueError,
     "expects shape (1, 3) for '3.weight', of Linear(1, bias=False); got (3, 1)"),
    (change(2, 1.0), ValueError, "expects shape (3,) for '0.1.weight', of BatchNorm1d()"),
    (change(0, [["a"] * 4] * 3), TypeError,
     "Model.set_weights(weights), for '0.0.weight' of Linear(3), expects numbers; got list of <U1"),
    (change(0, None), TypeError, "expects numbers; got NoneType"),
    (change(0, [[1.0] * 4, [1.0]]), ValueError, "for '0.0.weight' of Linear(3), expects rows of"),
    (change(0, torch.ones(3, 4) * 1j), TypeError, "expects real numbers; got torch.complex64"),
    (change(0, torch.ones(3, 4).to_sparse()), TypeError, "Write x.to_dense()"),
    (lambda arrays: dict(enumerate(arrays)), TypeError, "model.module.load_state_dict for a dict"),
    (lambda arrays: arrays[0], TypeError, "a list of arrays, as get_weights() gives it; got nd"),
])
def test_weights_that_do_not_fit_are_named_and_change_nothing(
    alter: Any, error: type, message: str
) -> None:
    model = net()
    before = model.get_weights()
    with pytest.raises(error) as refused:
        model.set_weights(alter([array + 1 for array in before]))
    assert message in str(refused.value)
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("ask", [
    lambda model: model.get_weights(),
    lambda model: model.set_weights([]),
    lambda model: model.count_params(),
    lambda model: model.weights,
    lambda model: model.trainable_weights,
    lambda model: model.non_trainable_weights,
])
def test_a_model_without_parameters_yet_says_how_to_make_them(ask: Any) -> None:
    with pytest.raises(RuntimeError, match=r"^Model\.\w+.* expects a model that is built; got one "
                                           r"without parameters yet\. Call model\.build\(shape\)"):
        ask(Model(Linear(2), Linear(1), device="cpu"))
