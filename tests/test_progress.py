"""What is printed: a bar where it can be drawn, else a plain line an epoch, and never an error."""

import errno
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import tqdm.std

from kerasish import Model, progress
from kerasish.callbacks import Callback, EarlyStopping
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD

ROOT = Path(__file__).parent.parent
LIMIT = 120
"""Seconds after which a child process is given up."""


@pytest.fixture(autouse=True)
def _no_other_bars() -> None:
    """Bars that another test broke off, which its error may still hold, do not move these down."""
    tqdm.std.tqdm._instances.clear()


def data(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * count).view(count, 2)
    return x, x.sum(1, keepdim=True).sign()


def compiled(metrics=("accuracy",)) -> Model:
    model = Model(Linear(1), Tanh(), device="cpu")
    model.compile(optimizer=SGD(0.1), loss="mse", metrics=list(metrics))
    return model


class Terminal(io.StringIO):
    """Takes what is written, and says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int = 80, looks: bool = False
) -> Terminal:
    """Makes standard output a terminal of that width, and hands it back.

    A run that is over in no time draws no bar, unless it looks at every batch.
    """
    if looks:
        monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    return screen


class Clock(Callback):
    """Makes each batch last as long as it is told, without waiting."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.now, self.seconds, self.batches = 1000.0, seconds, 0
        for module, name in ((time, "perf_counter"), (time, "monotonic"), (time, "time"),
                             (tqdm.std, "time")):
            monkeypatch.setattr(module, name, lambda: self.now)

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.now += self.seconds
        self.batches += 1

    on_test_batch_end = on_train_batch_end


def plain(text: str) -> list[str]:
    """The lines of a text that must not hold control characters, nor long lines."""
    lines = text.splitlines()
    assert text == "".join(f"{line}\n" for line in lines) and "\r" not in text
    assert all(line.isprintable() and len(line.encode()) <= 200 for line in lines)
    return lines


def kept(text: str) -> list[str]:
    """What stays readable on a terminal: the end of each line, after its last return."""
    rows = [row.rstrip("\r").split("\r")[-1].strip() for row in text.split("\n")]
    return [row for row in rows if row]


# ---- not a terminal -----------------------------------------------------------------------------


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_off_a_terminal_each_epoch_is_one_plain_line(verbose, capsys) -> None:
    history = compiled().fit(*data(), epochs=3, verbose=verbose, validation_split=0.25)
    out, err = capsys.readouterr()
    lines = plain(out)
    assert len(lines) == 3 and err == ""
    for epoch, line in enumerate(lines):
        assert f"Epoch {epoch + 1}/3" in line
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert f" {name}: {history.history[name][epoch]:.4f}" in line
        assert re.search(r"\d+(\.\d+)?s\b", line), "the time it took"


def test_lines_count_epochs_from_the_initial_one(capsys) -> None:
    compiled().fit(*data(), initial_epoch=3, epochs=5)
    assert [line.split(" - ")[0] for line in plain(capsys.readouterr().out)] == [
        "Epoch 4/5", "Epoch 5/5",
    ]  # fmt: skip


def test_verbose_0_prints_nothing_at_all(capsys) -> None:
    model = compiled()
    model.fit(*data(), epochs=2, verbose=0, validation_split=0.25)
    model.evaluate(*data(), verbose=0)
    model.predict(data()[0], verbose=0)
    assert capsys.readouterr() == ("", "")


def test_verbose_0_prints_nothing_on_a_terminal(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    stopper = EarlyStopping("loss", mode="max", verbose=1, restore_best_weights=True)
    compiled().fit(*data(), epochs=5, verbose=0, callbacks=stopper)
    assert terminal.getvalue() == "", "notices go to standard error"


@pytest.mark.parametrize("drawn", [True, False], ids=["after a bar", "without any bar"])
def test_notices_go_to_standard_error(drawn: bool, capsys, monkeypatch) -> None:
    if not drawn:
        monkeypatch.delitem(sys.modules, "tqdm")
    stopper = EarlyStopping("loss", mode="max", verbose=1, restore_best_weights=True)
    compiled().fit(*data(), epochs=9, verbose=0, callbacks=stopper)
    out, err = capsys.readouterr()
    assert out == "" and "Epoch 2: early stopping" in err and "best epoch: 1" in err


def test_evaluate_prints_one_plain_line_and_predict_none(capsys) -> None:
    model = compiled()
    loss, accuracy = model.evaluate(*data())
    (line,) = plain(capsys.readouterr().out)
    assert f"loss: {loss:.4f}" in line and f"accuracy: {accuracy:.4f}" in line
    model.predict(data()[0])
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.25, "0.2500"), (0.00012345, "1.2345e-04"), (-0.00012345, "-1.2345e-04"),
     (-0.5, "-0.5000"), (0.0, "0.0000"), (1e-30, "1.0000e-30"), (12.0, "12.0000"),
     (float("nan"), "nan"), (float("inf"), "inf")],
    ids=str,
)  # fmt: skip
def test_small_numbers_are_shown_with_an_exponent(value: float, shown: str, capsys) -> None:
    def number(y_true, y_pred):
        return torch.tensor(value, dtype=torch.float64)

    compiled([number]).fit(*data())
    assert plain(capsys.readouterr().out)[0].endswith(f"number: {shown}")


