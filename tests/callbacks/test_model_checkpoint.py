"""ModelCheckpoint: what is saved when, under which name, what stays, and what goes wrong."""

import errno
import math
import os
from pathlib import Path

import pytest
import torch

from kerasish import Model, ModelFileError
from kerasish.callbacks import Callback, ModelCheckpoint
from kerasish.layers import Linear, Tanh
from tests.callbacks.states import same, weights
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.linspace(-1, 1, 15).view(15, 1)


class Logs(Callback):
    """Puts values of the test's into the logs, one an epoch; None for an epoch without."""

    adds_to_logs = ("own",)

    def __init__(self, *values: float | None) -> None:
        self.values = values

    def on_epoch_end(self, epoch, logs=None) -> None:
        if self.values[epoch] is not None:
            logs["own"] = self.values[epoch]


class Keeps(Callback):
    """Keeps the weights after each epoch and batch."""

    def on_train_begin(self, logs=None) -> None:
        self.epochs, self.batches = [], []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.batches.append(self.model.module.state_dict())

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.epochs.append(self.model.module.state_dict())


def compiled(**more) -> Model:
    model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", **more)
    return model


def fit(*callbacks: Callback, model: Model | None = None, **arguments) -> Model:
    """Five batches an epoch."""
    model = model or compiled()
    options = {"batch_size": 3, "epochs": 3, "verbose": 0, "seed": 2} | arguments
    model.fit(X, X.square(), callbacks=list(callbacks), **options)
    return model


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# ---- every epoch --------------------------------------------------------------------------------


def test_each_epoch_is_saved_under_its_number(tmp_path: Path) -> None:
    keeps = Keeps()
    fit(keeps, ModelCheckpoint(tmp_path / "new" / "{epoch:02d}.safetensors"))
    assert names(tmp_path / "new") == ["01.safetensors", "02.safetensors", "03.safetensors"]
    for epoch, kept in enumerate(keeps.epochs, 1):
        assert same(weights(tmp_path / "new" / f"{epoch:02d}.safetensors"), kept)


@pytest.mark.parametrize("weights_only", [False, True])
def test_the_whole_model_or_its_weights_are_saved(weights_only: bool, tmp_path: Path) -> None:
    path = tmp_path / "net"
    model, other = fit(ModelCheckpoint(path, save_weights_only=weights_only), epochs=2), compiled()
    other.load_weights(path)
    other.build((1,))
    assert same(other.module.state_dict(), model.module.state_dict())
    if weights_only:
        with pytest.raises(ModelFileError, match=r"model.load_weights\(path\) loads it"):
            Model.load(path)
    else:
        assert Model.load(path, device="cpu").compiled


def test_logged_values_and_batches_are_in_names(tmp_path: Path) -> None:
    model = fit(ModelCheckpoint(tmp_path / "{epoch}-{batch}-{val_loss:.3f}-{loss}-{{x}}"),
                validation_split=0.2, epochs=2)
    logs = model.history.history
    assert names(tmp_path) == sorted(
        f"{epoch + 1}-4-{logs['val_loss'][epoch]:.3f}-{logs['loss'][epoch]}-{{x}}"
        for epoch in range(2)
    )  # fmt: skip


def test_a_value_that_an_epoch_does_not_log_is_nan_in_its_name(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.1f}"), validation_split=0.2,
        validation_freq=2)
    first, second, third = names(tmp_path)
    assert (first, third) == ("1-nan", "3-nan") and "nan" not in second


