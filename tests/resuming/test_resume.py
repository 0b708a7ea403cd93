"""What a run goes on from: after errors and Ctrl-C, with every source of batches, only once."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from kerasish import Model, set_seed
from kerasish.callbacks import BackupAndRestore, Callback, EarlyStopping
from kerasish.layers import Dropout, Linear, Tanh
from kerasish.saving import ModelFileError
from tests.resuming.runs import (
    BATCH,
    EPOCHS,
    KINDS,
    PER_EPOCH,
    Kind,
    Noisy,
    data,
    digest,
    kind_of,
    train,
)


class Disturbance(Exception):
    pass


class At(Callback):
    """Does something at the begin of a batch, counted across epochs."""

    def __init__(self, batch: int, act: Callable[[], None]) -> None:
        self.batch, self.act = batch, act

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.batches_trained == self.batch:
            self.act()


def fail() -> None:
    raise Disturbance


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", KINDS[:: 5], ids=str)
@pytest.mark.parametrize("act", [fail, interrupt])
@pytest.mark.parametrize("batch", [0, 2, 3, PER_EPOCH - 1, PER_EPOCH, 13, EPOCHS * PER_EPOCH - 1])
def test_after_an_error_or_ctrl_c_it_ends_as_if_undisturbed(
    kind: Kind, act: Callable[[], None], batch: int, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = digest(train(kind, tmp_path / "whole"), tmp_path / "whole")
    try:
        train(kind, tmp_path, [At(batch, act)])
    except Disturbance:
        assert act is fail
    assert digest(train(kind, tmp_path), tmp_path) == whole
    assert list((tmp_path / "backup").iterdir()) == [], "a run that ended takes its backup away"


def test_ctrl_c_keeps_the_batch_it_came_in(tmp_path: Path) -> None:
    kind, seen = kind_of("Adam", "dropout", "by epoch"), []

    class Count(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.batches_trained)

    train(kind, tmp_path, [At(11, interrupt)])
    train(kind, tmp_path, [Count()])
    assert seen == list(range(13, EPOCHS * PER_EPOCH + 1)), "no batch is trained twice"


# ---- sources ------------------------------------------------------------------------------------


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(*(part.split(BATCH) for part in data()), strict=True)


SOURCES: dict[str, Callable[[], Any]] = {
    "a Dataset": Noisy,
    "a loader that shuffles": lambda: DataLoader(Noisy(), BATCH, shuffle=True),
    "a loader with a generator of its own": lambda: DataLoader(
        Noisy(), BATCH, shuffle=True, generator=torch.Generator().manual_seed(3)),
    "a loader with workers": lambda: DataLoader(
        TensorDataset(*data()), BATCH, shuffle=True, num_workers=1),
    "a function": lambda: batches,
    "a list": lambda: list(batches()),
}


def fitted(
    source: Any, folder: Path, *more: Callback, seed: int = 1, saves: Any = 4, **arguments: Any
) -> Model:
    set_seed(0)
    model = Model(Linear(6), Tanh(), Dropout(0.2), Linear(1), device="cpu")
    model.compile("adam", "mse", metrics=["mae"])
    size = BATCH if isinstance(source, Dataset) else None
    settings = {"epochs": 3, "seed": seed, "verbose": 0, "batch_size": size} | arguments
    model.fit(source, callbacks=[*more, BackupAndRestore(folder, saves)], **settings)
    return model


def same(one: Model, two: Model) -> bool:
    assert one.history and two.history
    pairs = zip(one.module.state_dict().values(), two.module.state_dict().values(), strict=True)
    return all(map(torch.equal, *zip(*pairs, strict=True))) and (
        one.history.history == two.history.history)


@pytest.mark.parametrize("saves", [4, "epoch"])
@pytest.mark.parametrize("steps", [None, 7])
@pytest.mark.parametrize("batch", [3, 9, 14, 20])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_that_restarts_is_put_back_to_its_place(
    name: str, batch: int, steps: int | None, saves: Any, tmp_path: Path
) -> None:
    make, arguments = SOURCES[name], {"steps_per_epoch": steps, "saves": saves}
    whole = fitted(make(), tmp_path / "whole", **arguments)
    with pytest.raises(Disturbance):
        fitted(make(), tmp_path / "run", At(batch, fail), **arguments)
    assert same(whole, fitted(make(), tmp_path / "run", **arguments))


@pytest.mark.parametrize("saves", [4, "epoch"])
@pytest.mark.parametrize("batch", [3, 9, 14, 29])
def test_what_validation_draws_is_repeated(batch: int, saves: Any, tmp_path: Path) -> None:
    def start(folder: Path, *more: Callback) -> Model:
        own = torch.Generator().manual_seed(3)
        held_back = DataLoader(Noisy(), BATCH, shuffle=True, generator=own)
        return fitted(TensorDataset(*data()), folder, *more, saves=saves, validation_data=held_back)

    whole = start(tmp_path / "whole")
    with pytest.raises(Disturbance):
        start(tmp_path / "run", At(batch, fail))
    assert same(whole, start(tmp_path / "run"))


def test_an_iterator_cannot_be_put_back_within_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(batches(), tmp_path, At(6, fail), epochs=1)
    with pytest.raises(ValueError, match=r"batch 4 of an epoch; got a generator.*save by epoch"):
        fitted(batches(), tmp_path, epochs=1)


# ---- whose backup it is -------------------------------------------------------------------------


def test_restored_state_is_used_once(tmp_path: Path) -> None:
    kind = KINDS[0]
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(13, fail)])
    model = train(kind, tmp_path)
    (backup,) = (each for each in model.callbacks if isinstance(each, BackupAndRestore))
    x, y = data()
    assert model.fit(x, y, epochs=2, verbose=0, callbacks=backup).epoch == [0, 1]


def test_another_seed_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path, At(6, fail))
    with pytest.raises(ValueError, match="with the seed 1; got 2"):
        fitted(TensorDataset(*data()), tmp_path, seed=2)
    assert same(fitted(TensorDataset(*data()), tmp_path),
                fitted(TensorDataset(*data()), tmp_path / "whole"))


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_a_run_without_a_seed_goes_on_with_the_one_it_drew(batch: int, tmp_path: Path) -> None:
    (x, y), seeds = data(), []

    class Seed(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seeds.append(self.model.run.plan.seed)

    def start(more: list[Callback]) -> Model:
        model = Model(Linear(4), Dropout(0.5), Linear(1), device="cpu")
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=3, verbose=0, callbacks=[Seed(), *more, BackupAndRestore(tmp_path)])
        return model

    with pytest.raises(Disturbance):
        start([At(batch, fail)])
    torch.manual_seed(99)
    history = start([]).history
    assert history is not None and history.epoch == [0, 1, 2]
    assert len(set(seeds)) == 1


def test_nothing_is_put_away_before_ctrl_c_if_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path / "backup", At(12, fail), saves=False)
    assert not (tmp_path / "backup").exists()


def test_a_damaged_backup_is_reported_once_and_the_one_before_it_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = kind_of("Adam", "dropout", "by batch")
    (tmp_path / "whole").mkdir()
    whole = digest(train(kind, tmp_path / "whole"), tmp_path / "whole")
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(13, fail)])
    latest = tmp_path / "backup" / "latest.safetensors"
    damaged = bytearray(latest.read_bytes())
    damaged[-1] ^= 1
    latest.write_bytes(damaged)
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(14, fail)])
    assert capsys.readouterr().err.count("Going on with the backup before it") == 1
    assert digest(train(kind, tmp_path), tmp_path) == whole
    assert capsys.readouterr().err == ""


def test_if_no_backup_can_be_read_the_run_does_not_begin(tmp_path: Path) -> None:
    kind = KINDS[0]
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(20, fail)])
    for path in (tmp_path / "backup").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"latest\.safetensors"):
        train(kind, tmp_path)


def test_a_run_that_was_stopped_early_and_killed_at_its_end_trains_no_further(
    tmp_path: Path
) -> None:
    class Killed(Callback):
        def on_train_end(self, logs=None):
            raise Disturbance

    x, y = data()

    def start(*more: Callback) -> Model:
        model = Model(Linear(4), Linear(1), device="cpu")
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=9, verbose=0, seed=0, callbacks=[
            *more, EarlyStopping("loss", min_delta=9.0, patience=2), BackupAndRestore(tmp_path)])
        return model

    with pytest.raises(Disturbance):
        start(Killed())
    again = start()
    assert again.history is not None and again.history.epoch == [0, 1, 2]
    assert again.batches_trained == 9


def test_a_disk_that_is_full_warns_or_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    x, y = data()
    model = Model(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    monkeypatch.setattr("kerasish.callbacks.backup_and_restore.write_file", full)
    with pytest.raises(OSError, match="No space left"):
        model.fit(x, y, verbose=0, callbacks=BackupAndRestore(tmp_path))
    model.fit(x, y, verbose=0, callbacks=BackupAndRestore(tmp_path, on_error="warn"))
    assert "Training goes on" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    {"save_freq": 0}, {"save_freq": "batch"}, {"save_freq": True}, {"on_error": "ignore"},
], ids=str)  # fmt: skip
def test_settings_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"BackupAndRestore\((save_freq|on_error)\) expects"):
        BackupAndRestore("backup", **arguments)
