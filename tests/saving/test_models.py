"""Models in files: they come back as they were, train on to the bit, and errors change nothing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kerasish
from kerasish import (
    Model,
    Sequential,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from kerasish.module import Module
from kerasish.optimizers import Adam
from kerasish.parameter import Parameter
from kerasish.saving import ModelFileError, read_file, write_file
from kerasish.schedules import CosineDecay

X = np.random.RandomState(0).randn(48, 4).astype("float32")
Y = X[:, :1] * 2


def net(hidden: int = 8) -> Model:
    return Model(layers.Linear(hidden, weight_regularizer="l2"), layers.BatchNorm1d(),
                 layers.ReLU(), layers.Dropout(0.3), layers.Linear(1), device="cpu")


def values(model: Model) -> list[Any]:
    return [each.tolist() for each in model.module.state_dict().values()]


def test_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    model = net()
    model.compile(optimizers.Adam(schedules.CosineDecay(0.05, 100), use_ema=True,
                                  gradient_accumulation_steps=2), "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0, seed=1)
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert (loaded.epochs_trained, loaded.batches_trained) == (2, model.batches_trained)
    first, second = (each.fit(X, Y, batch_size=16, epochs=4, initial_epoch=2, verbose=0, seed=2)
                     for each in (model, loaded))
    assert first.history == second.history
    assert values(model) == values(loaded)


def test_micro_batches_that_wait_are_kept(tmp_path: Path) -> None:
    model = net()
    model.compile(optimizers.SGD(0.1, gradient_accumulation_steps=3), "mse")
    model.train_on_batch(X, Y)
    assert model.optimizer.gathered_batches == 1
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    for each in (model, loaded):
        for part in each.module.modules():
            if isinstance(part, layers.Dropout):
                part.p = 0.0
        each.train_on_batch(X, Y)
        each.train_on_batch(X, Y)
    assert values(model) == values(loaded)


def test_a_rate_that_was_set_and_a_schedule_that_was_set(tmp_path: Path) -> None:
    for rate in (0.025, schedules.Constant(0.5)):
        model = net()
        model.compile("adam", "mse")
        model.build((4,))
        model.optimizer.learning_rate = rate
        model.save(tmp_path / "net")
        loaded = Model.load(tmp_path / "net", device="cpu")
        assert loaded.compile_arguments["optimizer"] == "adam"
        assert loaded.optimizer.learning_rate == model.optimizer.learning_rate


def test_what_was_set_on_parameters(tmp_path: Path) -> None:
    model = net()
    model.build((4,))
    model.module.layers[0].trainable = False
    model.module.layers[4].weight.regularizer = regularizers.L1(0.5)
    model.module.layers[4].bias.learning_rate_multiplier = 2.0
    model.module.layers[0].weight.regularizer = None
    model.save(tmp_path / "net")
    first, *_, last = Model.load(tmp_path / "net", device="cpu").module.layers
    assert not first.trainable and not first.weight.trainable and first.weight.regularizer is None
    assert last.weight.regularizer.l1 == 0.5
    assert last.bias.learning_rate_multiplier == 2.0


def test_unbuilt_and_uncompiled_models(tmp_path: Path) -> None:
    model = net()
    model.module.layers[0].trainable = False
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert not loaded.built and not loaded.compiled and not loaded.module.layers[0].trainable
    part = layers.Linear(3)
    part.build((2,))
    model = Model(part, layers.Linear(1), device="cpu")
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu")
    assert loaded.module.layers[0].weight.data.equal(part.weight.data)
    assert not loaded.built


def test_weights_alone(tmp_path: Path) -> None:
    model, other, unbuilt = net(), net(), net()
    for each in (model, other):
        each.build((4,))
    with pytest.raises(RuntimeError, match="expects a model that is built"):
        unbuilt.save_weights(tmp_path / "weights")
    model.save_weights(tmp_path / "weights")
    model.save(tmp_path / "net")
    for name in ("weights", "net"):
        other, unbuilt = net(), net()
        other.build((4,))
        assert other.load_weights(tmp_path / name) == []
        unbuilt.load_weights(tmp_path / name)
        unbuilt.build((4,))
        assert values(other) == values(unbuilt) == values(model)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    model, other = net(), net(5)
    model.build((4,))
    other.build((4,))
    model.save_weights(tmp_path / "weights")
    before = values(other)
    with pytest.raises(ModelFileError) as caught:
        other.load_weights(tmp_path / "weights")
    line = "    0.weight: float32 (5, 4) in the net, float32 (8, 4) in the file\n"
    assert line in str(caught.value)
    assert values(other) == before
    left_out = other.load_weights(tmp_path / "weights", strict=False)
    assert "0.weight" in left_out and "4.bias" not in left_out
    assert other.module.layers[4].bias.data.equal(model.module.layers[4].bias.data)
    with pytest.raises(RuntimeError, match="expects a model that is built"):
        net().load_weights(tmp_path / "weights", strict=False)


def test_old_files_are_kept_if_wished(tmp_path: Path) -> None:
    model = net()
    model.save(tmp_path / "net", overwrite=False)
    model.save(tmp_path / "net")
    for save in (model.save, model.save_weights):
        model.build((4,))
        with pytest.raises(FileExistsError, match="expects a path without a file"):
            save(tmp_path / "net", overwrite=False)


def test_a_function_as_metric_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    model = net()
    model.save(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    model.compile("sgd", "mse", metrics=[lambda y_true, y_pred: (y_true - y_pred).abs()])
    with pytest.raises(TypeError, match=r"at 'compile.metrics.0'.*Write it as a class"):
        model.save(tmp_path / "net")
    assert (tmp_path / "net").read_bytes() == before


def test_weights_that_still_wait_for_a_place(tmp_path: Path) -> None:
    model = net()
    model.module.load_when_built({"0.weight": torch.ones(2)})
    with pytest.raises(ValueError, match=r"Call model.build\(shape\) first"):
        model.save(tmp_path / "net")


class Halved(Module):
    """y = x / 2."""

    def forward(self, x: Any) -> Any:
        return x / 2

    def backward(self, dy: Any) -> Any:
        return dy / 2


def test_models_of_a_class_of_their_own(tmp_path: Path) -> None:
    class Mine(Model):
        pass

    class Other(Model):
        def __init__(self, units: int) -> None:
            super().__init__(layers.Linear(units), device="cpu")

    model = Mine(Halved(), layers.Linear(1), device="cpu")
    model.compile("sgd", "mse")
    model.save(tmp_path / "net")
    assert type(Mine.load(tmp_path / "net", custom=(Halved,), device="cpu")) is Mine
    assert not Mine.load(tmp_path / "net", (Halved,), compile=False, device="cpu").compiled
    plain = Model(Halved(), layers.Linear(1), device="cpu")
    plain.save(tmp_path / "plain")
    assert type(Mine.load(tmp_path / "plain", custom=(Halved,), device="cpu")) is Mine
    with pytest.raises(TypeError, match=r"Give it __init__\(self, module, device='auto'\)"):
        Other.load(tmp_path / "plain", custom=(Halved,))


@pytest.mark.parametrize(("first", "later"), [
    ("adam", 0.3), (CosineDecay(0.1, 10), 0.3), (0.1, CosineDecay(0.2, 10)), (0.1, 0.1),
], ids=["name", "schedule to number", "number to schedule", "as it was"])
def test_a_rate_that_was_set_before_the_net_was_built(
    first: Any, later: Any, tmp_path: Path
) -> None:
    model = net()
    model.compile(first if first == "adam" else Adam(first), "mse")
    model.optimizer.learning_rate = later
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", device="cpu").optimizer
    assert loaded.learning_rate == model.optimizer.learning_rate
    kept, meant = loaded.schedule, model.optimizer.schedule
    assert (kept and kept(5)) == (meant and meant(5))


@pytest.mark.parametrize(("setting", "value", "slot"), [
    ("momentum", 0.5, "velocity"), ("use_ema", True, "average")])
def test_a_setting_that_came_too_late_for_its_slots_is_named(
    setting: str, value: Any, slot: str, tmp_path: Path
) -> None:
    model = net()
    model.build((4,))
    model.compile("sgd", "mse")
    setattr(model.optimizer, setting, value)
    with pytest.raises(ValueError, match=rf"SGD\.state_dict\(\) expects settings .* '{slot}', set"):
        model.save(tmp_path / "net")


def test_files_of_another_kind(tmp_path: Path) -> None:
    model = net()
    model.build((4,))
    model.save_weights(tmp_path / "weights")
    with pytest.raises(ModelFileError, match=r"model.load_weights\(path\) loads it"):
        Model.load(tmp_path / "weights")


def test_the_same_model_gives_the_same_file(tmp_path: Path) -> None:
    model = net()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0, seed=0)
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("name", "compiled"), [
    ("config:net.0", True), ("config:training.7", True), ("config:0", True), ("more", True),
    ("optimizer:m.more", True), ("config:training.0", False), ("optimizer:m.0.weight", False),
])  # fmt: skip
def test_tensors_that_nothing_uses_are_refused_by_name(name, compiled, tmp_path: Path) -> None:
    model = net()
    if compiled:
        model.compile("adam", "mse")
    model.build((4,))
    model.save(tmp_path / "net")
    stored = read_file(tmp_path / "net", ("model",))
    tensors = stored.tensors() | {name: torch.ones(2)}
    write_file(tmp_path / "more", "model", stored.configuration, tensors)
    with pytest.raises(ModelFileError, match=re.escape(name)):
        Model.load(tmp_path / "more", device="cpu")


class Named(Module):
    """Two parts, one after the other, under names that mean something in files, too."""

    def __init__(self, first: str, second: str) -> None:
        self.names = first, second
        for name in self.names:
            setattr(self, name, layers.Linear(2))

    def build(self, shape: Any) -> Any:
        for part in self.children():
            shape = part.build(shape)
        return shape

    def forward(self, x: Any) -> Any:
        for part in self.children():
            x = part(x)
        return x

    def backward(self, dy: Any) -> Any:
        for part in reversed(list(self.children())):
            dy = part.backward(dy)
        return dy


def test_parts_may_be_called_what_files_call_theirs(tmp_path: Path) -> None:
    model = Model(Named("optimizer", "config"), device="cpu")
    model.compile(optimizers.Adam(schedules.PiecewiseConstantDecay([1], np.array([0.1, 0.2]))),
                  "mse")
    model.fit(X, X[:, :2], verbose=0, seed=0)
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", custom=(Named,), device="cpu")
    other = Model(Named("optimizer", "config"), device="cpu")
    other.build((4,))
    other.load_weights(tmp_path / "net")
    assert values(loaded) == values(other) == values(model)
    for each in (model, loaded):
        each.fit(X, X[:, :2], verbose=0, seed=1)
    assert values(loaded) == values(model)


@pytest.mark.parametrize("name", ["config:net", "optimizer:x"])
def test_names_that_files_need_are_refused_when_saving(name: str, tmp_path: Path) -> None:
    model = Model(Named(name, "other"), device="cpu")
    model.build((4,))
    with pytest.raises(ValueError, match=f"got '{name}.weight'. Rename the module's attribute"):
        model.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("module", "least"), [
    (lambda: layers.LSTM(2, num_layers=5, bidirectional=True), 20),
    (lambda: Sequential([layers.Linear(4) for _ in range(7)]), 7),
    (lambda: layers.TransformerEncoder(layers.TransformerEncoderLayer(nhead=2), 3), 18),
])  # fmt: skip
def test_layers_without_tensors_are_refused_before_they_are_built(
    module: Any, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(module(), device="cpu")
    model.build((3, 4))
    model.save(tmp_path / "net")
    stored = read_file(tmp_path / "net", ("model",))
    monkeypatch.setattr(Parameter, "__init__", None)  # whoever builds one anyway fails otherwise
    write_file(tmp_path / "less", "model", stored.configuration, {})
    with pytest.raises(ModelFileError, match=f"expects {least} tensors at least for its layers; "
                                             "got 0"):
        Model.load(tmp_path / "less", device="cpu")


def test_a_container_of_ones_own_may_leave_parts_unbuilt(tmp_path: Path) -> None:
    class Half(Named):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(first, second)
            self.spare = tuple(layers.Linear(1) for _ in range(9))

        def build(self, shape: Any) -> Any:
            return getattr(self, self.names[0]).build(shape)

    model = Model(Half("a", "b"), device="cpu")
    model.build((4,))
    model.save(tmp_path / "net")
    loaded = Model.load(tmp_path / "net", custom=(Half,), device="cpu")
    assert loaded.module.a.built and not loaded.module.b.built


def test_an_object_is_no_answer_to_yes_or_no(tmp_path: Path) -> None:
    model = net()
    model.compile(optimizers.SGD(schedules.Constant(0.1), momentum=0.5, nesterov=True), "mse")
    model.save(tmp_path / "net")
    stored = read_file(tmp_path / "net", ("model",))
    rows = stored.configuration["training"]["objects"]
    config = next(row["config"] for row in rows if row["class"] == "optimizers.SGD")
    for flag in ("nesterov", "use_ema"):
        before = config.get(flag)
        config[flag] = {"$object": 0}
        write_file(tmp_path / "odd", "model", stored.configuration, stored.tensors())
        with pytest.raises(ModelFileError, match=rf"SGD\({flag}\) expects True or False; got Con"):
            Model.load(tmp_path / "odd", device="cpu")
        config[flag] = before


def test_the_error_of_files_is_found_at_the_top() -> None:
    assert kerasish.ModelFileError is ModelFileError and "ModelFileError" in kerasish.__all__


class Several(Model):
    """A model with an attribute of one's own."""

    def __init__(self, module: Any, device: Any = "auto", **own: Any) -> None:
        super().__init__(module, device=device)
        vars(self).update(own)


