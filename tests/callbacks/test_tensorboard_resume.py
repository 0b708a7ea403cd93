"""TensorBoard in a run that is started again: no step twice, none missing."""

import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from kerasish import Model
from kerasish.callbacks import Callback, TensorBoard
from kerasish.layers import Dropout, Linear, Tanh
from kerasish.optimizers import SGD
from tests.callbacks.stopped import Dies, killed_and_started_again
from tests.callbacks.test_tensorboard import compiled, data, fit


def points(run: Path) -> list[tuple[str, int, float | bytes]]:
    """All scalars and histograms of a run: tag, step and value, sorted."""
    found = []
    for path in run.iterdir():
        for event in EventFileLoader(str(path)).Load():
            found += [(value.tag, event.step,
                       value.tensor.tensor_content or value.tensor.float_val[0])
                      for value in event.summary.value
                      if value.metadata.plugin_data.plugin_name in ("scalars", "histograms")]
    return sorted(found)


@pytest.mark.parametrize("update_freq", ["epoch", "batch", 3])
@pytest.mark.parametrize(("dies", "save_freq"), [
    (Dies(3), "epoch"), (Dies(3, batch=2), "epoch"), (Dies(2, batch=2), 3), (Dies(0), 2),
    (Dies(0), "epoch"),
], ids=["after an epoch", "within an epoch", "by batch", "in the first epoch",
        "before the second backup"])  # fmt: skip
def test_a_run_started_again_has_each_step_once(dies, save_freq, update_freq, tmp_path) -> None:
    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        board = TensorBoard(folder / "runs", update_freq=update_freq)
        fit(compiled(), board, *callbacks, epochs=5, seed=1, validation_data=data(5))

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", dies, save_freq)
    for run in ("train", "validation"):
        whole = points(tmp_path / "whole" / "runs" / run)
        assert points(tmp_path / "again" / "runs" / run) == whole
        assert [step for tag, step, _ in whole if tag == "epoch_loss"] == list(range(5))


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("accumulated", [None, 3])
@pytest.mark.parametrize(("dies", "save_freq"), [
    (Dies(2), "epoch"), (Dies(2, batch=2), "epoch"), (Dies(2, batch=2), 1), (Dies(2, batch=3), 3),
    (Dies(0, batch=1), 1),
], ids=["after an epoch", "within an epoch", "by batch", "by three", "in the first epoch"])
def test_histograms_of_a_run_started_again_are_the_same_to_the_bit(
    dies, save_freq, accumulated, every, tmp_path: Path
) -> None:
    models = []

    def train(callbacks: list[Callback], folder: Path = tmp_path / "again") -> None:
        model = Model(Linear(3), Tanh(), Dropout(0.2), Linear(1), device="cpu")
        model.compile(SGD(0.1, gradient_accumulation_steps=accumulated), "mse")
        models.append(model)
        fit(model, TensorBoard(folder / "runs", every), *callbacks, epochs=5, seed=1)

    train([], tmp_path / "whole")
    killed_and_started_again(train, tmp_path / "again", dies, save_freq)
    whole = points(tmp_path / "whole" / "runs" / "train")
    assert points(tmp_path / "again" / "runs" / "train") == whole
    steps = list(range(0, 5, every))
    for tag in ("0.weight/gradient/histogram", "1/activation/histogram", "0/update_ratio"):
        assert [step for each, step, _ in whole if each == tag] == steps
    for one, other in zip(models[0].weights, models[-1].weights, strict=True):
        assert one.equal(other)


def test_its_files_can_be_told_from_others(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path), validation_data=data(5))
    assert all(path.name.endswith(".kerasish") for path in tmp_path.glob("*/*"))


def test_a_state_counts_what_is_in_the_files(tmp_path: Path) -> None:
    states = []

    class Asks(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            states.append(board.state_dict()["lengths"])
            assert states[-1] == {
                path.relative_to(tmp_path).as_posix(): path.stat().st_size
                for path in tmp_path.glob("*/*")
            }  # fmt: skip

    board = TensorBoard(tmp_path, update_freq="batch")
    fit(compiled(), board, Asks(), epochs=1)
    lengths = [sum(state.values()) for state in states]
    assert lengths == sorted(set(lengths)), "each batch is there as soon as the state counts it"


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    fit(compiled(), board)
    state = board.state_dict()
    (tmp_path / "train" / "events.out.tfevents.1.other").write_bytes(b"other")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "events.kerasish").write_bytes(b"other run")
    (ours,) = (tmp_path / "train").glob("*.kerasish")
    length = ours.stat().st_size
    with ours.open("ab") as file:
        file.write(b"torn")
    later = ours.with_name("events.out.tfevents.9.kerasish")
    later.write_bytes(b"later")
    TensorBoard(tmp_path).load_state_dict(state)
    assert ours.stat().st_size == length and not later.exists()
    assert (tmp_path / "train" / "events.out.tfevents.1.other").read_bytes() == b"other"
    assert (tmp_path / "elsewhere" / "events.kerasish").read_bytes() == b"other run"


def test_a_recorded_file_that_is_shorter_or_gone_is_no_obstacle(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    fit(compiled(), board, validation_data=data(5))
    state = board.state_dict()
    (train,) = (tmp_path / "train").iterdir()
    os.truncate(train, 10)
    next((tmp_path / "validation").iterdir()).unlink()
    TensorBoard(tmp_path).load_state_dict(state)
    assert train.stat().st_size == 10


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "one")
    fit(compiled(), board)
    other = TensorBoard(tmp_path / "other")
    other.load_state_dict(board.state_dict())
    assert not (tmp_path / "other").exists()


def test_a_trial_run_writes_nothing(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path), fast_dev_run=True)
    assert list(tmp_path.iterdir()) == []
