"""Histories in files: exact, whole or not there, and refused where they are damaged."""

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import History
from kerasish.layers import Linear
from kerasish.saving import ModelFileError


def made() -> History:
    history = History()
    history.set_params({"seed": 2**62})
    history.on_train_begin({})
    history.on_epoch_end(3, {"loss": 0.1 + 0.2, "note": "good", "matrix": np.eye(2)})
    history.on_epoch_end(4, {"loss": math.nan, "val_loss": -math.inf, "single": np.float32(0.1)})
    history.on_epoch_end(5, {"loss": 5e-324, "tensor": torch.tensor([math.inf, -0.0]),
                             "empty": np.zeros((0, 3)), "whole": torch.tensor(7), "none": None})
    return history


def test_it_comes_back_exactly(tmp_path: Path) -> None:
    before = made()
    before.save(tmp_path / "new" / "history.json")
    after = History.load(tmp_path / "new" / "history.json")
    assert repr(after.state_dict()) == repr(before.state_dict())
    assert after.seed == 2**62 and after.epoch == [3, 4, 5]
    assert after.history["matrix"][0].dtype == np.float64
    assert after.history["tensor"][0].dtype == torch.float32
    assert type(after.history["single"][0]) is np.float32
    assert after.history["empty"][0].shape == (0, 3)


@pytest.mark.parametrize("epochs", [15, 16, 17, 100, 1000])
def test_a_history_of_any_length_comes_back(epochs: int, tmp_path: Path) -> None:
    before = History()
    before.on_train_begin({})
    for epoch in range(epochs):
        before.on_epoch_end(epoch, {"loss": 1 / (epoch + 1) if epoch % 7 else math.nan})
    before.on_epoch_end(epochs, {"loss": 0.5, "many": torch.arange(epochs) / 3})
    before.save(tmp_path / "history.json")
    after = History.load(tmp_path / "history.json")
    assert repr(after.state_dict()) == repr(before.state_dict())
    assert torch.equal(after.history["many"][0], before.history["many"][0])


def test_what_fit_returns_comes_back(tmp_path: Path) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse", metrics=["mae"])
    before = model.fit([[0.0], [1.0]], [[0.0], [1.0]], epochs=4, verbose=0, validation_split=0.5,
                       validation_freq=3)
    before.save(tmp_path / "history.json")
    assert History.load(str(tmp_path / "history.json")).state_dict() == before.state_dict()
    assert before.logged["val_loss"] == [2]
    assert before.progress == {"learning_rate": [0.01] * 4, "epochs_trained": [1, 2, 3, 4],
                               "batches_trained": [1, 2, 3, 4]}  # fmt: skip
    assert before.directions == {"loss": False, "mae": False}


def test_the_file_is_json_that_every_program_reads(tmp_path: Path) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    made().save(tmp_path / "history.json")
    read = json.loads((tmp_path / "history.json").read_text(), parse_constant=refuse)
    assert read["kind"] == "kerasish history"
    assert read["content"]["history"]["loss"][0] == 0.1 + 0.2
    assert [1.0, 0.0, 0.0, 1.0] in [array["values"] for array in read["arrays"].values()]


def test_saving_replaces_the_file_whole(tmp_path: Path, monkeypatch) -> None:
    made().save(tmp_path / "history.json")
    before = (tmp_path / "history.json").read_bytes()

    def fails(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="No space left") as caught:
        History().save(tmp_path / "history.json")
    assert str(tmp_path / "history.json") in str(caught.value)
    assert (tmp_path / "history.json").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_neither_plain_nor_an_array_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    history = made()
    history.on_epoch_end(6, {"own": object()})
    with pytest.raises(TypeError, match=r"object at 'history.own.0'"):
        history.save(tmp_path / "history.json")
    assert list(tmp_path.iterdir()) == []


# ---- files that are something else --------------------------------------------------------------


def changed(change, tmp_path: Path) -> Path:
    path = tmp_path / "history.json"
    made().save(path)
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(("change", "text"), [
    (lambda record: record.update(kind="other"), "its kind expects 'kerasish history'.*'other'"),
    (lambda record: record.update(version=2), "version 1; got version 2"),
    (lambda record: record.pop("content"), "its content is damaged"),
    (lambda record: record.update(arrays=[]), "its content is damaged"),
    (lambda record: record["content"].pop("epoch"), "does not hold together.*'epoch'"),
    (lambda record: record["content"]["history"]["loss"].pop(), "disagree for 'loss'"),
    (lambda record: record["content"]["history"].pop("loss"), "disagree for 'loss'"),
    (lambda record: record["content"]["logged"].pop("loss"), "disagree for 'loss'"),
    (lambda record: record["content"]["logged"]["loss"].__setitem__(0, 99), "disagree for 'loss'"),
    (lambda record: record["content"]["progress"]["learning_rate"].pop(), "'learning_rate'"),
    (lambda record: record["content"].update(epoch=3), "does not hold together"),
    (lambda record: record["content"].update(history=3), "is damaged.*'history.matrix.0' besides"),
    (lambda record: next(iter(record["arrays"].values())).update(dtype="pickle"), "is damaged"),
    (lambda record: next(iter(record["arrays"].values())).update(shape=[2**40]), "is damaged"),
    (lambda record: next(iter(record["arrays"].values())).update(shape=[-1]), "is damaged"),
    (lambda record: next(iter(record["arrays"].values())).update(more=1), "is damaged"),
])  # fmt: skip
def test_a_file_that_was_changed_is_refused(change, text: str, tmp_path: Path) -> None:
    path = changed(change, tmp_path)
    with pytest.raises(ModelFileError, match=text) as caught:
        History.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"NaN", b"\xff\xfe", b"3", b'"text"', b"[" * 100_000,
    b'{"kind": "kerasish history", "version": 1, "content": NaN}',
], ids=lambda content: repr(content[:12]))  # fmt: skip
def test_what_is_no_history_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "history.json").write_bytes(content)
    with pytest.raises(ModelFileError, match="expects"):
        History.load(tmp_path / "history.json")


@pytest.mark.parametrize("part", [0.25, 0.5, 0.99])
def test_a_file_that_ends_early_is_refused(part: float, tmp_path: Path) -> None:
    made().save(tmp_path / "history.json")
    whole = (tmp_path / "history.json").read_bytes()
    (tmp_path / "history.json").write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ModelFileError, match="expects JSON"):
        History.load(tmp_path / "history.json")


def test_a_file_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "history.json")


# ---- lists that disagree ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["plot", "save", "replay"])
def test_lists_that_somebody_changed_are_refused(method: str, tmp_path: Path) -> None:
    history = made()
    history.history["loss"].append(1.0)
    argument = {"plot": None, "save": tmp_path / "a.json", "replay": History()}[method]
    with pytest.raises(ValueError, match=rf"History.{method} expects .* disagree for 'loss'"):
        getattr(history, method)(argument)


def test_what_is_no_path_is_refused_with_the_name_of_such_a_file() -> None:
    for name, call in (("save", History().save), ("load", History.load)):
        text = f"History.{name}(path) expects a path; got 3. Write 'history.json', or a Path."
        with pytest.raises(TypeError, match=re.escape(text)):
            call(3)