def test_what_callbacks_add_is_shown_too(capsys) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["rate"], logs["note"] = 0.5, "good"

    compiled().fit(*data(), callbacks=Adds())
    assert plain(capsys.readouterr().out)[0].endswith("rate: 0.5000 - note: good")


def test_a_run_that_diverges_keeps_its_lines_short(capsys) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer=SGD(50.0), loss="mse", metrics=["mae", "mse"])
    model.fit(100 * data()[0], data()[1], batch_size=10, epochs=4, validation_split=0.5)
    assert len(plain(capsys.readouterr().out)) == 4


# ---- a terminal ---------------------------------------------------------------------------------


def test_verbose_2_writes_plain_lines_on_a_terminal_as_well(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    compiled().fit(*data(), epochs=3, verbose=2, validation_split=0.25)
    assert len(plain(terminal.getvalue())) == 3


@pytest.mark.parametrize("verbose", ["auto", 1])
def test_a_terminal_shows_a_bar_with_the_time_left_and_running_means(verbose, monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    clock = Clock(monkeypatch, seconds=0.5)
    compiled().fit(*data(), batch_size=1, epochs=2, verbose=verbose, callbacks=clock)
    looks = terminal.getvalue().split("\r")
    middle = [look for look in looks if "Epoch 2/2" in look and " 20/40" in look]
    assert middle, "the bar counts the batches"
    assert re.search(r"00:10<00:1\d", middle[0]), "the time passed, and the time left"
    assert re.search(r"loss: \d\.\d{4}, accuracy: \d\.\d{4}", middle[0]), "running means"
    assert all(len(look.split("\n")[0]) <= 80 for look in looks), "it fits the terminal"


def test_the_running_means_of_the_bar_are_those_of_the_logs(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    class Keeps(Clock):
        def on_train_batch_end(self, batch, logs=None) -> None:
            super().on_train_batch_end(batch, logs)
            self.__dict__.setdefault("losses", []).append(logs["loss"])

    keeps = Keeps(monkeypatch, seconds=0.5)
    compiled().fit(*data(), batch_size=4, verbose=1, callbacks=keeps)
    for batch in (3, 7):
        look = next(look for look in terminal.getvalue().split("\r") if f" {batch}/10" in look)
        assert f"loss: {keeps.losses[batch - 1]:.4f}" in look


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_final_values_stay_readable_however_wide_the_terminal(columns: int, monkeypatch) -> None:
    terminal = on_terminal(monkeypatch, columns)
    history = compiled(["accuracy", "mae"]).fit(*data(), epochs=2, validation_split=0.25)
    rows = kept(terminal.getvalue())
    assert len(rows) == 2
    for epoch, row in enumerate(rows):
        assert f"Epoch {epoch + 1}/2" in row
        for name, values in history.history.items():
            assert f"{name}: {values[epoch]:.4f}" in row


@pytest.mark.parametrize("seconds", [0.0001, 0.003, 0.02, 0.25])
def test_the_bar_is_drawn_at_most_ten_times_a_second(seconds, monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    clock = Clock(monkeypatch, seconds)
    x, y = data(4000)
    compiled().fit(x, y, batch_size=1 if seconds < 0.01 else 8, verbose=1, callbacks=clock)
    draws = terminal.getvalue().count("\r")
    passed = clock.batches * seconds
    assert draws <= 10 * passed + 5, "no more often"
    assert draws >= min(5 * passed, clock.batches), "but often enough"


def test_validation_has_a_bar_of_its_own(monkeypatch) -> None:
    screen = on_terminal(monkeypatch, columns=120, looks=True)
    compiled().fit(*data(), 4, 2, validation_split=0.5, callbacks=Clock(monkeypatch, 1.0))
    text = screen.getvalue()
    assert re.search(r"Epoch 2/2, validation:.*3/5 \[00:0\d<00:0\d, loss: ", text)
    assert re.search(r"Epoch 2/2:.*3/5 \[", text)
    lines = [line for line in kept(text) if "validation" not in line]
    assert [line.split(" - ")[:2] for line in lines] == [
        ["Epoch 1/2", "10.0s"], ["Epoch 2/2", "10.0s"]]


def test_evaluate_on_a_terminal_shows_a_bar_and_keeps_its_answer(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    model = compiled()
    model.build((2,))
    clock = Clock(monkeypatch, seconds=0.5)
    loss, accuracy = model.evaluate(*data(), batch_size=1, callbacks=clock)
    assert " 20/40" in terminal.getvalue() and "Evaluate" in terminal.getvalue()
    (row,) = kept(terminal.getvalue())
    assert f"loss: {loss:.4f}" in row and f"accuracy: {accuracy:.4f}" in row


def test_predict_on_a_terminal_counts_and_leaves_nothing_behind(monkeypatch) -> None:
    terminal, clock = on_terminal(monkeypatch), Clock(monkeypatch, seconds=0.5)
    clock.on_predict_batch_end = clock.on_train_batch_end
    compiled().predict(data()[0], batch_size=1, callbacks=clock)
    shown = terminal.getvalue()
    assert "Predict" in shown and " 20/40" in shown and "outputs" not in shown
    assert kept(shown) == []


def test_a_notebook_shows_a_bar(monkeypatch) -> None:
    terminal, clock = on_terminal(monkeypatch), Clock(monkeypatch, seconds=0.5)
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    compiled().fit(*data(), callbacks=clock)
    assert len(plain(terminal.getvalue())) == 1, "and a pipe does not"
    monkeypatch.setattr(Terminal, "__module__", "ipykernel.iostream")
    compiled().fit(*data(), callbacks=clock)
    assert "%|" in terminal.getvalue()


class Stops(Callback):
    """Ends training at a batch, or at an epoch."""

    def __init__(self, hook: str, at: int) -> None:
        setattr(self, hook, lambda index, logs=None: self._stop() if index == at else None)

    def _stop(self) -> None:
        self.model.stop_training = True


def counts(text: str) -> list[str]:
    """The last "batches/steps" that each line shows."""
    return [re.findall(r"\b\d+/40\b", row)[-1] for row in text.split("\n") if "/40" in row]


def test_an_epoch_that_was_trained_whole_is_shown_whole_when_training_ends(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch, looks=True)
    compiled().fit(*data(), batch_size=1, epochs=5, callbacks=Stops("on_epoch_end", at=1))
    assert counts(terminal.getvalue()) == ["40/40", "40/40"]


def test_an_epoch_that_was_stopped_shows_the_batches_that_were_trained(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch, looks=True)
    compiled().fit(*data(), batch_size=1, epochs=5, callbacks=Stops("on_train_batch_end", at=24))
    assert counts(terminal.getvalue()) == ["25/40"]


def test_evaluate_after_a_stopped_fit_is_shown_whole(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch, looks=True)
    model = compiled()
    model.fit(*data(), verbose=0, epochs=5, callbacks=Stops("on_epoch_end", at=0))
    model.evaluate(*data(), batch_size=1)
    assert counts(terminal.getvalue()) == ["40/40"]


def test_the_bar_is_gone_when_training_raises(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    class Fails(Clock):
        def on_train_batch_begin(self, batch, logs=None) -> None:
            if batch == 20:
                raise ValueError("no")

    model = compiled()
    with pytest.raises(ValueError, match="no") as caught:
        model.fit(*data(), batch_size=1, callbacks=Fails(monkeypatch, seconds=0.5))
    assert " 20/40" in terminal.getvalue(), "there was a bar"
    assert caught.value.__traceback__, "the error keeps all that was running alive"
    assert not tqdm.std.tqdm._instances and kept(terminal.getvalue()) == []
    model.fit(*data(), epochs=1)
    assert kept(terminal.getvalue())[-1].startswith("Epoch 1/1")


def test_the_bar_tells_nothing_that_a_plain_line_does_not(monkeypatch) -> None:
    terminal = on_terminal(monkeypatch)
    compiled().fit(*data(), epochs=2, seed=0)
    drawn = kept(terminal.getvalue())
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    compiled().fit(*data(), epochs=2, seed=0)
    values = [re.findall(r"\w+: [\d.e-]+", row) for row in drawn]
    assert values == [re.findall(r"\w+: [\d.e-]+", row) for row in plain(screen.getvalue())]


PROGRAM = """
    import sys
    import torch
    from kerasish import Model, progress
    from kerasish.layers import Linear, Tanh
    from kerasish.callbacks import EarlyStopping

    progress._INTERVAL = 0.0  # draws a bar for the shortest epoch, too
    torch.set_num_threads(1)
    x = torch.linspace(-1, 1, 80).view(40, 2)
    model = Model(Linear(1), Tanh(), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    model.fit(x, x.sum(1).sign(), batch_size=1, epochs=9, validation_split=0.25,
              callbacks=EarlyStopping("loss", mode="max", verbose=1))
"""


@pytest.mark.parametrize("columns", [0, 80], ids=["of no size", "of 80 columns"])
def test_a_process_on_a_pseudo_terminal_draws_its_bar(columns: int) -> None:
    reader, writer = pty.openpty()
    size = struct.pack("HHHH", 24 if columns else 0, columns, 0, 0)
    fcntl.ioctl(writer, termios.TIOCSWINSZ, size)
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)],
        cwd=ROOT, env=environment, stdin=writer, stdout=writer, stderr=writer,
    ) as child:  # fmt: skip
        os.close(writer)
        watchdog = threading.Timer(LIMIT, child.kill)
        watchdog.start()
        text = b""
        with suppress(OSError):  # that is how a pseudo-terminal says that it was closed
            while part := os.read(reader, 65536):
                text += part
        status = child.wait(LIMIT)
        watchdog.cancel()
        os.close(reader)
    shown = text.decode()
    assert status == 0, shown
    assert re.search(r"Epoch 1/9: +3%.* 1/30 ", shown), "the bar"
    rows = [row for row in kept(shown) if "Epoch" in row]
    assert [row[:9] for row in rows if "val_accuracy: " in row] == ["Epoch 1/9", "Epoch 2/9"]
    assert "Epoch 2: early stopping" in rows, "a notice has a line of its own"


# ---- an output that is gone ---------------------------------------------------------------------


class Gone(Terminal):
    """Breaks after some writes, as a pipe or a terminal that is closed does."""

    def __init__(self, tty: bool, after: int, error: Exception) -> None:
        super().__init__()
        self.tty, self.left, self.error = tty, after, error

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.left -= 1
        self.flush()
        return len(text)

    def flush(self) -> None:
        if self.left < 0:
            raise self.error


@pytest.mark.parametrize("tty", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 6, 9])
@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.EIO, "Input/output error"),
     OSError(errno.ENOSPC, "No space left on device"), ValueError("I/O operation on closed file.")],
    ids=["broken pipe", "hung up", "disk full", "closed"],
)
def test_an_output_that_breaks_does_not_end_training(tty, after, error, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(tty, after, error))
    monkeypatch.setenv("COLUMNS", "80")
    clock = Clock(monkeypatch, seconds=0.5)
    model = compiled()
    assert model.fit(*data(), epochs=3, callbacks=clock).epoch == [0, 1, 2]
    assert model.evaluate(*data(), return_dict=True)
    assert model.predict(data()[0]).shape == (40, 1)


