"""Event files: their bytes are TensorBoard's own, and nothing that befalls them stops training."""

import shutil
import struct
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as slow_crc
from tensorboard.util.tensor_util import make_ndarray

from kerasish.callbacks import Callback, TensorBoard
from kerasish.callbacks.tensorboard import events, runs, wire
from kerasish.callbacks.tensorboard.crc import masked_crc32c
from kerasish.callbacks.tensorboard.events import EventFile
from kerasish.callbacks.tensorboard.runs import Runs
from tests.callbacks.test_tensorboard import (
    LIMIT,
    ROOT,
    compiled,
    data,
    files,
    fit,
    open_files,
    read,
)


def event_file(run: Path) -> Path:
    (path,) = run.iterdir()
    return path


def steps(run: Path) -> list[int]:
    """The steps of `epoch_loss` in a run that TensorBoard's own reader can read to its end."""
    loaded = [Event.FromString(raw) for raw in RawEventFileLoader(str(event_file(run))).Load()]
    assert loaded[0].file_version == "brain.Event:2"
    return [event.step for event in loaded for value in event.summary.value
            if value.tag == "epoch_loss"]


# ---- bytes --------------------------------------------------------------------------------------


SIZES = [*range(6), *(64 * blocks - 4 + more for blocks in range(1, 9) for more in (-1, 0, 1)),
         3000, 32763, 32764, 32765, 70000]


def test_checksums_are_those_of_tensorboard() -> None:
    noise = np.random.default_rng(0)
    records = [content for size in SIZES for content in (
        noise.integers(0, 256, size, dtype=np.uint8).tobytes(), bytes(size), b"\xff" * size)]
    noise.shuffle(records)
    assert masked_crc32c(records) == [slow_crc(record) for record in records]
    assert masked_crc32c([]) == []


@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, -1e300, float("inf"), 3, np.float32(0.1)])
@pytest.mark.parametrize("tag", ["a", "epoch_loss", "ünïcode/" * 30])
def test_a_scalar_is_that_of_the_protocol(tag: str, value: float) -> None:
    with np.errstate(over="ignore"):
        expected = Summary(value=[Summary.Value(tag=tag, simple_value=np.float32(value))])
    assert Summary.FromString(wire.scalar(tag, value)) == expected


@pytest.mark.parametrize("step", [0, 1, 127, 128, 2**40, -1])
@pytest.mark.parametrize("size", [0, 1, 127, 128, 20000])
def test_an_event_is_that_of_the_protocol(step: int, size: int) -> None:
    summary = Summary(value=[Summary.Value(tag="x" * size)])
    expected = Event(wall_time=12.5, step=step, summary=summary)
    assert Event.FromString(wire.event(12.5, step, summary.SerializeToString())) == expected
    assert Event.FromString(wire.first_event(2.5)) == Event(
        wall_time=2.5, file_version="brain.Event:2")


def test_a_histogram_is_a_tensor_of_the_plugin_histograms() -> None:
    buckets = np.arange(90, dtype=np.float32).reshape(30, 3)
    (content,) = wire.contents(buckets[None, None])
    data = wire.summary([wire.histogram_head("0.weight/histogram", 30, 3)], content)
    (value,) = Summary.FromString(data).value
    assert value.tag == "0.weight/histogram" and value.metadata.data_class == 2
    assert value.metadata.plugin_data.plugin_name == "histograms"
    np.testing.assert_array_equal(make_ndarray(value.tensor), buckets)


# ---- a file that is gone on with ----------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"t", b"torn" * 10, bytes(5000), struct.pack("<Q", 2**60)],
                         ids=["a byte", "text", "zeros", "a length"])  # fmt: skip
def test_a_file_that_ends_torn_is_cut_back_to_whole_records(torn: bytes, tmp_path: Path) -> None:
    model = compiled()
    fit(model, TensorBoard(tmp_path))
    with event_file(tmp_path / "train").open("ab") as file:
        file.write(torn)
    fit(model, TensorBoard(tmp_path))
    assert steps(tmp_path / "train") == list(range(6))


@pytest.mark.parametrize("lost", [1, 4, 5, 20])
def test_a_last_record_that_is_cut_or_overwritten_is_left_out(lost: int, tmp_path: Path) -> None:
    model = compiled()
    fit(model, TensorBoard(tmp_path))
    path = event_file(tmp_path / "train")
    whole = path.read_bytes()
    for damaged in (whole[:-lost], whole[:-lost] + bytes(lost)):
        path.write_bytes(damaged)
        again = Runs(tmp_path)
        again.add_scalar("train", "epoch_loss", 1.0, 7)
        again.close()
        assert steps(tmp_path / "train") == [0, 1, 7]


@pytest.mark.parametrize("content", [b"", b"no event file", bytes(100)], ids=str)
def test_a_file_with_no_whole_record_is_begun_anew(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "events.out.tfevents.1.kerasish").write_bytes(content)
    fit(compiled(), TensorBoard(tmp_path))
    assert steps(tmp_path / "train") == [0, 1, 2]


