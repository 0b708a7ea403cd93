"""ModelCheckpoint: what it refuses or says before training, and what only training shows."""

import copy
import math
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, EarlyStopping, ModelCheckpoint
from kerasish.layers import Linear
from kerasish.optimizers import SGD
from tests.callbacks.test_model_checkpoint import Logs, X, compiled, fit, names


@pytest.mark.parametrize(("monitor", "more", "parts"), [
    ("val_loss", {"save_best_only": True}, ("'val_loss'", "validation_data")),
    ("los", {"save_best_only": True}, ("Did you mean 'loss'?",)),
    ("los", {"keep_last": 1}, ("Did you mean 'loss'?",)),
    ("val_los", {}, ("'val_los'",)),
], ids=str)  # fmt: skip
def test_a_monitor_that_nothing_logs_is_refused_before_training(monitor, more, parts,
                                                                tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        fit(ModelCheckpoint(tmp_path / "net", monitor, **more))
    text = str(caught.value)
    assert "ModelCheckpoint(monitor)" in text and all(part in text for part in parts)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("name", "parts"), [
    ("{epoh}", ("'epoh'", "'{epoh}'", "Did you mean 'epoch'?")),
    ("{val_loss}", ("'val_loss'", "'epoch'", "'loss'")),
    ("{epoch:.2q}", ("formats that fit", "'{epoch:.2q}'")),
    ("{loss:02d}", ("formats that fit", "'{loss:02d}'")),
    ("{epoch", ("names in braces", "'{epoch'")),
    ("{}", ("names in braces", "'{}'")),
    ("{0}", ("names in braces", "'{0}'")),
    ("{loss.x}", ("names in braces", "'{loss.x}'")),
], ids=str)  # fmt: skip
def test_names_that_could_not_be_filled_in_are_refused_before_training(name, parts) -> None:
    model = compiled()
    with pytest.raises(ValueError) as caught:
        fit(ModelCheckpoint(name), model=model)
    text = str(caught.value)
    assert text.startswith("ModelCheckpoint(filepath) expects") and all(p in text for p in parts)
    assert model.batches_trained == 0


def test_a_folder_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"ModelCheckpoint\(filepath\).*Add a name"):
        fit(ModelCheckpoint(tmp_path))


@pytest.mark.parametrize(("arguments", "text"), [
    ({"save_freq": 0}, r"ModelCheckpoint\(save_freq\) expects .* got 0. Or write 'epoch'"),
    ({"save_freq": "batch"}, r"ModelCheckpoint\(save_freq\) expects .*'batch'"),
    ({"save_freq": True}, r"ModelCheckpoint\(save_freq\) expects .*True"),
    ({"keep_last": 0}, r"ModelCheckpoint\(keep_last\) expects .* got 0. None keeps all"),
    ({"every_n_epochs": 0}, r"ModelCheckpoint\(every_n_epochs\) expects .* got 0"),
    ({"every_n_epochs": 2, "save_freq": 5}, r"every_n_epochs\) expects save_freq='epoch'; got .*5"),
    ({"on_error": "ignore"}, r"ModelCheckpoint\(on_error\) expects one of 'raise', 'warn'"),
    ({"save_best_only": "x"}, r"ModelCheckpoint\(save_best_only\) expects True or False; got 'x'"),
    ({"save_weights_only": 1}, r"ModelCheckpoint\(save_weights_only\) expects True or False"),
    ({"mode": "up"}, r"ModelCheckpoint\(mode\) expects"),
    ({"initial_value_threshold": math.nan}, r"initial_value_threshold\) expects a number or None"),
    ({"initial_value_threshold": "1"}, r"initial_value_threshold\) expects a number or None"),
], ids=str)  # fmt: skip
def test_settings_out_of_range_are_refused(arguments, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ModelCheckpoint("net", **arguments)


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ModelCheckpoint\(filepath\) expects a path; got 3"):
        ModelCheckpoint(3)


def test_a_trial_run_saves_nothing(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "net"), fast_dev_run=True)
    assert names(tmp_path) == []


def spread(y_true, y_pred):
    return (y_pred - y_true).square()


@pytest.mark.parametrize(("optimizer", "metrics"), [
    ("sgd", [lambda y_true, y_pred: y_pred]), ("sgd", [spread]), (SGD(lambda step: 0.1), None),
], ids=["lambda", "function", "schedule"])  # fmt: skip
@pytest.mark.parametrize("on_error", ["raise", "warn"])
def test_a_model_that_cannot_be_saved_is_refused_before_training(optimizer, metrics, on_error,
                                                                 tmp_path: Path) -> None:
    def model() -> Model:
        made = Model(Linear(1), device="cpu")
        made.compile(copy.deepcopy(optimizer), "mse", metrics=metrics)
        return made

    tried = model()
    with pytest.raises(TypeError, match=r"Model\.save expects objects that a file can hold"):
        fit(ModelCheckpoint(tmp_path / "net", on_error=on_error), model=tried)
    assert tried.batches_trained == 0 and names(tmp_path) == []
    fit(ModelCheckpoint(tmp_path / "net", save_weights_only=True), model=model())
    assert names(tmp_path) == ["net"]


def test_a_class_with_a_save_of_its_own_may_keep_what_it_likes(tmp_path: Path) -> None:
    class Own(Model):
        def save(self, path, overwrite=True) -> None:
            self.save_weights(path, overwrite)

    model = Own(Linear(1), device="cpu")
    model.compile("sgd", "mse", metrics=[spread])
    fit(ModelCheckpoint(tmp_path / "net"), model=model)
    assert names(tmp_path) == ["net"]


@pytest.mark.parametrize("make", [ModelCheckpoint, None], ids=["ModelCheckpoint", "EarlyStopping"])
def test_a_validation_that_never_falls_due_is_told_before_training(make, tmp_path, capsys) -> None:
    def callback() -> Callback:
        return make(tmp_path / "net", save_best_only=True) if make else EarlyStopping()

    for freq, words in ((9, 1), ([7], 1), (3, 0), ([2], 0)):
        fit(callback(), validation_data=(X, X), validation_freq=freq)
        said = capsys.readouterr().err
        assert said.count("'val_loss' will not be logged, as validation_freq") == words


def test_a_value_that_its_format_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        fit(Logs(torch.ones(2)), ModelCheckpoint(tmp_path / "{own:.2f}"))
    text = str(caught.value)
    assert text.startswith("ModelCheckpoint(filepath) expects formats that fit") and "'own'" in text
