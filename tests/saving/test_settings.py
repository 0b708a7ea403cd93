"""What was set on an object after it was made is in its file, or is refused by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kerasish import Model, layers, losses, metrics, optimizers
from kerasish.configured import Configured, argument_names
from kerasish.containers import Parallel
from kerasish.losses import named as named_losses
from kerasish.module import Module
from kerasish.saving.known import NAMES
from kerasish.saving.objects import decode, encode
from kerasish.saving.settings import changed_settings, made_from, present_config
from tests.saving.test_objects import instances
from tests.table import MODULES

X = np.random.RandomState(0).randn(8, 4).astype("float32")


def others(value: Any) -> list[Any]:
    """Plain values of the same kind that a setting may be set to."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value]
    if isinstance(value, float):
        return [value / 2, value + 0.25, 0.75]
    if value is None:
        return [0.5, 1, True]
    texts = ["mean", "sum", "none", "same", "valid", "zeros", "relu", "tanh", "batch", "macro"]
    return [each for each in texts if each != value] if isinstance(value, str) else []


def settable(value: Configured) -> Iterator[tuple[str, Any]]:
    """The settings of an object that a constructor would take and keep, with another value."""
    for name in argument_names(type(value))[0]:
        for other in others(vars(value)[name]) if name in vars(value) else []:
            try:
                twin = made_from(type(value), value.get_config() | {name: other})
            except Exception:  # the constructor would not take it
                continue
            if vars(twin).get(name) == other != vars(value)[name]:
                yield name, other
                break


def every() -> Iterator[Any]:
    made = set()
    for row in MODULES:
        if "Lambda" not in row.id and type(row.make()) not in made:
            made.add(type(row.make()))
            yield pytest.param(row.make, id=row.id)
    for param in instances():
        (value,) = param.values
        yield pytest.param(lambda value=value: made_from(type(value), value.get_config()),
                           id=param.id)


@pytest.mark.parametrize("make", list(every()))
def test_each_setting_that_is_set_later_is_saved(make: Any) -> None:
    assert changed_settings(make()) == {}
    for name, other in settable(make()):
        value = make()
        setattr(value, name, other)
        stored, tensors = encode(value, "part")
        loaded = decode("net", "part", stored, tensors)
        assert vars(loaded)[name] == other, name


def test_most_settings_were_tried() -> None:
    assert sum(len(list(settable(param.values[0]()))) for param in every()) > 150


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in MODULES])
def test_what_build_has_learned_was_not_set(row: Any) -> None:
    for part in row.built().modules():
        if type(part) not in NAMES:
            continue  # made by another one
        assert present_config(part) == part.get_config()


@pytest.mark.parametrize("loss", list(named_losses))
def test_nothing_that_was_trained_counts_as_set(loss: str, tmp_path: Path) -> None:
    targets = {3: np.array([0, 1, 2, 0] * 2), 1: np.array([[0.0], [1.0]] * 4, "float32"),
               2: np.ones((8, 1), "float32"), 6: np.ones((8, 1), "float32")}
    for units, y in targets.items():
        model = Model(layers.Linear(units), device="cpu")
        try:
            model.compile("adam", loss, metrics=["accuracy", "mae"])
            model.fit(X, y, verbose=0, seed=0)
        except (IndexError, TypeError, ValueError):
            continue
        for value in (model.loss, model.optimizer, *model.metrics.values()):
            assert changed_settings(value) == {}
        model.save(tmp_path / "net")
        assert Model.load(tmp_path / "net", device="cpu").compile_arguments["optimizer"] == "adam"


def test_no_random_number_is_drawn_and_nothing_is_said() -> None:
    lstm = layers.LSTM(3, num_layers=2, dropout=0.5)
    lstm.num_layers, state = 1, torch.get_rng_state()
    assert present_config(lstm)["num_layers"] == 1
    assert torch.equal(state, torch.get_rng_state())


def compiled(**given: Any) -> Model:
    model = Model(layers.Linear(4), layers.Dropout(0.5), layers.Linear(1), device="cpu")
    model.compile(**{"optimizer": "adam", "loss": "mse"} | given)
    model.build((4,))
    return model