def test_every_n_epochs(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{epoch}", every_n_epochs=3), epochs=8)
    assert names(tmp_path) == ["3", "6"]


def test_a_plain_checkpoint_needs_no_monitor(tmp_path: Path) -> None:
    fit(Logs(torch.ones(2), None, 3.0), ModelCheckpoint(tmp_path / "{epoch}"))
    assert names(tmp_path) == ["1", "2", "3"]


def test_values_of_callbacks_before_it_are_in_names(tmp_path: Path) -> None:
    fit(Logs(0.5, 1.5, 2.5), ModelCheckpoint(tmp_path / "{own:.1f}"))
    assert names(tmp_path) == ["0.5", "1.5", "2.5"]


# ---- the best -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "values", "saved"), [
    ("min", (3.0, 4.0, 2.0, 2.0, 1.0), ["1", "3", "5"]),
    ("max", (3.0, 4.0, 2.0, 4.0, 5.0), ["1", "2", "5"]),
    ("min", (math.nan, 4.0, math.nan, 3.0, math.inf), ["2", "4"]),
    ("max", (math.nan,) * 5, []),
    ("min", (None, 2.0, None, 1.0, None), ["2", "4"]),
], ids=["min", "max", "nan", "only nan", "missing"])  # fmt: skip
def test_only_what_is_better_is_saved(mode, values, saved, tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "own", save_best_only=True, mode=mode)
    fit(Logs(*values), checkpoint, epochs=5)
    assert names(tmp_path) == saved
    assert checkpoint.best_path == (str(tmp_path / saved[-1]) if saved else None)


def test_the_direction_is_that_of_the_metric(tmp_path: Path) -> None:
    model = fit(ModelCheckpoint(tmp_path / "{epoch}", "r2_score", save_best_only=True),
                model=compiled(metrics=["r2_score"]), epochs=6)
    values, best = model.history.history["r2_score"], -math.inf
    expected = []
    for epoch, value in enumerate(values, 1):
        if value > best:
            best = value
            expected.append(str(epoch))
    assert names(tmp_path) == expected and expected


def test_a_threshold_is_to_be_beaten_in_every_fit(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "own", save_best_only=True, mode="min",
                                 initial_value_threshold=2.5)
    fit(Logs(3.0, 2.5, 2.0), checkpoint)
    assert names(tmp_path) == ["3"]
    fit(Logs(2.4, 3.0, 3.0), checkpoint)
    assert names(tmp_path) == ["1", "3"]


# ---- by batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("save_freq", "saved"), [
    (5, ["1-5", "2-5", "3-5"]), (7, ["2-2", "3-4"]), (15, ["3-5"]), (16, []),
])  # fmt: skip
def test_batches_are_counted_across_epochs(save_freq, saved, tmp_path: Path) -> None:
    keeps = Keeps()
    fit(keeps, ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=save_freq))
    assert names(tmp_path) == saved
    for name in saved:
        epoch, batch = map(int, name.split("-"))
        assert same(weights(tmp_path / name), keeps.batches[5 * (epoch - 1) + batch - 1])


def test_batches_are_counted_where_callbacks_hear_of_several_at_once(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=5),
        model=compiled(steps_per_execution=3))
    assert names(tmp_path) == ["1-5", "2-5", "3-5"]


def test_batches_of_an_earlier_fit_do_not_count(tmp_path: Path) -> None:
    model, checkpoint = compiled(), ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=7)
    fit(model=model, epochs=1)
    fit(checkpoint, model=model, epochs=2)
    assert names(tmp_path) == ["2-2"]


def test_the_best_running_mean_is_saved(tmp_path: Path) -> None:
    class Reads(Callback):
        def on_train_begin(self, logs=None) -> None:
            self.means = []

        def on_train_batch_end(self, batch, logs=None) -> None:
            self.means.append(logs["loss"])

    reads = Reads()
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}", "loss", save_best_only=True,
                                 save_freq=2)
    fit(reads, checkpoint)
    best, saved = math.inf, []
    for index in range(1, 15, 2):
        if reads.means[index] < best:
            best = reads.means[index]
            saved.append(f"{index // 5 + 1}-{index % 5 + 1}")
    assert names(tmp_path) == sorted(saved) and checkpoint.best == best


