"""What a user sees of a run: a bar on terminals and in notebooks, else one plain line an epoch."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TypeVar

from kerasish.distributed import speaks
from kerasish.hooks import Callback
from kerasish.types import Logs

_INTERVAL = 0.1
"""Seconds between two looks at the running means, at least."""
_PATIENCE = 1.0
"""Seconds after which a tool shows that it works."""
Item = TypeVar("Item")


class ProgressLine(Callback):
    """Shows epochs, running means and the time that is left, on standard output.

    verbose 1 draws a bar on a terminal or in a notebook, and elsewhere writes one line an epoch;
    verbose 2 writes that line everywhere; 0 shows nothing. A closed output ends the showing, not
    the training.
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    runs_in_step: ClassVar[bool] = True

    def __init__(self) -> None:
        self._bar: Any = None
        self._training = False

    def listens(self, hook: str) -> bool:
        return self._draws and super().listens(hook)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._start(f"Epoch {epoch + 1}/{self.params['epochs']}")

    def on_epoch_resume(self, epoch: int, batch: int) -> None:
        self.on_epoch_begin(epoch)
        self._done = self._seen = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._done = batch + 1
        if batch >= self._next_look:  # most batches cost this comparison alone
            self._look(logs)

    on_test_batch_end = on_train_batch_end

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.on_train_batch_end(batch, {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if self._training:
            self._count(f"{self._title}, validation", self.params.get("validation_steps"))
        else:
            self._start("Evaluate")

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._training:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._start("Predict")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._finish(None)

    def close(self) -> None:
        self._training = False
        with self._giving_up():
            self._close_bar()

    @property
    def _draws(self) -> bool:
        return self.params.get("verbose") == 1 and draws_bars()

    def _start(self, title: str) -> None:
        self._title, self._started = title, time.perf_counter()
        self._count(title, self.params.get("steps"))

    def _count(self, caption: str, steps: int | None) -> None:
        """Counts batches from 0, in a bar of their own."""
        with self._giving_up():
            self._close_bar()
        self._caption, self._steps, self._done, self._seen = caption, steps, 0, 0
        self._next_look = 0 if self._draws else sys.maxsize
        self._counted_from = self._looked = time.perf_counter()

    def _look(self, logs: Logs | None) -> None:
        """Refreshes the bar if it is time, and foresees the batch at which it will be again."""
        now = time.perf_counter()
        elapsed = now - self._looked
        if elapsed < _INTERVAL:
            pace = (self._done - self._seen) / max(elapsed, 1e-6)
            self._next_look = self._done + int(pace * (_INTERVAL - elapsed) / 2)
            return
        self._seen, self._looked, self._next_look = self._done, now, self._done
        with self._giving_up():
            if self._bar is None:  # a shorter epoch needs no bar
                self._bar = _bar(self._caption, self._steps)
                self._bar.start_t -= now - self._counted_from
            logs = self.model.scores.results() if logs is None else logs
            self._bar.set_postfix_str(shown(logs, ", "), refresh=False)
            self._draw()

    def _draw(self) -> None:
        self._bar.n = self._done
        self._bar.refresh()

    def _finish(self, logs: Logs | None) -> None:
        """Replaces the bar by one line that keeps what there is to keep."""
        seconds = time.perf_counter() - self._started
        with self._giving_up():
            if self._bar is not None:
                self._draw()
                self._close_bar()
            if self.params.get("verbose") and logs is not None:
                print(f"{self._title} - {seconds:.1f}s - {shown(logs, ' - ')}", flush=True)

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Shows nothing more once something goes wrong in showing: training goes on."""
        try:
            yield
        except Exception:
            self.params = {**self.params, "verbose": 0}
            self._bar, self._next_look = None, sys.maxsize


def counted(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """The items one by one; where it takes longer than a second a bar counts them, if it can.

    Example:
        >>> sum(counted([1, 2, 3], "Adding", 3))
        6
    """
    began, bar = time.perf_counter(), None
    try:
        for number, item in enumerate(items):
            yield item
            if time.perf_counter() - began > _PATIENCE and draws_bars():
                with suppress(Exception):  # what cannot be shown is done all the same
                    bar = bar or _bar(title, total)
                    bar.update(number + 1 - bar.n)
    finally:
        if bar is not None:
            with suppress(Exception):
                bar.close()


def check_verbose(who: str, verbose: str | int) -> int:
    """Hands 0, 1 or 2 back; "auto" is 1."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"{who}(verbose) expects 'auto', 0, 1 or 2; got {verbose!r}. "
                         "1 draws a bar, 2 writes a line an epoch.")
    return 1 if verbose == "auto" else int(verbose)


def notice(text: str) -> None:
    """Says something on standard error, on a line of its own, whatever bar is being drawn.

    Of several processes that train together, the first one alone says it.
    """
    if not speaks():
        return
    tqdm = sys.modules.get("tqdm")
    with suppress(OSError, ValueError):  # nobody may read standard error any more
        if tqdm is None:
            print(text, file=sys.stderr, flush=True)
        else:
            tqdm.tqdm.write(text, file=sys.stderr)


def draws_bars() -> bool:
    """Whether standard output can redraw a line: a terminal, or a notebook's cell."""
    try:
        in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
        return in_notebook or sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def shown(logs: Logs, separator: str) -> str:
    """Logs in one line, `loss: 0.1234 - accuracy: 0.9876`; small numbers with an exponent.

    Arrays, a confusion matrix for instance, are left out.
    """
    return separator.join(f"{name}: {_number(value)}" for name, value in logs.items()
                          if not getattr(value, "ndim", 0))


def _bar(title: str, steps: int | None) -> Any:
    from tqdm.auto import tqdm  # on use: it costs a tenth of `import kerasish`

    columns, rows = shutil.get_terminal_size()  # 80 x 24 where the terminal does not say
    return tqdm(
        total=steps, desc=title, file=sys.stdout, mininterval=0, leave=False, ncols=columns,
        nrows=rows, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
    )


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.4e}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e6 else f"{value:.4f}"
