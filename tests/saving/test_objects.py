"""Everything that kerasish exports goes into a file and comes back as what it was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kerasish import (
    Model,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from kerasish.configured import Configured
from kerasish.containers import Add, Graph, Input, Sequential, Shared
from kerasish.module import Module
from kerasish.node import Node
from kerasish.random import drawing_from
from kerasish.saving import ModelFileError
from kerasish.saving.known import HANG, KNOWN, with_custom
from kerasish.saving.objects import decode, encode
from kerasish.trees import filled, leaves
from tests.table import LOSSES, MODULES


def through(tree: Any, *custom: type) -> Any:
    stored, tensors = encode(tree, "part")
    return decode("net", "part", stored, tensors, custom)


def plain(value: Any) -> Any:
    """Something that compares equal where objects say the same."""
    if isinstance(value, Node):
        return "node", plain(value.module), plain(value.inputs), value.shape
    if isinstance(value, Configured):
        return type(value), plain(value.get_config())
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [plain(part) for part in value]
    if isinstance(value, Tensor | np.ndarray):
        return type(value), value.dtype, value.tolist()
    return repr(value)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in MODULES
                                 if "Lambda" not in row.id])
def test_modules(row: Any, tmp_path: Path) -> None:
    module = row.built(seed=3)
    model = Model(module, device="cpu")
    model.save(tmp_path / "net")
    state = torch.get_rng_state()
    loaded = Model.load(tmp_path / "net", device="cpu").module
    assert torch.equal(torch.get_rng_state(), state)
    assert plain(loaded) == plain(module)
    x = row.x()
    for a, b in zip(leaves(module(x)), leaves(loaded(x)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    for a, b in zip(after_a_step(module, x), after_a_step(loaded, x), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def after_a_step(module: Module, x: Any) -> list[Tensor]:
    """The state after one update in training, from the same noise."""
    module.train().zero_grad()
    with drawing_from(torch.Generator().manual_seed(5)):
        y = module(x)
    module.backward(filled(y, map(torch.ones_like, leaves(y))))
    optimizers.SGD(0.1).build(module.parameters()).step()
    return list(module.state_dict().values())


def instances() -> Iterator[Any]:
    """One of each, with arguments where they are needed."""
    arguments: dict[str, tuple[Any, ...]] = {
        "schedules.CosineDecay": (0.1, 10), "schedules.CosineDecayRestarts": (0.1, 10),
        "schedules.ExponentialDecay": (0.1, 10, 0.5), "schedules.InverseTimeDecay": (0.1, 10, 0.5),
        "schedules.PiecewiseConstantDecay": ([1, 2], [0.1, 0.2, 0.3]),
        "schedules.PolynomialDecay": (0.1, 10), "schedules.OneCycle": (0.1, 10),
        "schedules.Constant": (0.1,), "metrics.LossMetric": (losses.MSE(),),
    }
    for name, cls in KNOWN.items():
        if not name.startswith(("layers", "containers")):
            try:
                yield pytest.param(cls(*arguments.get(name, ())), id=name)
            except TypeError:  # a constructor with another signature
                yield pytest.param(cls(2), id=name)


@pytest.mark.parametrize("value", list(instances()))
def test_losses_metrics_and_so_on(value: Any) -> None:
    assert plain(through(value)) == plain(value)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in LOSSES])
def test_losses_give_the_same_numbers(row: Any) -> None:
    loss, batch = row.make(), row.batch(4)
    again = through(loss)
    torch.testing.assert_close(again(*batch), loss(*batch), rtol=0, atol=0)
    for a, b in zip(leaves(again.backward()), leaves(loss.backward()), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def compiled_with(value: Any) -> Model:
    """A model that trains with this optimizer, schedule, initializer and so on."""
    hung = {f"weight_{kind.__name__.lower()}": value for kind in HANG if isinstance(value, kind)}
    optimizer: Any = value if isinstance(value, optimizers.Optimizer) else (
        optimizers.SGD(value if isinstance(value, schedules.Schedule) else 0.1))
    metric = [value] if isinstance(value, metrics.Metric) else None
    model = Model(layers.Linear(4, **hung), layers.Dropout(0.3), layers.Linear(1), device="cpu")
    model.compile(optimizer, "mse", metrics=metric)
    return model


@pytest.mark.parametrize("value", [each for each in instances() if not isinstance(
    each.values[0], losses.Loss | metrics.Metric) and "NormConstraint" not in each.id])
def test_a_loaded_model_predicts_and_trains_on_to_the_bit(value: Any, tmp_path: Path) -> None:
    x, y = torch.rand(6, 3), torch.rand(6, 1)
    model = compiled_with(value)
    model.fit(x, y, epochs=2, verbose=0, seed=1)
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert (loaded.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    for each in (model, loaded):
        each.fit(x, y, epochs=3, initial_epoch=2, verbose=0, seed=2)
    assert loaded.history.history == model.history.history
    for a, b in zip(*(each.module.state_dict().values() for each in (loaded, model)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("value", [each for each in instances() if isinstance(
    each.values[0], metrics.Metric)])
def test_metrics_give_the_same_numbers(value: Any) -> None:
    found = []
    for metric in (value, through(value)):
        try:
            metric.reset()
            metric.update(torch.tensor([[0.2], [0.9], [0.6]]), torch.tensor([[0.0], [1.0], [0.0]]))
            found.append(repr(metric.result()))
        except (TypeError, ValueError, NotImplementedError) as error:  # other data, or a base
            found.append(str(error))
    assert found[0] == found[1]


def test_nested_objects_and_settings_of_all_kinds() -> None:
    linear = layers.Linear(
        3, weight_initializer=initializers.Constant(2.0), weight_regularizer=regularizers.L2(0.5),
        weight_constraint=constraints.MaxNorm(1.0))
    adam = optimizers.Adam(schedules.CosineDecay(0.1, 10), clipnorm=1.0)
    tree = {"a": (linear, adam), "b": [float("inf"), -0.0, None, True, "x", torch.float16],
            "c": {1: torch.ones(2), "n": np.arange(3), "s": np.float32(1.5)}}
    assert plain(through(tree)) == plain(tree)
    assert through((torch.device("cpu"), torch.Size((2, 3)))) == (None, (2, 3))


def test_what_is_one_object_stays_one() -> None:
    linear = layers.Linear(3)
    back = through((Shared(linear), Sequential(linear, layers.ReLU(), linear)))
    assert back[0].module is back[1].layers[0] is back[1].layers[2]


def test_graphs_with_sharing_of_any_depth(tmp_path: Path) -> None:
    linear, x = layers.Linear(3), Input((3,))
    h = x
    for _ in range(300):
        h = Add()((linear(h), x))
    model = Model(Graph({"x": x}, (h, linear(x))), device="cpu")
    model.build({"x": (3,)})
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu").module
    batch = {"x": torch.rand(2, 3)}
    assert len(list(loaded.parameters())) == 2
    for a, b in zip(loaded(batch), model.module(batch), strict=True):
        assert torch.equal(a, b)


def test_what_was_appended_is_kept() -> None:
    assert len(through(Sequential(layers.ReLU()).append(layers.Tanh())).layers) == 2


class Scale(Module):
    """y = k x."""

    def __init__(self, k: float) -> None:
        self.k = k

    def forward(self, x: Any) -> Any:
        return self.k * x

    def backward(self, dy: Any) -> Any:
        return self.k * dy


def test_classes_of_the_caller() -> None:
    stored, tensors = encode(Sequential(Scale(2.0)), "part")
    assert [row["class"] for row in stored["objects"]] == ["custom.Scale", "containers.Sequential"]
    assert decode("net", "part", stored, tensors, (Scale,)).layers[0].k == 2.0
    with pytest.raises(ModelFileError, match=r"load\(path, custom=\(Scale,\)\)"):
        decode("net", "part", stored, tensors)
    assert Scale in with_custom(Scale).values()


def test_custom_classes_that_cannot_be() -> None:
    other = type("Scale", (Scale,), {})
    with pytest.raises(ValueError, match="got two called 'Scale'"):
        with_custom((Scale, other))
    with pytest.raises(ValueError, match="got two called 'Scale'"):
        encode((Scale(1.0), other(1.0)), "part")
    for wrong in (int, Scale(1.0), "Scale", Module):
        with pytest.raises(TypeError, match=r"expects classes of modules"):
            with_custom((wrong,))  # type: ignore[arg-type]
    for given in (None, "Scale", {"Scale": Scale}, 3):
        with pytest.raises(TypeError, match=r"expects classes of mod.*Write custom=.MyLayer, My"):
            with_custom(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(("make", "place"), [
    (lambda: layers.Lambda(abs, abs), "Lambda"),
    (lambda: layers.Lambda(layers.ReLU(), layers.ReLU()), "part"),
    (lambda: metrics.ScikitMetric(abs), "ScikitMetric.function"),
    (lambda: optimizers.SGD(lambda step: 0.1), "learning_rate"),
    (lambda: {"metrics": [lambda y, p: 0]}, "metrics.0"),
])  # fmt: skip
def test_functions_are_refused(make: Any, place: str) -> None:
    with pytest.raises(TypeError, match=rf"got the function .*{place}.*Write it as a class"):
        encode(make(), "part")


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match=r"got set at 'a.0'. Convert it"):
        encode({"a": [{1}]}, "part")


@pytest.mark.parametrize(("kind", "expected"), [
    ("layers.Linaer", "or 'layers.Linear'"), ("os.system", "a class that is known"),
    ("kerasish.layers.Linear", "a class that is known"), ("custom.Mine", r"custom=\(Mine,\)"),
])  # fmt: skip
def test_unknown_classes(kind: str, expected: str) -> None:
    stored = {"objects": [{"class": kind, "config": {}}], "tree": {"$object": 0}}
    with pytest.raises(ModelFileError, match=expected):
        decode("net", "part", stored, {})


def test_objects_in_the_wrong_slot() -> None:
    stored, tensors = encode((metrics.MSE(), optimizers.SGD(0.1)), "part")
    stored["objects"][1]["config"] = {"learning_rate": {"$object": 0}}
    with pytest.raises(ModelFileError, match="expects Schedule among the settings of optimizers"):
        decode("net", "part", stored, tensors)


def test_errors_of_constructors_name_the_object() -> None:
    stored, tensors = encode(layers.Dropout(0.5), "part")
    stored["objects"][0]["config"]["p"] = 7.0
    with pytest.raises(ModelFileError, match=r"object 0 of the part, layers.Dropout, is refused"):
        decode("net", "part", stored, tensors)


def test_nets_that_could_not_be_read_again_are_not_written() -> None:
    with pytest.raises(ValueError, match="expects at most 4,000 objects and 64 levels"):
        encode(Sequential([layers.ReLU() for _ in range(4001)]), "part")
    deep: Module = layers.ReLU()
    for _ in range(64):
        deep = Sequential(deep)
    with pytest.raises(ValueError, match="objects and 64 levels of them; got more"):
        encode(deep, "part")