@pytest.mark.parametrize(("save_freq", "looked"), [(6, [2, 3, 4, 5, 6]), (9, [2, 4, 6])])
def test_a_monitor_of_validation_is_looked_at_when_the_epoch_ends(save_freq, looked, tmp_path):
    keeps = Keeps()
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_best_only=True,
                                 save_freq=save_freq)
    model = fit(keeps, checkpoint, epochs=6, validation_data=(X, X.square()))
    values, best, expected = model.history.history["val_loss"], math.inf, []
    for epoch in looked:
        if values[epoch - 1] < best:
            best = values[epoch - 1]
            expected.append(f"{epoch}-5")
    assert names(tmp_path) == expected and len(expected) > 1
    assert same(weights(tmp_path / expected[-1]), keeps.epochs[int(expected[-1][0]) - 1])
    assert checkpoint.best == best == model.history.history["val_loss"][int(expected[-1][0]) - 1]


# ---- what stays ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep_last", "stay"), [(1, ["6"]), (2, ["5", "6"]), (9, list("123456"))])
def test_the_last_ones_stay(keep_last, stay, tmp_path: Path) -> None:
    (tmp_path / "0").write_text("somebody else's")
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", keep_last=keep_last)
    fit(checkpoint, epochs=6)
    assert names(tmp_path) == ["0", *stay]
    assert checkpoint.kept == [str(tmp_path / name) for name in stay]


def test_the_best_one_stays_too(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "own", mode="min", keep_last=2)
    fit(Logs(3.0, 1.0, 2.0, 2.0, math.nan, 2.0), checkpoint, epochs=6)
    assert names(tmp_path) == ["2", "5", "6"]
    assert checkpoint.best_path == str(tmp_path / "2")


def test_of_best_ones_the_last_stay(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "own", mode="min", keep_last=1,
                                 save_best_only=True)
    fit(Logs(3.0, 1.0, 2.0, 0.5, 0.7), checkpoint, epochs=5)
    assert names(tmp_path) == ["4"]


def test_older_ones_are_deleted_after_the_new_one_is_there(tmp_path: Path) -> None:
    model, seen = compiled(), []
    save = model.save
    model.save = lambda path: (seen.append(names(tmp_path)), save(path))
    fit(ModelCheckpoint(tmp_path / "{epoch}", keep_last=1), model=model)
    assert seen == [[], ["1"], ["2"]]


def test_one_name_for_all_is_never_deleted(tmp_path: Path) -> None:
    fit(ModelCheckpoint(tmp_path / "net", keep_last=1))
    assert names(tmp_path) == ["net"]


def test_what_somebody_else_deleted_is_no_failure(tmp_path: Path) -> None:
    class Deletes(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            (tmp_path / str(epoch)).unlink(missing_ok=True)

    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", keep_last=1)
    fit(Deletes(), checkpoint)
    assert names(tmp_path) == ["3"] and checkpoint.failures == 0


# ---- failures -----------------------------------------------------------------------------------


class Disk:
    """A disk on which the next so many files find no room."""

    full = 0

    def __init__(self, fsync) -> None:
        self.fsync = fsync

    def __call__(self, file: int) -> None:
        if self.full:
            self.full -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.fsync(file)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    disk = Disk(os.fsync)
    monkeypatch.setattr(os, "fsync", disk)
    return disk


def test_a_save_that_fails_raises_with_the_path(disk, tmp_path: Path) -> None:
    disk.full = 1
    with pytest.raises(OSError, match="ModelCheckpoint could not save: No space left") as caught:
        fit(ModelCheckpoint(tmp_path / "{epoch}"))
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "1")


def test_a_folder_that_cannot_be_made_raises_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="ModelCheckpoint could not save") as caught:
        fit(ModelCheckpoint(tmp_path / "file" / "net"))
    assert caught.value.filename == str(tmp_path / "file" / "net")


def test_with_warn_each_failure_is_said_and_counted(disk, tmp_path: Path, capsys) -> None:
    model, checkpoint = compiled(), ModelCheckpoint(tmp_path / "{epoch}", on_error="warn")
    disk.full = 2
    fit(checkpoint, model=model)
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 2 and str(tmp_path / "2") in said
    assert "failures so far: 2" in said
    assert checkpoint.failures == 2 and names(tmp_path) == ["3"]
    fit(checkpoint, model=model)
    assert checkpoint.failures == 0, "each fit counts anew"


