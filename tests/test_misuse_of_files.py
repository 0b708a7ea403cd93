"""What a user sees who makes one of the usual mistakes with checkpoints, weights and model files.

The rest of the table that `test_misuse.py` goes through. A comment above each test holds the words
of its row.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from kerasish import Model, Module
from kerasish.callbacks import ModelCheckpoint
from kerasish.layers import Lambda, Linear, Tanh
from kerasish.losses import MSE
from kerasish.optimizers import SGD
from kerasish.saving import ModelFileError
from tests.test_misuse import Began, fit, net, says


def built(*modules: Module, **settings: Any) -> Model:
    model = net(*modules, **settings)
    model.build((4,))
    return model


def same(one: list[Any], other: list[Any]) -> bool:
    return all(map(np.array_equal, one, other)) and len(one) == len(other)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net"


# ---- checkpoints --------------------------------------------------------------------------------


# checkpoint best-only, metric absent | do not save
def test_the_best_by_what_nothing_logs(path: Path) -> None:
    began = Began()
    says(ValueError, "ModelCheckpoint(monitor) expects a name that is logged; got 'val_loss'. ",
         "Give fit validation_data or validation_split.",
         do=lambda: fit(net(), callbacks=[ModelCheckpoint(path, save_best_only=True), began]))
    assert not began.began and not path.exists()


def test_the_best_by_what_some_epochs_log(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = ModelCheckpoint(f"{path}-{{epoch}}", save_best_only=True)
    fit(net(), epochs=3, validation_split=0.25, validation_freq=2, callbacks=checkpoint)
    assert [each.name for each in path.parent.iterdir()] == ["net-2"]
    assert capsys.readouterr() == ("", "")


# checkpoint placeholder absent | list keys
@pytest.mark.parametrize(("name", "fix"), [
    ("val_loss", "Give fit validation_data or validation_split."), ("los", "Did you mean 'loss'?"),
    ("accuracy", "Known are 'batch', 'epoch', 'loss', 'mae'."),
])
def test_a_file_name_of_what_nothing_logs(name: str, fix: str, path: Path) -> None:
    began, checkpoint = Began(), ModelCheckpoint(f"{path}-{{{name}:.2f}}")
    says(ValueError, "ModelCheckpoint(filepath) expects 'epoch', 'batch' or names that are logged",
         f"got {name!r} in '{path}-{{{name}:.2f}}'. {fix}",
         do=lambda: fit(net(metrics=["mae"]), callbacks=[checkpoint, began]))
    assert not began.began


# checkpoint suffix
@pytest.mark.parametrize("name", ["net", "net.keras", "net.h5", "net.weights.h5", "net.pt"])
@pytest.mark.parametrize("weights_only", [False, True])
def test_any_file_name_is_taken_as_it_is(name: str, weights_only: bool, tmp_path: Path) -> None:
    model, other = net(), net()
    fit(model, callbacks=ModelCheckpoint(tmp_path / name, save_weights_only=weights_only))
    assert [each.name for each in tmp_path.iterdir()] == [name]
    other.load_weights(tmp_path / name)
    other.build((4,))
    assert same(other.get_weights(), model.get_weights())


# ---- weights ------------------------------------------------------------------------------------


# load_weights mismatch | table of mismatches
@pytest.mark.parametrize(("modules", "table"), [
    ((Linear(2), Linear(1)), [
        "0.weight: float32 (2, 4) in the net, float32 (3, 4) in the file",
        "0.bias: float32 (2,) in the net, float32 (3,) in the file",
        "1.weight: float32 (1, 2) in the net, float32 (1, 3) in the file"]),
    ((Linear(3), Linear(1), Linear(1)), [
        "2.weight: float32 (1, 1) in the net, nothing in the file",
        "2.bias: float32 (1,) in the net, nothing in the file"]),
    ((Linear(3), Tanh()), [
        "1.bias: nothing in the net, float32 (1,) in the file",
        "1.weight: nothing in the net, float32 (1, 3) in the file"]),
], ids=["other sizes", "too few", "too many"])  # fmt: skip
def test_weights_of_another_net(modules: Any, table: list[str], path: Path) -> None:
    built(Linear(3), Linear(1)).save_weights(path)
    model = built(*modules)
    before = model.get_weights()
    lines = "".join(f"    {line}\n" for line in table)
    says(ModelFileError, f"'{path}' cannot be loaded: its tensors do not fit this model:\n{lines}"
         "Build it for the same sizes, or load with strict=False.",
         do=lambda: model.load_weights(path))
    assert same(model.get_weights(), before)


def test_weights_of_another_net_that_wait_for_data(path: Path) -> None:
    built(Linear(3), Linear(1)).save_weights(path)
    model = net(Linear(2), Linear(1))
    model.load_weights(path)
    says(ValueError, "expects the same paths and shapes", "'0.bias' has shape (3,), not (2,)",
         "'1.weight' has shape (1, 3), not (1, 2)", do=lambda: fit(model))
    assert not model.built


# load_weights, other optimizer | explicit option
def test_weights_of_a_net_with_another_optimizer(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, other = net(optimizer="adam"), built(optimizer=SGD(0.1, momentum=0.9))
    fit(saved)
    saved.save(path)
    other.load_weights(path)
    assert same(other.get_weights(), saved.get_weights())
    assert repr(other.optimizer) == "SGD(0.1, momentum=0.9)" and other.optimizer.iterations == 0
    assert Model.load(path, device="cpu").optimizer.iterations == saved.optimizer.iterations > 0
    assert not Model.load(path, compile=False, device="cpu").compiled
    assert capsys.readouterr() == ("", "")


def test_weights_of_a_net_that_has_none_yet(path: Path) -> None:
    says(RuntimeError, "Model.save_weights expects a model that is built; got one without param",
         "Call model.build(shape), or fit first.", do=lambda: net().save_weights(path))
    built().save_weights(path)
    says(RuntimeError, "Model.load_weights(strict=False) expects a model that is built",
         "Call model.build(shape).", do=lambda: net().load_weights(path, strict=False))


# ---- models -------------------------------------------------------------------------------------


class Twice(Module):
    """y = 2 x."""

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return 2 * dy


class Own(MSE):
    """A loss of the user's."""