@pytest.mark.parametrize("tty", [True, False], ids=["terminal", "pipe"])
def test_a_notice_that_nobody_can_read_does_not_end_training(tty: bool, monkeypatch) -> None:
    if tty:
        on_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stderr", Gone(tty, 0, BrokenPipeError(errno.EPIPE, "Broken pipe")))
    stopper = EarlyStopping("loss", mode="max", verbose=1, restore_best_weights=True)
    assert compiled().fit(*data(), epochs=9, callbacks=stopper).epoch == [0, 1]


@pytest.mark.parametrize("kind", ["closed", "closed while training", "None"])
def test_an_output_that_is_closed_does_not_end_training(kind: str, monkeypatch) -> None:
    class Closes(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            if kind == "closed while training":
                screen.close()

    screen = Terminal()
    if kind == "closed":
        screen.close()
    monkeypatch.setattr(sys, "stdout", None if kind == "None" else screen)
    model = compiled()
    assert model.fit(*data(), epochs=3, callbacks=Closes()).epoch == [0, 1, 2]
    assert model.evaluate(*data(), return_dict=True)


def test_a_terminal_that_hangs_up_does_not_end_training(monkeypatch) -> None:
    reader, writer = pty.openpty()

    class HangsUp(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            if epoch == 0:
                os.close(reader)

    with suppress(OSError), open(writer, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        assert compiled().fit(*data(), epochs=3, callbacks=HangsUp()).epoch == [0, 1, 2]
        monkeypatch.undo()
