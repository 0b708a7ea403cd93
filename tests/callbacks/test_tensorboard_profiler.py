"""Traces of chosen batches: what is in them, which batches, and that nothing else changes."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from kerasish import Model
from kerasish.callbacks import Callback
from kerasish.callbacks.tensorboard.profiler import Profiler, check_batches
from kerasish.layers import Dropout, Linear, Tanh
from tests.callbacks.pages import same, state_of, with_files
from tests.callbacks.stopped import Dies, killed_and_started_again

X = torch.linspace(-1, 1, 24).view(12, 2)
Y = X.sum(1, keepdim=True).sign()
NAMES = {"0 Linear", "1 Tanh", "2 Dropout", "3 Linear", "Sequential"}


def compiled() -> Model:
    model = Model(Linear(4), Tanh(), Dropout(0.5), Linear(1), device="cpu")
    model.compile("adam", "mse")
    return model


def fit(*callbacks: Callback, model: Model | None = None, **arguments) -> Model:
    model = model or compiled()
    options = {"epochs": 3, "batch_size": 3, "verbose": 0, "seed": 1} | arguments
    model.fit(X, Y, callbacks=list(callbacks), **options)
    return model


def traces(folder: Path) -> dict[str, Counter]:
    """How often each name is in the traces, by the folder that they lie in."""
    found = {}
    for path in sorted(folder.glob("train/plugins/profile/*/*.pt.trace.json")):
        events = json.loads(path.read_text())["traceEvents"]
        names = (each["name"] for each in events if each.get("cat") == "user_annotation")
        found[path.parent.name] = Counter(name for name in names if ": " in name)
    return found


@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 5), (12, 12)], ids=str)
def test_chosen_batches_are_in_the_trace_by_the_names_of_modules(first, last, tmp_path) -> None:
    fit(*with_files(tmp_path, Profiler(first, last)))
    (name,), (counts,) = traces(tmp_path).keys(), traces(tmp_path).values()
    assert name == f"batches_{first}-{last}"
    calls = {f"{each}: {way}" for each in NAMES for way in ("forward", "backward")}
    assert counts == dict.fromkeys(calls, last - first + 1)


def test_kernels_lie_within_the_modules_that_call_them(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Profiler(2, 2)))
    (path,) = tmp_path.glob("train/plugins/profile/*/*.json")
    events = [each for each in json.loads(path.read_text())["traceEvents"] if "dur" in each]
    spans = {each["name"]: each for each in events if each.get("cat") == "user_annotation"}
    kernels = [each for each in events if each.get("cat") == "cpu_op"]
    linear, tanh = spans["0 Linear: forward"], spans["1 Tanh: forward"]

    def below(span) -> set[str]:
        end = span["ts"] + span["dur"]
        return {each["name"] for each in kernels
                if span["ts"] <= each["ts"] and each["ts"] + each["dur"] <= end}

    assert "aten::addmm" in below(linear) and "aten::tanh" not in below(linear)
    assert any("tanh" in name for name in below(tanh))


def test_batches_are_counted_from_1_in_each_fit(tmp_path: Path) -> None:
    page, model = Profiler(2, 3), compiled()
    for _ in range(2):
        fit(*with_files(tmp_path, page), model=model)
    assert list(traces(tmp_path)) == ["batches_14-15", "batches_2-3"]


@pytest.mark.parametrize(("steps", "name"), [(2, "batches_3-4"), (3, "batches_1-3"),
                                             (4, "batches_1-4")])
def test_batches_that_callbacks_are_told_of_at_once_come_together(steps, name, tmp_path) -> None:
    model = compiled()
    model.compile("adam", "mse", steps_per_execution=steps)
    fit(*with_files(tmp_path, Profiler(3, 3)), model=model)
    assert list(traces(tmp_path)) == [name]


def test_batches_that_never_come_leave_nothing(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Profiler(13, 13)))
    fit().history.replay(with_files(tmp_path, Profiler(1, 1)))
    assert not list(tmp_path.iterdir())


def test_a_trace_goes_on_across_epochs_and_validation(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Profiler(4, 5)), validation_data=(X, Y))
    (counts,) = traces(tmp_path).values()
    assert counts["0 Linear: forward"] == 2 + 4 and counts["0 Linear: backward"] == 2


class Fails(Callback):
    """Raises within the step of a batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_backward_end(self, batch: int) -> None:
        if batch == self.batch:
            raise OSError("no")