def test_a_best_that_could_not_be_saved_is_not_the_best(disk, tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "own", save_best_only=True, mode="min",
                                 on_error="warn")
    disk.full = 1
    fit(Logs(1.0, 2.0, 3.0), checkpoint)
    assert names(tmp_path) == ["2"] and checkpoint.best == 2.0


def test_a_save_that_failed_deletes_nothing(disk, tmp_path: Path) -> None:
    class Fills(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            disk.full = 1 if epoch else 0

    fit(Fills(), ModelCheckpoint(tmp_path / "{epoch}", keep_last=1, on_error="warn"))
    assert names(tmp_path) == ["1"]


# ---- going on with a run that was saved ---------------------------------------------------------


@pytest.mark.parametrize("more", [
    {"keep_last": 2}, {"save_best_only": True, "monitor": "loss", "save_freq": 2},
    {"save_best_only": True, "keep_last": 1}, {"save_freq": 7, "keep_last": 1},
    {"save_best_only": True, "save_freq": 7},
], ids=str)  # fmt: skip
@pytest.mark.parametrize(("dies", "save_freq"), [
    (Dies(3), "epoch"), (Dies(3, batch=3), "epoch"), (Dies(2, batch=2), 3),
    (Dies(1, batch=4), 3),
], ids=["epoch", "batch", "by batch", "between batch and epoch"])  # fmt: skip
def test_a_run_started_again_leaves_the_same_files(dies, save_freq, more, tmp_path: Path) -> None:
    found = []
    for name in ("whole", "again"):
        folder, checkpoints = tmp_path / name, []

        def train(callbacks, folder=folder, checkpoints=checkpoints) -> None:
            checkpoints.append(ModelCheckpoint(folder / "nets" / "{epoch}-{batch}", **more))
            fit(checkpoints[-1], *callbacks, epochs=6, validation_data=(X, X.square()))

        if name == "whole":
            train([])
        else:
            killed_and_started_again(train, folder, dies, save_freq)
        contents = {path.name: path.read_bytes() for path in (folder / "nets").iterdir()}
        state = checkpoints[-1].state_dict()
        state["kept"] = [Path(path).name for path in state["kept"]]
        state["best_path"] = state["best_path"] and Path(state["best_path"]).name
        found.append((contents, state))
    assert found[0] == found[1] and found[0][0]


def test_a_run_started_again_knows_what_was_best(tmp_path: Path) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(Logs(3.0, 1.0, 4.0, 2.0, 0.5), ModelCheckpoint(
            tmp_path / "nets" / "{epoch}", "own", save_best_only=True, mode="min"), *callbacks,
            epochs=5)

    killed_and_started_again(train, tmp_path, Dies(2))
    assert names(tmp_path / "nets") == ["1", "2", "5"]


def test_a_best_whose_place_another_took_is_gone(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path / "net", "own", mode="min")
    fit(Logs(3.0, 1.0, 2.0), checkpoint)
    assert checkpoint.best == 1.0 and checkpoint.best_path is None


# ---- what it says ------------------------------------------------------------------------------


def test_verbose_says_what_is_saved_and_what_is_not(tmp_path: Path, capsys) -> None:
    fit(Logs(3.0, 4.0, 2.0), ModelCheckpoint(
        tmp_path / "net", "own", verbose=1, save_best_only=True, mode="min"))
    path = repr(str(tmp_path / "net"))
    assert capsys.readouterr().err.splitlines() == [
        f"Epoch 1: own improved from None to 3.0, saving the model to {path}",
        "Epoch 2: own did not improve from 3.0",
        f"Epoch 3: own improved from 3.0 to 2.0, saving the model to {path}",
    ]
    fit(ModelCheckpoint(tmp_path / "net", verbose=1), epochs=1)
    assert capsys.readouterr().err == f"Epoch 1: saving the model to {path}\n"
