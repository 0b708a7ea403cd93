"""Ctrl-C: the first ends training cleanly and gives back the history, the second breaks off."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kerasish import Model
from kerasish.callbacks import Callback, EarlyStopping
from kerasish.layers import Linear

ROOT = Path(__file__).parent.parent
LIMIT = 120
"""Seconds after which a child process is given up."""


@pytest.fixture(autouse=True)
def _usual_handler():
    """Python's own handler, whatever the test run was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def data(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, count).view(count, 1)
    return x, 2 * x


def compiled() -> Model:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    return model


def fit(model: Model, *callbacks: Callback, **arguments):
    options = {"batch_size": 2, "epochs": 5, "verbose": 0} | arguments
    return model.fit(*data(), callbacks=list(callbacks), **options)


class Press(Callback):
    """Presses Ctrl-C in one hook, the first time that its index comes."""

    def __init__(self, hook: str, at: int = 1, times: int = 1) -> None:
        self.left, self.at = times, at
        self.handlers: list = []
        setattr(self, hook, self._press)

    def _press(self, index, logs=None) -> None:
        while index == self.at and self.left:
            self.left -= 1
            signal.raise_signal(signal.SIGINT)
            self.handlers.append(signal.getsignal(signal.SIGINT))


class Journal(Callback):
    """Keeps which hooks were called at the end."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.called.append(f"epoch {epoch}")

    def on_train_end(self, logs=None) -> None:
        self.called.append("train end")

    def close(self) -> None:
        self.called.append("close")


@pytest.mark.parametrize(
    ("hook", "steps", "epochs"),
    [("on_train_batch_begin", 2, 1), ("on_backward_end", 2, 1), ("on_train_batch_end", 2, 1),
     ("on_epoch_begin", 5, 2), ("on_epoch_end", 8, 2)],
    ids=["before a batch", "in a batch", "after a batch", "before an epoch", "after an epoch"],
)  # fmt: skip
def test_the_first_ctrl_c_ends_training_after_the_batch(hook, steps, epochs, capsys) -> None:
    model, journal = compiled(), Journal()
    history = fit(model, Press(hook), journal, validation_data=data(4))
    assert model.optimizer.iterations == steps
    assert history.epoch == list(range(epochs)) and model.history is history
    assert {len(values) for values in history.history.values()} == {epochs}
    assert list(history.history) == ["loss", "val_loss"]
    assert journal.called == [f"epoch {i}" for i in range(epochs)] + ["train end", "close"]
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Ctrl-C again" in err


def test_ctrl_c_in_validation_ends_training_after_it() -> None:
    history = fit(compiled(), Press("on_test_batch_end"), validation_data=data(4))
    assert history.epoch == [0] and len(history.history["val_loss"]) == 1


def test_the_handler_of_before_comes_back() -> None:
    seen = []

    def handler(*_) -> None:
        seen.append("pressed")

    signal.signal(signal.SIGINT, handler)
    fit(compiled())
    assert signal.getsignal(signal.SIGINT) is handler
    fit(compiled(), Press("on_epoch_end"))
    assert signal.getsignal(signal.SIGINT) is handler and seen == []


def test_the_handler_comes_back_when_training_raises() -> None:
    class Fails(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            raise ValueError("no")

    for press in ([], [Press("on_train_batch_end")]):
        with pytest.raises(ValueError, match="no"):
            fit(compiled(), *press, Fails())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_breaks_off_and_closes() -> None:
    model, journal = compiled(), Journal()
    press = Press("on_train_batch_end", times=2)
    with pytest.raises(KeyboardInterrupt):
        fit(model, press, journal)
    assert press.handlers == [signal.default_int_handler], "the second one went to Python"
    assert journal.called == ["close"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert fit(model).epoch == list(range(5)), "the model can be trained on"


def test_training_goes_on_in_the_next_fit() -> None:
    model = compiled()
    assert fit(model, Press("on_epoch_end")).epoch == [0, 1]
    assert fit(model, initial_epoch=2).epoch == [2, 3, 4]


def test_the_best_weights_are_restored_after_ctrl_c() -> None:
    class Writes(Callback):
        """Gives the first epoch the best value, and marks the weights with the epoch."""

        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["score"] = -epoch
            for parameter in self.model.module.parameters():
                parameter.data.fill_(epoch)

    model = compiled()
    stopper = EarlyStopping("score", mode="max", patience=9, restore_best_weights=True)
    fit(model, Writes(), stopper, Press("on_epoch_end", at=2))
    assert model.module.state_dict()["weight"].item() == 0


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert fit(compiled(), Press("on_epoch_end")).epoch == list(range(5))
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_ctrl_c_with_standard_error_closed_still_gives_back_the_history(monkeypatch) -> None:
    with open(os.devnull, "w") as nowhere:
        monkeypatch.setattr(sys, "stderr", nowhere)
    assert fit(compiled(), Press("on_epoch_end")).epoch == [0, 1]


def test_one_ctrl_c_ends_the_inner_fit_and_the_next_the_outer_one() -> None:
    class Inner(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            self.inner = fit(other, Press("on_epoch_end", at=0)).epoch

    other, inner = compiled(), Inner()
    history = fit(compiled(), inner, Press("on_epoch_end", at=1))
    assert inner.inner == [0] and history.epoch == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_works_in_a_thread_that_gets_no_signals() -> None:
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(compiled())))
    thread.start()
    thread.join(60)
    assert histories[0].epoch == list(range(5))


# ---- a whole process ----------------------------------------------------------------------------

PROGRAM = """
    import signal, sys
    import torch
    from kerasish import Model
    from kerasish.callbacks import Callback, TensorBoard
    from kerasish.layers import Linear

    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    folder, presses = sys.argv[1], int(sys.argv[2])

    class Asks(Callback):
        '''Asks for Ctrl-C in the middle of the second epoch, and waits for it.'''

        asked = 0

        def on_train_batch_end(self, batch, logs=None):
            while self.model.optimizer.iterations == 6 and self.asked < presses:
                self.asked += 1
                print("press", flush=True)
                sys.stdin.readline()

    x = torch.linspace(-1, 1, 8).view(8, 1)
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    try:
        history = model.fit(x, 2 * x, batch_size=2, epochs=1000, verbose=0,
                            validation_data=(x, x), callbacks=[Asks(), TensorBoard(folder)])
    except KeyboardInterrupt:
        print("broken off", flush=True)
    else:
        print("epochs", history.epoch, len(history.history["val_loss"]), flush=True)
