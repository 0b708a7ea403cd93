"""TensorBoard with every page at once: nothing twice, nothing missing, nothing left open."""

import os
import threading
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, TensorBoard
from kerasish.layers import Conv2d, Dropout, Flatten, Linear
from tests.callbacks.pages import events, same, state_of, tags
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 3


def board(folder: Path) -> TensorBoard:
    return TensorBoard(folder, update_freq="batch", write_images=True, write_mistakes=4,
                       pr_curves=True, hparams=True, profile_batch=(2, 3))


def fit(*callbacks: Callback, **arguments) -> Model:
    model = Model(Conv2d(4, kernel_size=3), Flatten(), Dropout(0.5), Linear(3), device="cpu")
    model.compile("adam", "cross_entropy", metrics=["accuracy"])
    options = {"epochs": 3, "batch_size": 7, "verbose": 0, "seed": 1} | arguments
    model.fit(X, Y, validation_data=(X, Y.roll(1)), callbacks=list(callbacks), **options)
    return model


def test_every_kind_is_in_its_run(tmp_path: Path) -> None:
    fit(board(tmp_path))
    kinds = {run.name: {value.metadata.plugin_data.plugin_name for _, value in events(run)}
             for run in tmp_path.iterdir()}
    assert kinds["train"] >= {"scalars", "text", "images"}
    assert kinds["validation"] == {"scalars", "images", "pr_curves"}
    assert kinds["hparams"] == {"hparams", "scalars"}
    assert list(tmp_path.glob("train/plugins/profile/batches_2-3/*.pt.trace.json"))


def test_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    states = []
    for callbacks in ([], [board(tmp_path)]):
        torch.manual_seed(0)
        states.append(state_of(fit(*callbacks)))
    assert same(*states)


@pytest.mark.parametrize(("dies", "save_freq"), [
    (Dies(1), "epoch"), (Dies(1, batch=1), "epoch"), (Dies(1, batch=1), 2), (Dies(0), 2),
], ids=["after an epoch", "within an epoch", "by batch", "in the first epoch"])
def test_a_run_started_again_has_all_of_it_once(dies, save_freq, tmp_path: Path) -> None:
    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        fit(board(folder / "runs"), *callbacks)

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", dies, save_freq)
    for run in ("train", "validation", "hparams"):
        whole, again = (tags(tmp_path / name / "runs" / run) for name in ("whole", "again"))
        assert dict(sorted(again.items())) == dict(sorted(whole.items()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
def test_many_fits_leave_no_thread_and_no_file_open(tmp_path: Path) -> None:
    fit(board(tmp_path))
    threads, opened = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        fit(board(tmp_path), epochs=1)
    assert threading.active_count() == threads and len(os.listdir("/proc/self/fd")) == opened