# load_model, unregistered class | one line first
@pytest.mark.parametrize(("custom", "missing", "fix"), [
    ((), "Twice, Own", "Twice, Own,"),
    ((Twice,), "Own", "Own,"),
])
def test_a_model_with_classes_of_ones_own(custom: Any, missing: str, fix: str, path: Path) -> None:
    net(Linear(1), Twice(), loss=Own()).save(path)
    with pytest.raises(ModelFileError) as caught:
        Model.load(path, custom)
    assert str(caught.value) == (
        f"'{path}' cannot be loaded: it needs classes of your own: {missing}. Give them: "
        f"Model.load(path, custom=({fix}))"
        + (", or load the net alone with compile=False." if custom else "."))
    assert Model.load(path, (Twice, Own), device="cpu").compiled
    assert not Model.load(path, (Twice,), compile=False, device="cpu").compiled


class Mine(Model):
    """Trains in its own way."""


def test_a_model_of_a_class_of_ones_own(path: Path) -> None:
    model = Mine(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    model.save(path)
    says(ModelFileError, "it was saved by the class Mine, which may train in its own way",
         "Call Mine.load(path), or load the net alone with compile=False.",
         do=lambda: Model.load(path))
    assert type(Mine.load(path, device="cpu")) is Mine
    assert not Model.load(path, compile=False, device="cpu").compiled


def test_what_is_no_class_of_ones_own(path: Path) -> None:
    net().save(path)
    says(TypeError, "Model.load(custom) expects classes of modules, losses, metrics and so on; ",
         "got <class 'int'>. Write custom=(MyLayer, MyLoss).",
         do=lambda: Model.load(path, custom=[int]))


# load_model, lambda
@pytest.mark.parametrize(("make", "place"), [
    (lambda: net(Lambda(lambda x: x, lambda dy: dy)), "'module.Lambda.forward'"),
    (lambda: net(metrics=[lambda y_true, y_pred: 0]), "'compile.metrics.0'"),
    (lambda: net(optimizer=SGD(lambda step: 0.1)), "'compile.optimizer.SGD.learning_rate'"),
], ids=["module", "metric", "schedule"])  # fmt: skip
def test_a_function_is_refused_when_it_is_saved(make: Any, place: str, path: Path) -> None:
    path.write_text("what was there")
    says(TypeError, "Model.save expects objects that a file can hold; got the function <function",
         f"at {place}, and files hold no code. Write it as a class, a Module, Metric or Schedule",
         "Model.load(path, custom=(ThatClass,)).", do=lambda: make().save(path))
    assert path.read_text() == "what was there"


# load_model missing / bad suffix
@pytest.mark.parametrize("method", ["load", "load_weights"])
def test_a_file_that_is_not_there(method: str, path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Check the name, relative to the folder") as caught:
        getattr(net(), method)(path)
    assert caught.value.filename == str(path)


def damage(path: Path) -> None:
    built().save(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("make", "parts"), [
    (Path.touch, ("the file ends 8 bytes too early", "damaged, or not written by kerasish")),
    (damage, ("the content expects to match its SHA-256", "take a copy, or save it again")),
    (lambda path: torch.save({"weight": torch.ones(1)}, path),
     ("got a zip, as torch.save writes it", "kerasish.export.from_torch(module)")),
    (lambda path: safetensors.torch.save_file({"weight": torch.ones(1, 4)}, path),
     ("its header expects the metadata of kerasish; got none", "module.load_state_dict(")),
    (lambda path: built().save_weights(path),
     ("the kind expects 'model'; got 'weights'. model.load_weights(path) loads it.",)),
    (Path.mkdir, ("it expects a file; got a folder. Name the file itself.",)),
], ids=["empty", "damaged", "torch's", "safetensors", "weights alone", "folder"])  # fmt: skip
def test_a_file_that_holds_no_model(make: Any, parts: tuple[str, ...], path: Path) -> None:
    make(path)
    says(ModelFileError, f"'{path}' cannot be loaded: ", *parts, do=lambda: Model.load(path))


@pytest.mark.parametrize("method", ["save", "save_weights", "load", "load_weights"])
@pytest.mark.parametrize("wrong", [None, 3, b"net"], ids=repr)
def test_what_is_no_path(method: str, wrong: Any) -> None:
    says(TypeError, f"Model.{method}(path) expects a path; got {wrong!r}. Write 'net.safetensors'",
         do=lambda: getattr(built(), method)(wrong))


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_folder_to_save_in(method: str, tmp_path: Path) -> None:
    says(IsADirectoryError, f"Model.{method}(path) expects the name of a file; got '{tmp_path}', a",
         "folder. Add a name to it.", do=lambda: getattr(built(), method)(tmp_path))


@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_file_that_is_to_be_kept(method: str, path: Path) -> None:
    model = built()
    model.save(path)
    says(FileExistsError, f"Model.{method}(overwrite=False) expects a path without a file; got '",
         "Take another name, or overwrite=True.",
         do=lambda: getattr(model, method)(path, overwrite=False))