"""


def run_and_press(folder: Path, presses: int) -> tuple[list[str], str]:
    """Runs the program, and sends SIGINT each time that it asks for it; what it said, both ways."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM), str(folder), str(presses)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        watchdog = threading.Timer(LIMIT, child.kill)
        watchdog.start()
        try:
            lines = []
            for line in child.stdout:
                lines.append(line.strip())
                if line.strip() == "press":
                    os.kill(child.pid, signal.SIGINT)
                    with suppress(BrokenPipeError):  # it may have ended already
                        os.write(child.stdin.fileno(), b"pressed\n")
            errors = child.stderr.read()
            child.wait(LIMIT)
        finally:
            watchdog.cancel()
            child.kill()
    return lines, errors


def epochs_in(folder: Path) -> list[int]:
    """The steps of `epoch_loss` in a folder that must hold one whole event file."""
    assert len(list(folder.iterdir())) == 1
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars("epoch_loss")]


def test_an_interrupted_process_gives_back_its_history_and_closes_its_files(tmp_path) -> None:
    lines, errors = run_and_press(tmp_path, presses=1)
    assert lines == ["press", "epochs [0, 1] 2"], errors
    assert errors.count("\n") == 1 and "Ctrl-C again" in errors
    assert epochs_in(tmp_path / "train") == epochs_in(tmp_path / "validation") == [0, 1]


def test_a_process_interrupted_twice_breaks_off_and_closes_its_files(tmp_path) -> None:
    lines, errors = run_and_press(tmp_path, presses=2)
    assert lines == ["press", "press", "broken off"], errors
    assert epochs_in(tmp_path / "train") == epochs_in(tmp_path / "validation") == [0]
