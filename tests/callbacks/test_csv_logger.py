"""CSVLogger: rows that can be read back exactly, and a file that never lies about them."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback, CallbackList, CSVLogger, LearningRateScheduler
from kerasish.layers import Linear
from tests.callbacks.stopped import Dies, killed_and_started_again


def fit(*callbacks, metrics=("mae",), **arguments):
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", metrics=list(metrics))
    x = torch.linspace(-1, 1, 12).view(12, 1)
    options = {"batch_size": 3, "epochs": 3, "verbose": 0, "seed": 1} | arguments
    return model.fit(x, x.square(), callbacks=list(callbacks), **options)


def feed(logger: CSVLogger, *epochs: dict, first: int = 0, **params) -> None:
    """Tells a logger of epochs without any model."""
    logger.set_params(params)
    logger.on_train_begin({})
    for epoch, logs in enumerate(epochs, first):
        logger.on_epoch_end(epoch, logs)
    logger.close()


def rows(path: Path, separator: str = ",") -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=separator))


# ---- rows ---------------------------------------------------------------------------------------


def test_it_writes_exactly_what_history_holds(tmp_path: Path) -> None:
    history = fit(CSVLogger(tmp_path / "log.csv"), validation_split=0.25)
    header, *values = rows(tmp_path / "log.csv")
    assert header == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    for index, row in enumerate(values):
        assert int(row[0]) == index
        assert [float(cell) for cell in row[1:]] == [history.history[n][index] for n in header[1:]]
    assert len(values) == 3


def test_an_epoch_that_does_not_log_a_name_has_na(tmp_path: Path) -> None:
    fit(CSVLogger(tmp_path / "log.csv"), validation_split=0.25, validation_freq=2)
    table = rows(tmp_path / "log.csv")
    assert table[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[3] == "NA" for row in table[1:]] == [True, False, True]


def test_what_callbacks_before_it_add_has_a_column(tmp_path: Path) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["added"] = epoch / 2

    fit(LearningRateScheduler(lambda epoch: 0.5), Adds(), CSVLogger(tmp_path / "log.csv"))
    table = rows(tmp_path / "log.csv")
    assert table[0] == ["epoch", "loss", "mae", "learning_rate", "added"]
    assert [row[3:] for row in table[1:]] == [["0.5", "0.0"], ["0.5", "0.5"], ["0.5", "1.0"]]


def test_values_are_written_so_that_they_come_back(tmp_path: Path) -> None:
    logs = {"float": 0.1 + 0.2, "tiny": 5e-324, "single": np.float32(0.1), "whole": 3,
            "nan": math.nan, "inf": -math.inf, "array": np.array([1.0, 2.5]),
            "matrix": torch.tensor([[1, 2], [3, 4]]), "scalar": torch.tensor(0.5),
            "list": [1, 2], "text": 'a "word", and more', "none": None}  # fmt: skip
    feed(CSVLogger(tmp_path / "log.csv"), logs)
    header, row = rows(tmp_path / "log.csv")
    assert dict(zip(header, row, strict=True)) == {
        "epoch": "0", "float": "0.30000000000000004", "tiny": "5e-324",
        "single": repr(float(np.float32(0.1))), "whole": "3", "nan": "nan", "inf": "-inf",
        "array": "[1.0, 2.5]", "matrix": "[[1, 2], [3, 4]]", "scalar": "0.5", "list": "[1, 2]",
        "text": 'a "word", and more', "none": "",
    }  # fmt: skip
    assert '"[1.0, 2.5]"' in (tmp_path / "log.csv").read_text()


def test_a_name_that_comes_too_late_for_a_column_is_said_once(tmp_path: Path, capsys) -> None:
    feed(CSVLogger(tmp_path / "log.csv"), {"a": 1}, {"a": 2, "late": 5}, {"a": 3, "late": 6})
    assert rows(tmp_path / "log.csv") == [["epoch", "a"], ["0", "1"], ["1", "2"], ["2", "3"]]
    said = capsys.readouterr().err
    assert said.count("'late'") == 1 and "no column" in said and "epoch 2" in said


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator(separator: str, tmp_path: Path) -> None:
    feed(CSVLogger(str(tmp_path / "log.csv"), separator), {"a": 1.5, "b": [1, 2]})
    assert rows(tmp_path / "log.csv", separator) == [["epoch", "a", "b"], ["0", "1.5", "[1, 2]"]]


def test_a_row_is_in_the_file_when_its_epoch_has_ended(tmp_path: Path) -> None:
    seen = []

    class Reads(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            seen.append(len(rows(tmp_path / "deep" / "er" / "log.csv")))

    fit(CSVLogger(tmp_path / "deep" / "er" / "log.csv"), Reads())
    assert seen == [2, 3, 4]


# ---- the file -----------------------------------------------------------------------------------


def test_each_fit_starts_the_file_anew(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    feed(logger, {"a": 1}, {"a": 2})
    feed(logger, {"b": 3})
    assert rows(tmp_path / "log.csv") == [["epoch", "b"], ["0", "3"]]


def test_a_training_that_ends_before_its_first_row_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("old")
    with pytest.raises(SystemExit):
        fit(CSVLogger(tmp_path / "log.csv"), Dies(0, batch=1))
    fit(CSVLogger(tmp_path / "log.csv"), epochs=0)
    assert (tmp_path / "log.csv").read_text() == "old"


def test_append_goes_on_under_the_same_header(tmp_path: Path) -> None:
    for first in (0, 2, 4):
        feed(CSVLogger(tmp_path / "log.csv", append=True), {"a": 1}, {"a": 2}, first=first)
    assert rows(tmp_path / "log.csv") == [["epoch", "a"], *([str(i), str(i % 2 + 1)]
                                                           for i in range(6))]


def test_append_follows_the_order_of_the_columns_in_the_file(tmp_path: Path) -> None:
    feed(CSVLogger(tmp_path / "log.csv"), {"a": 1, "b": 2})
    feed(CSVLogger(tmp_path / "log.csv", append=True), {"b": 4, "a": 3})
    assert rows(tmp_path / "log.csv") == [["epoch", "a", "b"], ["0", "1", "2"], ["0", "3", "4"]]


def test_append_to_an_empty_file_writes_the_header(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("")
    feed(CSVLogger(tmp_path / "log.csv", append=True), {"a": 1})
    assert rows(tmp_path / "log.csv") == [["epoch", "a"], ["0", "1"]]


def test_append_to_a_file_that_ends_within_a_line_begins_a_new_line(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,a\n0,1\n1,2")
    feed(CSVLogger(tmp_path / "log.csv", append=True), {"a": 3}, first=2)
    assert rows(tmp_path / "log.csv")[1:] == [["0", "1"], ["1", "2"], ["2", "3"]]


def test_append_keeps_rows_that_others_add_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,a\n")
    logger = CSVLogger(tmp_path / "log.csv", append=True)
    logger.on_train_begin({})
    with (tmp_path / "log.csv").open("a") as file:
        file.write("7,7\n")
    logger.on_epoch_end(8, {"a": 8})
    assert rows(tmp_path / "log.csv")[1:] == [["7", "7"], ["8", "8"]]


def test_what_others_add_behind_its_rows_stays(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    logger.on_train_begin({})
    logger.on_epoch_end(0, {"a": 1})
    with (tmp_path / "log.csv").open("a") as file:
        file.write("7,7\n")
    logger.on_epoch_end(1, {"a": 2})
    assert rows(tmp_path / "log.csv")[1:] == [["0", "1"], ["7", "7"], ["1", "2"]]


@pytest.mark.parametrize("there", ["epoch,loss\n0,1.0\n", "epoch,loss,mae,val_loss\n", "a;b\n"])
def test_append_refuses_other_columns_before_training(there: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(there)
    begun = []

    class Notes(Callback):
        def on_epoch_begin(self, epoch, logs=None) -> None:
            begun.append(epoch)

    with pytest.raises(ValueError) as caught:
        fit(CSVLogger(tmp_path / "log.csv", append=True), Notes())
    for part in ("CSVLogger(append=True) expects", "'epoch,loss,mae'", repr(there.split("\n")[0]),
                 "log.csv", "Choose another filename."):
        assert part in str(caught.value)
    assert not begun and (tmp_path / "log.csv").read_text() == there


def test_append_refuses_other_columns_at_the_first_row_where_callbacks_may_log_more(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss,mae,own\n")

    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            logs["other"] = 1.0

    with pytest.raises(ValueError, match=r"'epoch,loss,mae,other'; got .*'epoch,loss,mae,own'"):
        fit(Adds(), CSVLogger(tmp_path / "log.csv", append=True))


def test_a_file_that_somebody_deletes_is_begun_again_and_that_is_said(tmp_path, capsys) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    logger.on_train_begin({})
    logger.on_epoch_end(0, {"a": 1})
    (tmp_path / "log.csv").unlink()
    logger.on_epoch_end(1, {"a": 2})
    assert rows(tmp_path / "log.csv") == [["epoch", "a"], ["1", "2"]]
    assert "earlier epochs are gone" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"CSVLogger\(filename\) expects .*can be written") as caught:
        fit(CSVLogger(tmp_path / "file" / "log.csv"))
    assert caught.value.errno and str(tmp_path / "file" / "log.csv") in str(caught.value)


def test_a_folder_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"CSVLogger\(filename\).*a folder. Add a name"):
        fit(CSVLogger(tmp_path))


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", None, 3], ids=repr)
def test_separators_that_no_table_can_have(separator) -> None:
    with pytest.raises(ValueError, match=r"CSVLogger\(separator\) expects one character"):
        CSVLogger("log.csv", separator)


@pytest.mark.parametrize("filename", [None, 3, b"log.csv"], ids=repr)
def test_what_is_no_path_is_refused(filename) -> None:
    with pytest.raises(TypeError, match=r"CSVLogger\(filename\) expects a path"):
        CSVLogger(filename)


# ---- going on with a run that was saved ---------------------------------------------------------


def log(folder: Path, append: bool, interrupted) -> str:
    """The file after a run, or after one that died and was started again."""
    folder.mkdir()
    if append:
        (folder / "log.csv").write_text("epoch,loss,mae,val_loss,val_mae\n9,1.0,1.0,NA,NA\n")

    def train(more: list[Callback]) -> None:
        logger = CSVLogger(folder / "log.csv", append=append)
        fit(logger, *more, epochs=5, validation_split=0.25)

    if interrupted is None:
        train([])
    else:
        killed_and_started_again(train, folder, *interrupted)
    return (folder / "log.csv").read_text()


@pytest.mark.parametrize("append", [False, True], ids=["new", "append"])
@pytest.mark.parametrize("interrupted", [
    (Dies(3), "epoch"), (Dies(3, batch=2), "epoch"), (Dies(0), 2), (Dies(4), 5),
], ids=["after a row", "within an epoch", "after the first row", "at the end"])
def test_a_run_started_again_has_no_row_twice_and_none_missing(interrupted, append, tmp_path):
    whole = log(tmp_path / "whole", append, None)
    assert log(tmp_path / "again", append, interrupted) == whole
    assert len(whole.splitlines()) == 6 + append


@pytest.mark.parametrize("append", [False, True], ids=["new", "append"])
def test_a_run_started_again_before_its_second_backup_has_no_row_twice(append, tmp_path) -> None:
    died = log(tmp_path / "again", append, interrupted=(Dies(1), 100))
    assert died == log(tmp_path / "whole", append, interrupted=None)


def test_rows_can_be_cut_off_again_and_again(tmp_path: Path, capsys) -> None:
    path = tmp_path / "log.csv"
    feed(CSVLogger(path), {"a": 1}, {"a": 2})
    state = {"length": len("epoch,a\n0,1\n"), "columns": ["epoch", "a"]}
    for later in (3, 456, 7):
        logger = CSVLogger(path)
        logger.on_train_begin({})
        logger.load_state_dict(state)
        logger.on_epoch_end(1, {"a": later})
        assert path.read_text() == f"epoch,a\n0,1\n1,{later}\n"
        assert logger.state_dict()["length"] == path.stat().st_size
    assert capsys.readouterr().err == ""


def test_a_state_counts_no_row_that_the_disk_may_not_have(tmp_path: Path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr("os.fsync", lambda file: synced.append(file))
    logger = CSVLogger(tmp_path / "log.csv")
    logger.on_train_begin({})
    logger.on_epoch_end(0, {"a": 1})
    assert logger.state_dict()["length"] == (tmp_path / "log.csv").stat().st_size
    assert len(synced) == 1
    logger.state_dict()
    assert len(synced) == 1


def test_it_works_in_a_loop_of_ones_own(tmp_path: Path) -> None:
    hooks = CallbackList(CSVLogger(tmp_path / "log.csv"))
    hooks.on_train_begin({})
    hooks.on_epoch_end(0, {"a": 1.0})
    hooks.close()
    assert rows(tmp_path / "log.csv") == [["epoch", "a"], ["0", "1.0"]]


def test_append_goes_on_in_a_file_that_excel_has_saved(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("epoch;a\r\n0;1\r\n".encode("utf-8-sig"))
    feed(CSVLogger(tmp_path / "log.csv", ";", append=True), {"a": 3}, first=1)
    assert (tmp_path / "log.csv").read_bytes() == b"\xef\xbb\xbfepoch;a\r\n0;1\r\n1;3\n"


def test_what_is_no_path_or_no_yes_or_no_is_refused() -> None:
    with pytest.raises(TypeError, match=r"CSVLogger\(filename\) expects a path; got 3. Write 'log"):
        CSVLogger(3)
    with pytest.raises(ValueError, match=r"CSVLogger\(append\) expects True or False; got 'a'"):
        CSVLogger("log.csv", append="a")
