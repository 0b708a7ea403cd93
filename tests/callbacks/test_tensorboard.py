"""TensorBoard: what is in its files, that they are whole, and that TensorBoard shows them."""

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kerasish.callbacks.tensorboard.scalars as scalars
from kerasish import Model, schedules
from kerasish.callbacks import Callback, TensorBoard
from kerasish.callbacks.tensorboard import runs
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD

ROOT = Path(__file__).parent.parent.parent
LIMIT = 60
"""Seconds after which another process is given up."""
VALIDATION = ["epoch_accuracy", "epoch_loss", "evaluation_accuracy_vs_iterations",
              "evaluation_loss_vs_iterations"]


def data(count: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, count).view(count, 1)
    return x, x.sign()


def compiled(rate=0.1, metrics=("accuracy",)) -> Model:
    model = Model(Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=SGD(rate), loss="mse", metrics=list(metrics))
    return model


def fit(model: Model, *callbacks: Callback, **arguments):
    options = {"batch_size": 3, "epochs": 3, "verbose": 0} | arguments
    return model.fit(*data(), callbacks=list(callbacks), **options)


def read(folder: Path, start: str = "") -> dict[str, dict[int, float]]:
    """Scalars under a folder whose tags start so: tag → step → value. No step may come twice."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    scalars = {}
    for tag in (tag for tag in events.Tags()["scalars"] if tag.startswith(start)):
        points = [(event.step, event.value) for event in events.Scalars(tag)]
        scalars[tag] = dict(points)
        assert len(scalars[tag]) == len(points), f"{tag} has a step twice"
        assert [step for step, _ in points] == sorted(scalars[tag]), f"{tag} goes back"
    return scalars


def files(folder: Path) -> dict[str, int]:
    """How many event files there are in each folder of a run."""
    return {str(run.relative_to(folder)): len(list(run.iterdir())) for run in folder.iterdir()}


# ---- by epoch -----------------------------------------------------------------------------------


def test_scalars_by_epoch_have_the_tags_and_folders_of_keras(tmp_path: Path) -> None:
    history = fit(compiled(), TensorBoard(tmp_path), validation_data=data(5)).history
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    assert sorted(train) == ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"]
    assert sorted(validation) == VALIDATION
    for name in ("loss", "accuracy"):
        for run, logged in ((train, history[name]), (validation, history[f"val_{name}"])):
            assert list(run[f"epoch_{name}"]) == [0, 1, 2]
            assert list(run[f"epoch_{name}"].values()) == pytest.approx(logged, rel=1e-6)


def test_without_validation_there_is_no_run_of_it(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(tmp_path))
    assert files(tmp_path) == {"train": 1, "graph_backward": 1}


def test_the_learning_rate_is_that_of_the_schedule_at_the_end_of_the_epoch(tmp_path) -> None:
    rate = schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5)
    fit(compiled(rate), TensorBoard(tmp_path))
    rates = read(tmp_path / "train")["epoch_learning_rate"]
    assert rates == pytest.approx({0: 0.05, 1: 0.025, 2: 0.0125}, rel=1e-6)


def test_what_earlier_callbacks_add_is_written_if_it_is_a_number(tmp_path: Path) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs |= {"a": 1.5, "b": 2, "c": np.float32(2.5), "d": np.int64(3), "val_e": 4.5,
                     "f": torch.tensor(5.5), "note": "good", "list": [1, 2], "nothing": None,
                     "year": "2024", "pair": torch.ones(2)}

    fit(compiled(), Adds(), TensorBoard(tmp_path))
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    added = {tag: values[2] for tag, values in train.items() if len(tag) == len("epoch_a")}
    assert added == {"epoch_a": 1.5, "epoch_b": 2, "epoch_c": 2.5, "epoch_d": 3, "epoch_f": 5.5}
    assert validation == {"epoch_e": {0: 4.5, 1: 4.5, 2: 4.5}}
    left_out = ("note", "list", "nothing", "year", "pair")
    assert not {f"epoch_{name}" for name in left_out} & set(train)


def test_a_value_that_is_nan_is_written(tmp_path: Path) -> None:
    model = compiled(metrics=())
    x, y = data()
    model.fit(x * float("nan"), y, verbose=0, callbacks=TensorBoard(tmp_path))
    assert np.isnan(read(tmp_path / "train")["epoch_loss"][0])


@pytest.mark.parametrize("fresh", [False, True], ids=["same instance", "fresh instance"])
def test_all_fits_write_one_event_file_for_each_run(fresh: bool, tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path)
    for _ in range(3):
        fit(model, TensorBoard(tmp_path) if fresh else board, validation_data=data(5))
        assert files(tmp_path) == {"train": 1, "validation": 1, "graph_backward": 1}
    assert list(read(tmp_path / "train")["epoch_loss"]) == list(range(9))


@pytest.mark.parametrize("update_freq", ["epoch", "batch", 2])
def test_a_fit_of_no_epochs_and_a_callback_that_is_not_used_write_nothing(
    update_freq, tmp_path: Path
) -> None:
    board = TensorBoard(tmp_path / "runs", update_freq=update_freq)
    fit(compiled(), board, epochs=0)
    board.close()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_be_text_and_is_made(tmp_path: Path) -> None:
    fit(compiled(), TensorBoard(str(tmp_path / "deep" / "er")))
    assert files(tmp_path / "deep" / "er") == {"train": 1, "graph_backward": 1}


def test_an_evaluation_is_written_by_iterations(tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path)
    history = fit(model, board, validation_data=data(5)).history
    fit(model, epochs=1)
    loss, accuracy = model.evaluate(*data(7), verbose=0, callbacks=[board])
    fit(model, epochs=1)
    again, _ = model.evaluate(*data(7), verbose=0, callbacks=TensorBoard(tmp_path))
    found = read(tmp_path / "validation")
    in_fit = found["evaluation_loss_vs_iterations"]
    assert list(in_fit) == [4, 8, 12, 16, 20] and len(found["epoch_loss"]) == 3
    assert list(in_fit.values()) == pytest.approx([*history["val_loss"], loss, again], rel=1e-6)
    assert found["evaluation_accuracy_vs_iterations"][16] == pytest.approx(accuracy)
    assert files(tmp_path) == {"train": 1, "validation": 1, "graph_backward": 1}


@pytest.mark.parametrize("update_freq", ["epoch", 2])
def test_speeds_are_written_if_they_are_asked_for(update_freq, tmp_path: Path, monkeypatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(scalars.time, "perf_counter", lambda: clock.now)

    class Ticks(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            clock.now += 0.5

    board = TensorBoard(tmp_path, update_freq=update_freq, write_steps_per_second=True)
    fit(compiled(), Ticks(), board)
    train = read(tmp_path / "train")
    assert train["epoch_steps_per_second"] == {0: 2.0, 1: 2.0, 2: 2.0}
    by_batch = {} if update_freq == "epoch" else dict.fromkeys((2, 4, 6, 8, 10, 12), 2.0)
    assert train.get("batch_steps_per_second", {}) == by_batch


@pytest.mark.parametrize(("arguments", "words"), [
    ({"histogram_freq": -1}, ("TensorBoard(histogram_freq)", "at least 0", "got -1")),
    ({"histogram_freq": 0.5}, ("TensorBoard(histogram_freq)", "got 0.5")),
    ({"histogram_freq": True}, ("TensorBoard(histogram_freq)", "got True")),
    ({"write_steps_per_second": 1}, ("TensorBoard(write_steps_per_second)", "got 1")),
    ({"update_freq": "bacth"}, ("TensorBoard(update_freq)", "got 'bacth'", "'batch'?")),
    ({"update_freq": None}, ("TensorBoard(update_freq)", "got None")),
    ({"log_dir": "a\0b"}, ("TensorBoard(log_dir)", "Take it out")),
], ids=str)  # fmt: skip
def test_settings_out_of_range_are_refused(arguments: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as caught:
        TensorBoard(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


# ---- by batch -----------------------------------------------------------------------------------


class Batches(Callback):
    """Keeps the logs of every batch of the fit."""

    def __init__(self) -> None:
        self.logs: list[dict] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.logs.append(dict(logs))


@pytest.mark.parametrize(
    ("update_freq", "steps"),
    [("epoch", []), ("batch", range(1, 13)), (1, range(1, 13)), (np.int64(5), [5, 10]), (100, [])],
    ids=str,
)
def test_update_freq_says_which_batches_are_written(update_freq, steps, tmp_path: Path) -> None:
    batches = Batches()
    fit(compiled(), batches, TensorBoard(tmp_path, update_freq=update_freq))
    train = read(tmp_path / "train")
    assert sorted(train) == sorted(
        [*(["batch_accuracy", "batch_loss"] if steps else []), "epoch_accuracy",
         "epoch_learning_rate", "epoch_loss"]
    )  # fmt: skip
    for name in ("loss", "accuracy"):
        expected = {step: batches.logs[step - 1][name] for step in steps}
        assert train.get(f"batch_{name}", {}) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("update_freq", ["epoch", 10**9], ids=["by epoch", "by batch"])
def test_batches_that_are_not_written_are_not_read(update_freq, tmp_path, monkeypatch) -> None:
    reads = []
    item = torch.Tensor.__float__

    class Watched(Model):
        def train_step(self, x, y, sample_weight=None):
            self.batch_reads = len(reads)
            return super().train_step(x, y, sample_weight)

    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(1) or item(self))
    model = Watched(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    fit(model, TensorBoard(tmp_path, update_freq=update_freq), epochs=1)
    assert model.batch_reads == 0 and reads


# ---- several fits -------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [False, True], ids=["same instance", "fresh instance"])
@pytest.mark.parametrize("again", [False, True], ids=["as it is", "compiled again"])
def test_steps_go_on_across_fits(fresh: bool, again: bool, tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path, update_freq="batch")
    for _ in range(3):
        fit(model, board, epochs=2, validation_data=data(5))
        if fresh:
            board = TensorBoard(tmp_path, update_freq="batch")
        if again:
            model.compile(optimizer=SGD(0.1), loss="mse", metrics=["accuracy"])
    train = read(tmp_path / "train")
    assert list(train["epoch_loss"]) == list(range(6))
    assert list(read(tmp_path / "validation", "epoch_")["epoch_loss"]) == list(range(6))
    assert list(train["batch_loss"]) == list(range(1, 25))


def test_steps_go_on_where_initial_epoch_says(tmp_path: Path) -> None:
    model = compiled()
    for first, last in ((0, 2), (2, 4), (4, 5)):
        fit(model, TensorBoard(tmp_path), initial_epoch=first, epochs=last)
    assert list(read(tmp_path / "train")["epoch_loss"]) == list(range(5))


def test_steps_start_at_initial_epoch_in_a_fresh_model_and_never_go_back(tmp_path: Path) -> None:
    model = compiled()
    fit(model, TensorBoard(tmp_path), initial_epoch=5, epochs=7)
    fit(model, TensorBoard(tmp_path), epochs=2)
    assert list(read(tmp_path / "train")["epoch_loss"]) == [5, 6, 7, 8]


def test_a_fit_that_was_not_watched_is_counted(tmp_path: Path) -> None:
    model = compiled()
    fit(model, epochs=2)
    fit(model, TensorBoard(tmp_path, update_freq="batch"), epochs=1)
    train = read(tmp_path / "train")
    assert list(train["epoch_loss"]) == [2] and list(train["batch_loss"]) == [9, 10, 11, 12]


def test_two_models_may_write_side_by_side(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "one")
    fit(compiled(), board)
    fit(compiled(), TensorBoard(tmp_path / "other"))
    assert read(tmp_path / "one" / "train").keys() == read(tmp_path / "other" / "train").keys()


# ---- closing ------------------------------------------------------------------------------------


class Fails(Callback):
    """Raises in the second epoch."""

    def __init__(self, hook: str, error: type[BaseException]) -> None:
        self.hook, self.error = hook, error
        self.epoch = -1
        setattr(self, hook, self._fail)

    def _fail(self, index, logs=None) -> None:
        self.epoch += self.hook.startswith("on_epoch") or index == 0
        if self.epoch == 1:
            raise self.error("no")


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_end", "on_test_batch_end"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_trained_is_in_the_files_when_training_raises(hook, error, tmp_path) -> None:
    board = TensorBoard(tmp_path, update_freq="batch")
    with pytest.raises(error):
        fit(compiled(), board, Fails(hook, error), validation_data=data(5))
    assert files(tmp_path) == {"train": 1, "validation": 1, "graph_backward": 1}
    train = read(tmp_path / "train")
    assert list(train["epoch_loss"]) == [0]
    assert list(train["batch_loss"]) == list(range(1, {"on_epoch_begin": 5, "on_train_batch_end": 6,
                                                       "on_test_batch_end": 9}[hook]))


@pytest.mark.parametrize("lasts, seen", [(0.11, [1, 2, 3]), (0.04, [0, 0, 3]), (0.0, [0, 0, 0])])
def test_an_epoch_is_in_the_files_as_it_has_ended_and_short_ones_together(
    lasts: float, seen: list[int], tmp_path: Path, monkeypatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(runs, "time", SimpleNamespace(time=lambda: clock.now))
    found = []

    class Lasts(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            clock.now += lasts if batch == 0 else 0

        def on_epoch_end(self, epoch, logs=None) -> None:
            found.append(len(read(tmp_path / "train").get("epoch_loss", ())))

    fit(compiled(), TensorBoard(tmp_path), Lasts())
    assert found == seen and list(read(tmp_path / "train")["epoch_loss"]) == [0, 1, 2]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
@pytest.mark.parametrize("raises", [False, True], ids=["ended", "raised"])
def test_twenty_fits_leave_no_thread_and_no_file_open(raises: bool, tmp_path: Path) -> None:
    model, board = compiled(), TensorBoard(tmp_path, update_freq="batch")
    fit(model, board, validation_data=data(5))
    threads, opened = threading.active_count(), open_files()
    for _ in range(20):
        failing = [Fails("on_epoch_end", ValueError)] if raises else []
        try:
            fit(model, board, *failing, epochs=2, validation_data=data(5))
        except ValueError:
            assert raises
    assert threading.active_count() == threads and open_files() == opened


# ---- TensorBoard itself -------------------------------------------------------------------------


def test_no_tensorflow_is_imported(tmp_path: Path) -> None:
    program = f"""
        import sys
        import kerasish.callbacks
        early = [name for name in sys.modules if name.startswith(("tensorboard", "tensorflow"))]
        assert not early, early
        from kerasish import Model
        from kerasish.layers import Linear
        model = Model(Linear(1), device="cpu")
        model.compile(optimizer="sgd", loss="mse")
        model.fit([[1.0]], [[1.0]], verbose=0,
                  callbacks=kerasish.callbacks.TensorBoard({str(tmp_path)!r}))
        late = [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras")]
        assert not late, late
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert child.returncode == 0, child.stderr
    assert files(tmp_path) == {"train": 1, "graph_backward": 1}


def ask(url: str):
    """What a server answers, as data; None while it does not."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def test_tensorboard_lists_the_runs_train_and_validation(tmp_path: Path) -> None:
    history = fit(compiled(), TensorBoard(tmp_path), validation_data=data(5)).history
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--host",
               "127.0.0.1", "--port", "0", "--load_fast", "false"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        watchdog = threading.Timer(LIMIT, server.kill)
        watchdog.start()
        try:
            address = None
            for line in server.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    address = found[0]
                    break
            assert address, "the server says where it listens"
            tags, runs = {}, []
            while server.poll() is None and (len(runs), len(tags)) != (3, 2):
                runs = ask(f"{address}/data/runs") or []
                tags = ask(f"{address}/data/plugin/scalars/tags") or {}
                time.sleep(0.1)
            points = ask(f"{address}/data/plugin/scalars/scalars?run=validation&tag=epoch_loss")
        finally:
            watchdog.cancel()
            server.kill()
    assert sorted(runs) == ["graph_backward", "train", "validation"]
    assert sorted(tags["train"]) == ["epoch_accuracy", "epoch_learning_rate", "epoch_loss"]
    assert sorted(tags["validation"]) == VALIDATION
    assert [(step, value) for _, step, value in points] == [
        (step, pytest.approx(value, rel=1e-6)) for step, value in enumerate(history["val_loss"])
    ]
