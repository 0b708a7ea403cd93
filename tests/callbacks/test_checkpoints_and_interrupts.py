"""ModelCheckpoint where Ctrl-C ends training: an epoch that is cut short is none."""

import signal
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from kerasish.layers import Linear, Tanh

X = torch.linspace(-1, 1, 15).view(15, 1)
MORE = [
    {}, {"keep_last": 2}, {"save_best_only": True, "monitor": "loss"},
    {"save_best_only": True}, {"keep_last": 1, "save_best_only": True, "monitor": "loss"},
    {"save_freq": 3}, {"save_best_only": True, "save_freq": 7},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _usual_handler():
    """Python's own handler, whatever the test run was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Press(Callback):
    """Presses Ctrl-C in a batch, or in the validation of an epoch, once."""

    def __init__(self, epoch: int, batch: int | None) -> None:
        self.place: tuple[int, int | None] | None = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.epoch = epoch

    on_epoch_resume = on_epoch_begin

    def on_train_batch_begin(self, batch, logs=None) -> None:
        self._press(batch)

    def on_test_begin(self, logs=None) -> None:
        self._press(None)

    def _press(self, batch: int | None) -> None:
        if self.place == (self.epoch, batch):
            self.place = None
            signal.raise_signal(signal.SIGINT)


def train(folder: Path, more: dict, *callbacks: Callback) -> Model:
    """Six epochs of five batches."""
    model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
    model.compile("sgd", "mse")
    model.fit(X, X.square(), 3, epochs=6, verbose=0, seed=2, validation_data=(X, X.square()),
              callbacks=[ModelCheckpoint(folder / "{epoch}-{batch}", **more), *callbacks])
    return model


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("more", MORE, ids=str)
@pytest.mark.parametrize(("place", "save_freq"), [
    ((0, 0), "epoch"), ((1, 2), "epoch"), ((1, 4), False), ((4, 3), False), ((2, None), 2),
], ids=str)  # fmt: skip
def test_a_run_gone_on_with_leaves_the_files_of_one_undisturbed(place, save_freq, more, tmp_path):
    train(tmp_path / "whole", more)
    press = Press(*place)
    first = train(tmp_path / "again", more, press, BackupAndRestore(tmp_path / "backup", save_freq))
    assert first.interrupted and press.place is None
    train(tmp_path / "again", more, press, BackupAndRestore(tmp_path / "backup", save_freq))
    assert files(tmp_path / "again") == files(tmp_path / "whole")


@pytest.mark.parametrize(("place", "saved"), [
    ((1, 2), ["1-5"]), ((1, 4), ["1-5", "2-5"]), ((1, None), ["1-5", "2-5"]),
], ids=["cut short", "in its last batch", "in its validation"])  # fmt: skip
def test_only_an_epoch_that_is_cut_short_is_not_saved(place, saved, tmp_path: Path) -> None:
    assert train(tmp_path, {}, Press(*place)).interrupted
    assert sorted(files(tmp_path)) == saved
    model = train(tmp_path, {})
    assert not model.interrupted and "6-5" in files(tmp_path), "a later fit saves again"