def test_what_stands_behind_names_is_saved_as_it_is_now(tmp_path: Path) -> None:
    model = compiled(loss="huber")
    model.optimizer.weight_decay, model.optimizer.beta_1 = 0.25, 0.5
    model.loss.delta = 3.0
    model.module.layers[1].p = 0.125
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert (loaded.optimizer.weight_decay, loaded.optimizer.beta_1) == (0.25, 0.5)
    assert (loaded.loss.delta, loaded.module.layers[1].p) == (3.0, 0.125)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "net").read_bytes()


def test_what_was_given_is_saved_as_it_is_now(tmp_path: Path) -> None:
    top = metrics.TopKCategoricalAccuracy(2)
    model = compiled(optimizer=optimizers.SGD(0.1, momentum=0.9), loss=losses.CrossEntropy(),
                     metrics=[top])
    model.optimizer.momentum, model.loss.label_smoothing, top.k = 0.5, 0.25, 3
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert (loaded.optimizer.momentum, loaded.loss.label_smoothing) == (0.5, 0.25)
    assert loaded.compile_arguments["metrics"][0].k == 3


@pytest.mark.parametrize(("given", "change", "match"), [
    ({"metrics": ["top_k_categorical_accuracy", None]},
     lambda m: setattr(m.metrics["output_0_top_k_categorical_accuracy"].metric, "k", 3),
     "expects metrics whose settings compile was given; got k of a TopK.* later. Give compile"),
    ({"loss": ["huber", "mse"]}, lambda m: setattr(m.loss.parts[0].loss, "delta", 2.0),
     "loss whose settings compile was given; got delta of a Huber that was set later. Give"),
])  # fmt: skip
def test_what_several_names_stand_for_is_refused_if_it_was_set(
    given: Any, change: Any, match: str, tmp_path: Path
) -> None:
    model = Model(Parallel(layers.Linear(4), layers.Linear(4)), device="cpu")
    model.compile("adam", **{"loss": ["ce", "mse"]} | given)
    model.save(tmp_path / "net")
    change(model)
    with pytest.raises(ValueError, match=match):
        model.save(tmp_path / "net")


def test_a_part_that_another_one_makes_is_refused_if_it_was_set(tmp_path: Path) -> None:
    layer = layers.TransformerEncoderLayer(nhead=2)
    model = Model(layers.TransformerEncoder(layer, 2), device="cpu")
    model.save(tmp_path / "net")
    name, inner = next((name, part) for name, part in model.module.layers[1].named_modules()
                       if isinstance(part, layers.Dropout))
    inner.p = 0.75
    with pytest.raises(ValueError, match=rf"got TransformerEncoder.layers.1.{name}.p, set on a "
                                         r"part that TransformerEncoder.*makes by itself. Make"):
        model.save(tmp_path / "net")


class Fixed(Module):
    """Makes of its setting what it likes."""

    def __init__(self, k: int = 2) -> None:
        self.k = min(k, 3)


class Learning(Module):
    def __init__(self, units: int | None = None) -> None:
        self.units = units

    def build(self, shape: Any) -> Any:
        self.units = shape[0]
        return shape


def test_what_the_constructor_would_not_take_is_refused_by_name() -> None:
    value = Fixed(9)
    assert present_config(value) == {"k": 9}
    value.k = 4
    with pytest.raises(ValueError, match=r"Model.save expects settings that Fixed\(...\) can be "
                       "made with; got k = 4, set after it was made, which it does not take so. "
                       "Make a new Fixed with that setting"):
        encode(value, "part")
    dropout = layers.Dropout(0.5)
    dropout.p = 7
    with pytest.raises(ValueError, match=r"got p = 7, .*and then: Dropout\(p\) expects a number"):
        encode(dropout, "part")
    learning = Learning()
    learning.build((5,))
    assert present_config(learning) == {}
    learning.units = 6
    with pytest.raises(ValueError, match="got units = 6, set after it was made, which it does not"):
        present_config(learning)


def test_a_class_that_hides_its_arguments_still_tells_what_was_set() -> None:
    class Hiding(Fixed):
        def get_config(self) -> dict[str, Any]:
            return {}

    assert present_config(Hiding(3)) == {"k": 3}
    assert present_config(Hiding(2)) == {}