class Stops(Callback):
    def on_train_batch_end(self, batch, logs=None) -> None:
        self.model.stop_training = batch == 2


def test_a_step_that_raises_ends_the_trace_and_puts_every_class_back(tmp_path: Path) -> None:
    model, page = compiled(), Profiler(2, 9)
    with pytest.raises(OSError):
        fit(*with_files(tmp_path, page), Fails(2), model=model)
    assert {type(part) for part in model.module.layers} == {Linear, Tanh, Dropout}
    (counts,) = traces(tmp_path).values()
    assert counts["3 Linear: backward"] == 2
    assert not torch.autograd._profiler_enabled()
    fit(*with_files(tmp_path / "again", Profiler(1, 1)), model=model)
    assert list(traces(tmp_path / "again")) == ["batches_3-3"]


def test_a_fit_that_ends_early_has_the_batches_up_to_there(tmp_path: Path) -> None:
    fit(*with_files(tmp_path, Profiler(2, 9)), Stops())
    assert list(traces(tmp_path)) == ["batches_2-3"]
    assert not torch.autograd._profiler_enabled()


def test_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    states, histories = [], []
    for callbacks in ([], with_files(tmp_path, Profiler(2, 7))):
        torch.manual_seed(0)
        model = fit(*callbacks, validation_data=(X, Y))
        states.append(state_of(model))
        histories.append(model.history.history)
    assert same(*states) and histories[0] == histories[1]


def test_it_costs_no_hook_once_it_is_over(tmp_path: Path) -> None:
    page = Profiler(1, 2)
    assert not page.listens("on_train_batch_begin")
    fit(*with_files(tmp_path, page), epochs=1)
    assert not page.listens("on_train_batch_begin") and not page.listens("on_test_batch_end")


def test_what_cannot_be_written_is_told_and_training_goes_on(tmp_path: Path, capsys) -> None:
    (tmp_path / "train").write_text("a file where the folder should be")
    model = fit(*with_files(tmp_path, Profiler(2, 2)))
    assert capsys.readouterr().err.count("TensorBoard(profile_batch) could not write") == 1
    assert len(model.history.epoch) == 3


@pytest.mark.parametrize(("dies", "names"), [
    (Dies(0), ["batches_6-7"]), (Dies(1, batch=3), ["batches_6-7"]),
    (Dies(1, batch=1), ["batches_6-6", "batches_6-7"]),
], ids=["before", "after", "within"])
def test_a_run_started_again_counts_on(dies, names, tmp_path: Path) -> None:
    def train(callbacks: list[Callback]) -> None:
        fit(*callbacks[:1], *with_files(tmp_path / "runs", Profiler(6, 7)), *callbacks[1:])

    killed_and_started_again(train, tmp_path, dies)
    assert list(traces(tmp_path / "runs")) == names


@pytest.mark.parametrize(("given", "batches"), [
    (0, None), (3, (3, 3)), ((3, 5), (3, 5)), ([3, 5], (3, 5)), ("3,5", (3, 5)), ("3, 5", (3, 5)),
    ((3, 3), (3, 3)),
])
def test_batches_may_be_written_as_keras_has_them(given, batches) -> None:
    assert check_batches(given) == batches


@pytest.mark.parametrize("given", ["", "3", "a,b", (3,), (3, 4, 5), (5, 3), (0, 3), "0,3",
                                   (1.5, 2), (None, 2), (True, 2)])
def test_no_pair_of_batches_is_refused(given) -> None:
    with pytest.raises(ValueError, match=r"^TensorBoard\(profile_batch\) expects the first and the "
                                         r"last batch, counted from 1; got .* Write \(10, 12\)"):
        check_batches(given)


@pytest.mark.parametrize("given", [-1, 1.5, True, None])
def test_no_number_of_a_batch_is_refused(given) -> None:
    with pytest.raises(ValueError, match=r"^TensorBoard\(profile_batch\) expects a whole number of "
                                         r"at least 0; got .* Or write \(10, 12\)"):
        check_batches(given)


def test_a_fit_that_does_not_reach_the_batch_says_so_once(tmp_path: Path, capsys) -> None:
    fit(*with_files(tmp_path, Profiler(900, 900)))  # of 12 batches
    assert capsys.readouterr().err.splitlines() == [
        "TensorBoard(profile_batch) has nothing to record: batch 900 was asked for, and this fit "
        "had 12. Choose an earlier one."]
    fit(*with_files(tmp_path, Profiler(12, 20)))
    assert not capsys.readouterr().err