def test_nets_and_optimizers_that_a_file_would_not_hold_are_named(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "generator": layers.Linear(2), "heads": [layers.Linear(1), layers.Linear(1)],
        "scale": Parameter(torch.ones(1)), "other": net(), "its_optimizer": optimizers.SGD(0.1)}
    model = Several(layers.Linear(1), device="cpu", **more)
    model.build((4,))
    nets = "generator, heads.0, heads.1, scale, other"
    with pytest.raises(TypeError, match=f"got Several with {nets}, its_optimizer besides, which "
                                        r"its file would not hold. Keep a net of them by Model\("):
        model.save(tmp_path / "net")
    with pytest.raises(TypeError, match=f"Several with {nets} besides.*or the whole run by the "
                                        "callback BackupAndRestore"):
        model.save_weights(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_what_belongs_to_the_module_may_be_an_attribute_too(tmp_path: Path) -> None:
    linear, rate = layers.Linear(1), optimizers.SGD(0.1)
    linear.build((4,))
    model = Several(Sequential(linear, layers.ReLU()), device="cpu", head=linear,
                    weights=[linear.weight], mine=rate, note="x", loss_of_mine="mse")
    model.compile(rate, "mse")
    model.build((4,))
    model.save(tmp_path / "net")
    model.save_weights(tmp_path / "weights")
    assert values(Several.load(tmp_path / "net", device="cpu")) == values(model)
    model = Several(layers.ReLU(), device="cpu", mine=rate)
    model.build((4,))
    model.save_weights(tmp_path / "weights")  # which holds no optimizer anyway


class MyLoss(losses.MSE):
    pass


class MyMetric(metrics.MAE):
    pass


def test_all_classes_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    model = Model(Halved(), layers.Linear(1), device="cpu")
    model.compile("sgd", MyLoss(), metrics=[MyMetric()])
    model.save(tmp_path / "net")
    with pytest.raises(ModelFileError) as caught:
        Model.load(tmp_path / "net", device="cpu")
    names = str(caught.value).partition("your own: ")[2].partition(". ")[0]
    assert set(names.split(", ")) == {"Halved", "MyLoss", "MyMetric"}
    assert "compile=False" not in str(caught.value)
    with pytest.raises(ModelFileError, match=r"custom=\(.*\)\), or load the net alone with comp"):
        Model.load(tmp_path / "net", custom=iter([Halved]), device="cpu")
    with pytest.raises(ModelFileError, match=r"your own: Halved\. Give"):
        Model.load(tmp_path / "net", compile=False, device="cpu")
    Model.load(tmp_path / "net", custom=iter([Halved, MyLoss, MyMetric]), device="cpu")


def test_weights_that_do_not_fit_once_it_is_built_name_their_file(tmp_path: Path) -> None:
    model, other = net(), net(5)
    model.build((4,))
    model.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match=rf"The weights of '{tmp_path / 'weights'}' do not fit.*"
                                         r"'0.weight' has shape \(8, 4\), not \(5, 4\)"):
        other.fit(X, Y, verbose=0)
    assert not other.built