def test_the_latest_of_several_files_is_gone_on_with(tmp_path: Path) -> None:
    for number in (1, 3, 2):
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / f"events.out.tfevents.{number}.kerasish").touch()
    fit(compiled(), TensorBoard(tmp_path))
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "train").iterdir()}
    assert [name for name, size in sizes.items() if size] == ["events.out.tfevents.3.kerasish"]


def test_long_epochs_are_written_by_time(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(runs, "_SECONDS", -1.0)
    seen = []

    class Reads(Callback):
        def on_train_batch_end(self, batch, logs=None) -> None:
            seen.append(len(read(tmp_path / "train")["batch_loss"]))

    fit(compiled(), TensorBoard(tmp_path, update_freq="batch"), Reads(), epochs=1)
    assert seen == [1, 2, 3, 4]


# ---- a thousand fits ----------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
def test_a_thousand_fits_leave_one_file_no_thread_and_no_descriptor(tmp_path: Path) -> None:
    model = compiled()
    fit(model, TensorBoard(tmp_path), epochs=1)
    threads, opened = threading.active_count(), open_files()
    most_threads = most_opened = 0
    for _ in range(1000):
        fit(model, TensorBoard(tmp_path, histogram_freq=100), epochs=1, batch_size=12)
        most_threads = max(most_threads, threading.active_count())
        most_opened = max(most_opened, open_files())
    assert (most_threads, most_opened) == (threads, opened)
    assert files(tmp_path) == {"train": 1, "graph_backward": 1}
    assert len(steps(tmp_path / "train")) == 1001


# ---- what fails ---------------------------------------------------------------------------------


def trained(*callbacks: Callback) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    model = compiled()
    fit(model, *callbacks, seed=1, validation_data=data(5))
    return model.module.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


class After(Callback):
    """Does something when the first epoch has ended."""

    def __init__(self, act) -> None:
        self.act = act

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch == 0:
            self.act()


@pytest.mark.parametrize("histogram_freq", [0, 1])
def test_a_removed_folder_is_said_once_and_training_goes_on(
    histogram_freq: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, plain = tmp_path / "runs", trained()
    capsys.readouterr()
    board = TensorBoard(folder, histogram_freq, update_freq="batch")
    assert same(plain, trained(board, After(lambda: shutil.rmtree(folder))))
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"TensorBoard cannot write '{folder}/train/events.out")
    assert "(No such file or directory):" in said and said.endswith(
        "training goes on, but what this fit would still add there is missing.")
    assert not folder.exists()
    fit(compiled(), board)
    assert len(read(folder / "train")["epoch_loss"]) == 3 and not capsys.readouterr().err


def test_a_file_in_the_way_of_a_run_costs_that_run_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "validation").touch()
    assert same(trained(), trained(TensorBoard(tmp_path)))
    (said,) = capsys.readouterr().err.splitlines()
    assert f"'{tmp_path / 'validation'}' (File exists):" in said
    assert len(read(tmp_path / "train")["epoch_loss"]) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is full")
def test_a_full_disk_is_said_once_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("train", "validation"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "events.out.tfevents.1.kerasish").symlink_to("/dev/full")
    states = []

    class Asks(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            states.append(board.state_dict())

    board = TensorBoard(tmp_path, 1, update_freq="batch")
    assert same(trained(), trained(Asks(), board))
    (said,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in said and len(states) == 3


def test_a_disk_that_fills_up_keeps_whole_records(tmp_path: Path) -> None:
    """The limit of a file's size stands in for the disk: what was written before it stays."""
    program = f"""
        import resource
        from tests.callbacks.test_tensorboard_files import *
        plain, runs._SECONDS_OF_EPOCHS = trained(), -1.0
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        board = TensorBoard({str(tmp_path)!r}, update_freq="batch")
        fit(compiled(), board, epochs=40)
        assert same(plain, trained(board))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
    assert child.returncode == 0, child.stderr
    assert child.stderr.count("File too large") == 2  # once in each fit
    assert steps(tmp_path / "train")
    with event_file(tmp_path / "train").open("rb") as file:
        size = len(file.read())
        assert 0 < size <= 8000 and events._whole_length(file.fileno()) == size


def test_an_error_while_closing_or_syncing_is_said(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_) -> None:
        raise OSError(5, "Input/output error")

    board = TensorBoard(tmp_path)
    fit(compiled(), board)
    board.runs.add_scalar("train", "more", 1.0, 3)
    monkeypatch.setattr(events.os, "fsync", fails)
    assert board.state_dict()["lengths"]
    assert capsys.readouterr().err.count("Input/output error") == 1
    board.close()
    close = EventFile.close
    monkeypatch.setattr(EventFile, "close", lambda file: (close(file), fails()))
    fit(compiled(), board)
    assert capsys.readouterr().err.count("Input/output error") == 1


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_, **__) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "train"))

    monkeypatch.setattr(Path, "mkdir", refused)
    fit(compiled(), TensorBoard(tmp_path), validation_data=data(5))
    (said,) = capsys.readouterr().err.splitlines()
    assert f"'{tmp_path / 'train'}' (Permission denied)" in said
