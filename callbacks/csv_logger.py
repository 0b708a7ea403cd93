"""Writes a table of what fit logs, a row an epoch, that other programs can read."""

import csv
import io
import os
from pathlib import Path
from typing import Any, ClassVar

from kerasish.checks import check_flag
from kerasish.hooks import Callback
from kerasish.progress import notice
from kerasish.saving.errors import FilePath, check_path
from kerasish.types import Logs

_MISSING = "NA"


class CSVLogger(Callback):
    """Writes what each epoch logs as a row of a CSV file.

    The first column is `epoch`, counted from 0, the others are the logged names in their order.
    A name that an epoch does not log is `NA`. Numbers are written so that reading them gives the
    same number; NaN is `nan`, an array is `[a, b]`. Each row is in the file when its epoch has
    ended. The file is begun with the first row: what fails before leaves an older file alone. A
    name that is first logged after the header is written has no column: that is said once.

    A run that was saved and is put back cuts off the rows of epochs that it trains again.

    Raises: ValueError for a separator that is no single character, and with append=True before the
        first row for a file with other columns; IsADirectoryError in `on_train_begin`; OSError
        naming the file if it cannot be written.

    Args:
        filename: the file; its folder is made.
        separator: one character between columns.
        append: whether rows are added to an older file with the same columns, in whatever order;
            else the file starts anew in each fit.

    Example:
        >>> CSVLogger("log.csv", separator=";").separator
        ';'
    """

    adds_to_logs: ClassVar[tuple[str, ...] | None] = ()
    leaves_traces: ClassVar[bool] = True
    _columns: list[str]

    def __init__(
        self, filename: FilePath, separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ValueError("CSVLogger(separator) expects one character, no quote or end of line; "
                             f"got {separator!r}. ',' and ';' are usual.")
        self.filename = Path(check_path("CSVLogger(filename)", filename, "log.csv"))
        self.separator, self.append = separator, check_flag("CSVLogger(append)", append)
        self._start()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.filename.is_dir():
            raise IsADirectoryError("CSVLogger(filename) expects a name for a file; got "
                                    f"{str(self.filename)!r}, a folder. Add a name to it.")
        self._start()
        if self.append and self.filename.exists():
            self._length, self._cuts = self.filename.stat().st_size, False
            self._columns = self._header()
        if self._columns and "logs" in self.params and not self.params.get("open"):
            self._require(["epoch", *self.params["logs"]])

    def _start(self) -> None:
        self._length, self._cuts = 0, True  # bytes to keep; is what lies behind them to be cut off?
        self._columns = []
        self._checked, self._unsynced = False, False
        self._without_column: set[str] = set()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        columns = list(dict.fromkeys(["epoch", *self.params.get("logs", ()), *row]))
        if self._columns and not self._checked:
            self._require(columns)
        self._columns, self._checked = self._columns or columns, True
        for name in row.keys() - self._columns - self._without_column:
            self._without_column.add(name)
            notice(f"CSVLogger: {str(self.filename)!r} has no column for {name!r}, which epoch "
                   f"{epoch + 1} is the first to log; it is left out.")
        try:
            self._write([_shown(row.get(name, _MISSING)) for name in self._columns])
        except OSError as error:
            raise OSError(error.errno, f"CSVLogger(filename) expects a file that can be written; "
                          f"got {error.strerror}", str(self.filename)) from error

    def state_dict(self) -> dict[str, Any]:
        if self._unsynced and self.filename.exists():
            with self.filename.open("rb") as file:
                os.fsync(file.fileno())  # a checkpoint never knows more rows than the disk
            self._unsynced = False
        return {"length": self._length, "columns": list(self._columns)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._length, self._columns = state["length"], list(state["columns"])
        self._cuts, self._checked = True, bool(self._columns)

    def _write(self, row: list[Any]) -> None:
        self.filename.parent.mkdir(parents=True, exist_ok=True)
        with self.filename.open("ab") as file:
            size = file.seek(0, os.SEEK_END)
            if size < self._length:
                notice(f"CSVLogger: {str(self.filename)!r} was shortened by somebody else from "
                       f"{self._length} to {size} bytes; rows of earlier epochs are gone.")
            elif self._cuts:
                size = file.truncate(self._length)
            if not size:
                file.write(self._line(self._columns))
            elif not self._ends_line(size):
                file.write(b"\n")
            file.write(self._line(row))
            self._length = file.seek(0, os.SEEK_END)  # tell() would count what was cut off
        self._cuts, self._unsynced = False, True

    def _line(self, row: list[Any]) -> bytes:
        line = io.StringIO()
        csv.writer(line, delimiter=self.separator, lineterminator="\n").writerow(row)
        return line.getvalue().encode()

    def _ends_line(self, size: int) -> bool:
        with self.filename.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def _header(self) -> list[str]:
        with self.filename.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            return next(csv.reader(file, delimiter=self.separator), [])

    def _require(self, columns: list[str]) -> None:
        """Refuses columns that are not those of the file that rows are added to."""
        if set(columns) != set(self._columns):
            there, here = (self.separator.join(names) for names in (self._columns, columns))
            raise ValueError(
                f"CSVLogger(append=True) expects a file with the columns that fit logs, {here!r}; "
                f"got {str(self.filename)!r} with {there!r}. Choose another filename."
            )


def _shown(value: Any) -> Any:
    """Numbers as Python's own, which are written exactly, and arrays as lists."""
    return value.tolist() if hasattr(value, "tolist") else value
