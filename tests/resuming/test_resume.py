"""What a run goes on from: after errors and Ctrl-C, with every source of batches, only once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from kerasish import Model, set_seed
from kerasish.callbacks import BackupAndRestore, Callback, EarlyStopping, TerminateOnNaN
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.optimizers import SGD
from kerasish.saving import ModelFileError
from kerasish.saving.format import write_file
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
@pytest.mark.parametrize("batch", [3, 10, 14, 20])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_that_restarts_is_put_back_to_its_place(
    name: str, batch: int, steps: int | None, saves: Any, tmp_path: Path
) -> None:
    make, settings = SOURCES[name], {"steps_per_epoch": steps, "saves": saves}
    whole = fitted(make(), tmp_path / "whole", **settings)
    with pytest.raises(Disturbance):
        fitted(make(), tmp_path / "run", At(batch, fail), **settings)
    assert same(whole, fitted(make(), tmp_path / "run", **settings))


@pytest.mark.parametrize("steps", [None, 7])
@pytest.mark.parametrize("name", SOURCES)
def test_a_run_that_begins_at_a_later_epoch_goes_on_from_its_first_backup(
    name: str, steps: int | None, tmp_path: Path
) -> None:
    make = SOURCES[name]
    settings = {"steps_per_epoch": steps, "saves": "epoch", "initial_epoch": 1}
    whole = fitted(make(), tmp_path / "whole", **settings)
    for _ in range(2):
        with pytest.raises(Disturbance):
            fitted(make(), tmp_path / "run", At(2, fail), **settings)
    assert same(whole, fitted(make(), tmp_path / "run", **settings))


@pytest.mark.parametrize("freq", [1, 2])
@pytest.mark.parametrize("batch", [5, 10, 14, 20])
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_validated_on_is_put_back_too(
    name: str, batch: int, freq: int, tmp_path: Path
) -> None:
    def start(folder: str, *more: Callback) -> Model:
        validation = SOURCES[name]()
        arguments = {"validation_batch_size": BATCH} if isinstance(validation, Dataset) else {}
        return fitted(list(batches()), tmp_path / folder, *more, validation_data=validation,
                      validation_steps=4, validation_freq=freq, **arguments)

    whole = start("whole")
    with pytest.raises(Disturbance):
        start("run", At(batch, fail))
    assert same(whole, start("run"))


def test_an_iterator_goes_on_with_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = {"steps_per_epoch": 10, "saves": "epoch", "epochs": 2}
    with pytest.raises(Disturbance):
        fitted(cycle(batches()), tmp_path, At(12, fail), **endless)
    model = fitted(cycle(batches()), tmp_path, **endless)
    assert model.batches_trained == 20
    assert "cannot put a cycle back to where it was" in capsys.readouterr().err


def test_an_iterator_cannot_be_put_back_within_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(batches(), tmp_path, At(6, fail), epochs=1)
    with pytest.raises(ValueError, match=r"batch 4 of an epoch; got a generator.*save by epoch"):
        fitted(batches(), tmp_path, epochs=1)


# ---- nets and steps of one's own ----------------------------------------------------------------


class Two(Model):
    """Two nets, two optimizers, values of its own, and a counter that its steps go by."""

    def __init__(self) -> None:
        super().__init__(Linear(2, 4), Tanh(), Dropout(0.2), Linear(4, 1), device="cpu")
        self.other, self.steps = Linear(1), 0
        self.other.build((2,))
        self.other_optimizer = SGD(0.1, momentum=0.9).build(self.other.parameters())

    def train_step(self, x: Tensor, y: Tensor, sample_weight: Any = None) -> dict[str, Tensor]:
        self.steps += 1
        loss, _ = cast(tuple[Tensor, Tensor], super().train_step(x, y))
        error = self.other(x) - y * self.steps
        self.other.backward(2 * error / len(x))
        self.other_optimizer.step()
        self.other_optimizer.zero_grad()
        return {"loss": loss, "other_loss": error.square().mean()}

    def own_state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_own_state(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]


def two(folder: Path, *more: Callback) -> Model:
    set_seed(0)
    model, (x, y) = Two(), data()
    model.compile(SGD(0.1), "mse")
    model.fit(x, y, BATCH, epochs=3, seed=1, verbose=0,
              callbacks=[*more, BackupAndRestore(folder, 4)])
    return model


@pytest.mark.parametrize("act", [fail, interrupt])
@pytest.mark.parametrize("batch", [5, 10, 13, 29])
def test_all_nets_optimizers_and_values_of_a_step_go_on(
    act: Callable[[], None], batch: int, tmp_path: Path
) -> None:
    whole = two(tmp_path / "whole")
    with suppress(Disturbance):
        two(tmp_path / "run", At(batch, act))
    again = two(tmp_path / "run")
    assert same(whole, again) and isinstance(again, Two) and isinstance(whole, Two)
    assert torch.equal(whole.other.weight.data, again.other.weight.data)


def test_a_backup_holds_each_optimizer_once(tmp_path: Path) -> None:
    kept = []

    class Look(Callback):
        def on_settled(self, epoch, batch=None):
            kept.append(list(self.model.run_state()["trainers"][""]["optimizers"]))

    two(tmp_path, Look())
    assert kept[0] == ["other_optimizer", "optimizer"]


def test_other_optimizers_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    class Other(Two):
        def __init__(self) -> None:
            super().__init__()
            self.third_optimizer = SGD(0.1).build(self.other.parameters())

    with pytest.raises(Disturbance):
        two(tmp_path, At(6, fail))
    model, (x, y) = Other(), data()
    model.compile("sgd", "mse")
    model.build((2,))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"optimizers of .*\['other_optimizer', 'optimizer'\]; "
                                         r"got \['other_optimizer', 'third_optimizer', 'opt"):
        model.fit(x, y, BATCH, epochs=3, seed=1, verbose=0, callbacks=BackupAndRestore(tmp_path))
    assert all(map(np.array_equal, before, model.get_weights()))


def test_another_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path, At(6, fail))
    model = Model(Linear(6), Tanh(), Dropout(0.2), Linear(1), device="cpu")
    model.compile("adam", "mae", metrics=["mae"])
    with pytest.raises(ValueError, match=r"with the losses of Model.* \['MSE'\]; got \['MAE'\]"):
        model.fit(TensorDataset(*data()), batch_size=BATCH, epochs=3, seed=1, verbose=0,
                  callbacks=BackupAndRestore(tmp_path))


@pytest.mark.parametrize(("layers", "optimizer", "says"), [
    ([Linear(6), ReLU(), Dropout(0.2), Linear(1)], "adam", "the layers of Model.*'ReLU', 'Drop"),
    ([Linear(7), Tanh(), Dropout(0.2), Linear(1)], "adam", r"has shape \(6, 2\), not \(7, 2\)"),
    ([Linear(6), Tanh(), Dropout(0.2), Linear(1)], "sgd", "expects the slots"),
])
def test_another_net_or_optimizer_is_refused(
    layers: list[Any], optimizer: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path, At(6, fail))
    model, (x, y) = Model(*layers, device="cpu"), data()
    model.compile(optimizer, "mse", metrics=["mae"])
    with pytest.raises(ValueError, match=says) as error:
        model.fit(x, y, BATCH, epochs=3, seed=1, verbose=0, callbacks=BackupAndRestore(tmp_path))
    said = " ".join([str(error.value), *getattr(error.value, "__notes__", ())])
    assert "delete the backup to begin anew" in said


def test_a_callback_that_cannot_go_on_leaves_the_weights_as_they_were(tmp_path: Path) -> None:
    class Picky(Callback):
        def state_dict(self):
            return {"number": 1}

        def load_state_dict(self, state):
            raise ValueError("not mine")

    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path, Picky(), At(6, fail))
    model, (x, y) = Model(Linear(6), Tanh(), Dropout(0.2), Linear(1), device="cpu"), data()
    model.compile("adam", "mse", metrics=["mae"])
    model.build((2,))
    before = model.get_weights()
    with pytest.raises(ValueError, match="not mine"):
        model.fit(x, y, BATCH, epochs=3, seed=1, verbose=0,
                  callbacks=[Picky(), BackupAndRestore(tmp_path)])
    assert all(map(np.array_equal, before, model.get_weights()))


# ---- whose backup it is -------------------------------------------------------------------------


def test_restored_state_is_used_once(tmp_path: Path) -> None:
    kind = KINDS[0]
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(13, fail)])
    model = train(kind, tmp_path)
    (backup,) = (each for each in model.callbacks if isinstance(each, BackupAndRestore))
    x, y = data()
    assert model.fit(x, y, epochs=2, verbose=0, callbacks=backup).epoch == [0, 1]


def test_an_instance_goes_on_after_ctrl_c_and_after_an_error(tmp_path: Path) -> None:
    backup, (x, y) = BackupAndRestore(tmp_path, 2), data()
    model = Model(Linear(4), Linear(1), device="cpu")
    model.compile("sgd", "mse")
    settings: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "seed": 1, "verbose": 0}
    model.fit(x, y, callbacks=[backup, At(7, interrupt)], **settings)
    with pytest.raises(Disturbance):
        model.fit(x, y, callbacks=[backup, At(13, fail)], **settings)
    assert model.batches_trained == 13
    model.fit(x, y, callbacks=backup, **settings)
    assert model.batches_trained == 20
    assert model.history is not None and model.history.epoch == [0, 1]


def test_a_run_that_diverged_keeps_the_backup_from_before(tmp_path: Path) -> None:
    x, y = data()
    x[70] = float("nan")  # passes go on across epochs: it comes in the second one
    for _ in range(3):
        model = Model(Linear(4), Linear(1), device="cpu")
        model.compile("sgd", "mse")
        model.fit(x, y, BATCH, epochs=4, steps_per_epoch=5, seed=1, verbose=0, shuffle=False,
                  callbacks=[TerminateOnNaN(), BackupAndRestore(tmp_path)])
        assert model.diverged and list(tmp_path.iterdir())
        assert model.batches_trained == 9


@pytest.mark.parametrize(("changed", "says"), [
    ({"batch_size": 7}, "batch_size 8; got 7"), ({"shuffle": False}, "shuffle True; got False"),
    ({"validation_split": 0.2}, "number of samples 75; got 60"),
])
def test_within_an_epoch_other_data_are_refused(
    changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"batch_size": BATCH, "seed": 1, "verbose": 0}

    def start(*more: Callback, **changed: Any) -> None:
        model = Model(Linear(1), device="cpu")
        model.compile("sgd", "mse")
        model.fit(*data(), callbacks=[*more, BackupAndRestore(tmp_path, 2)], **settings | changed)

    with pytest.raises(Disturbance):
        start(At(6, fail))
    with pytest.raises(ValueError, match=f"^fit expects .* with the {says}. Call fit as before"):
        start(**changed)


def test_a_backup_of_another_version_says_so(tmp_path: Path) -> None:
    write_file(tmp_path / "latest.safetensors", "checkpoint", {"run": {"epoch": 1}}, {})
    with pytest.raises(ValueError, match=r"in the form 1; got the form None, of another version"):
        fitted(TensorDataset(*data()), tmp_path)


def test_another_seed_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with pytest.raises(Disturbance):
        fitted(TensorDataset(*data()), tmp_path, At(6, fail))
    with pytest.raises(ValueError, match="with the seed 1; got 2"):
        fitted(TensorDataset(*data()), tmp_path, seed=2)
    assert same(fitted(TensorDataset(*data()), tmp_path),
                fitted(TensorDataset(*data()), tmp_path / "whole"))


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_a_run_without_a_seed_goes_on_with_the_one_it_drew(batch: int, tmp_path: Path) -> None:
    (x, y), seeds, orders = data(), [], []

    class Seed(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            plan = self.model.run.plan
            seeds.append(plan.seed)
            orders.append(plan.validation.seed)

    def start(more: list[Callback]) -> Model:
        model = Model(Linear(4), Dropout(0.5), Linear(1), device="cpu")
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=3, verbose=0, callbacks=[Seed(), *more, BackupAndRestore(tmp_path)],
                  validation_data=DataLoader(TensorDataset(x, y), BATCH, shuffle=True))
        return model

    with pytest.raises(Disturbance):
        start([At(batch, fail)])
    torch.manual_seed(99)
    history = start([]).history
    assert history is not None and history.epoch == [0, 1, 2]
    assert len(set(orders)) == 1
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
    assert capsys.readouterr().err == (
        f"BackupAndRestore goes on with the run in {str(tmp_path / 'backup')!r}: epoch 2, after 4 "
        "of its batches. Weights, optimizer and learning rate are those that were put away there."
        "\n")


def test_if_no_backup_can_be_read_the_run_does_not_begin(tmp_path: Path) -> None:
    kind = KINDS[0]
    with pytest.raises(Disturbance):
        train(kind, tmp_path, [At(20, fail)])
    for path in (tmp_path / "backup").iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"latest\.safetensors") as error:
        train(kind, tmp_path)
    assert "previous.safetensors" in error.value.__notes__[0]


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


@pytest.mark.parametrize("kind", ["of another type", "too large"])
def test_a_state_that_cannot_be_written_moves_no_backup(kind: str, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.safetensors" for name in ("latest", "previous")]
    before: list[bytes] = []

    class Own(Model):
        saves = 0

        def own_state(self) -> dict[str, Any]:
            self.saves += 1
            if self.saves < 3:
                return {}
            before.extend(path.read_bytes() for path in files)
            return {"odd": object()} if kind == "of another type" else {"long": [None] * 300_000}

    model = Own(Linear(1), device="cpu")
    model.compile("sgd", "mse")
    with pytest.raises((TypeError, ValueError), match=r"Convert it|Save less|at most 250,000"):
        model.fit(*data(), batch_size=BATCH, epochs=3, verbose=0,
                  callbacks=BackupAndRestore(tmp_path, save_freq=1))
    assert len(before) == 2 and [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("arguments", [
    {"save_freq": 0}, {"save_freq": "batch"}, {"save_freq": True}, {"on_error": "ignore"},
    {"delete_checkpoint": "no"}, {"backup_dir": 3},
], ids=str)  # fmt: skip
def test_settings_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises((TypeError, ValueError), match=rf"BackupAndRestore\({name}\) expects"):
        BackupAndRestore(**{"backup_dir": "backup"} | arguments)
