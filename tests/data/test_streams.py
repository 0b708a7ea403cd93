"""What is asked of batches that come by themselves, and what frames of pandas hold."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import kerasish.data.streams
from kerasish import Model
from kerasish.data import ArraySource, as_tensor, source_of
from kerasish.layers import Linear
from kerasish.random import stream

X = torch.arange(10.0).view(10, 1)
Y = X.square()
BATCHES = list(zip(X.split(3), Y.split(3), strict=True))  # a pass is four


def model() -> Model:
    made = Model(Linear(1), device="cpu")
    made.compile("sgd", "mse")
    return made


# ---- Keras' sequences ----------------------------------------------------------------------------


class Shuffled:
    """Batches by number, as users of Keras write them."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __len__(self) -> int:
        return len(BATCHES)

    def __getitem__(self, number: int) -> Any:
        self.told.append(str(number))
        return BATCHES[number]

    def on_epoch_begin(self) -> None:
        self.told.append("begin")

    def on_epoch_end(self) -> None:
        self.told.append("end")


class Iterated(Shuffled):
    """Those before Keras 3 could be iterated, without an end in some versions."""

    def __iter__(self) -> Any:
        while True:
            yield from (self[number] for number in range(len(self)))


@pytest.mark.parametrize("kind", [Shuffled, Iterated])
def test_a_sequence_is_told_when_a_pass_begins_and_ends(kind: type[Shuffled]) -> None:
    sequence = kind()
    model().fit(sequence, epochs=2, verbose=0)
    assert sequence.told == ["begin", "0", "1", "2", "3", "end"] * 2


def test_a_sequence_may_leave_the_hooks_out() -> None:
    class Bare:
        __len__, __getitem__ = Shuffled.__len__, lambda self, number: BATCHES[number]

    trained = model()
    trained.fit(Bare(), epochs=2, verbose=0)
    assert trained.batches_trained == 8


# ---- batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_has_them", [True, False])
def test_targets_come_in_all_batches_or_in_none(first_has_them: bool) -> None:
    given: list[Any] = [(X, Y), (X,)] if first_has_them else [(X,), (X, Y)]
    source = source_of(lambda: iter(given), who="fit")
    with pytest.raises(ValueError, match=r"fit\(x\) expects targets in all .* or in none") as error:
        list(source.epoch(0))
    assert error.value.__notes__[0].startswith("in batch 1 of pass 0 of the function")


def test_targets_that_stop_coming_are_missed_by_name() -> None:
    with pytest.raises(ValueError, match="got a batch without them"):
        model().fit(lambda: iter([(X, Y), (X,)]), verbose=0)


@pytest.mark.parametrize("batch", [
    (X, Y), (X, None, torch.ones(10)), (X,), (X, Y, torch.ones(10, dtype=torch.float64)),
], ids=["x, y", "no y", "x alone", "weights"])
def test_a_batch_of_tensors_is_handed_on_as_it_is(batch: Any, monkeypatch) -> None:
    monkeypatch.setattr(kerasish.data.streams, "Arrays", None)  # which would be slow
    (given,) = source_of(lambda: iter([batch]), who="fit").epoch(0)
    assert all(one is other for one, other in zip(given, batch, strict=False))


@pytest.mark.parametrize(("batch", "says"), [
    ((X, Y[:3]), "got 10 in x and 3 in y"),
    ((X, Y, torch.ones(3)), "got 10 in x and 3 in sample_weight"),
    ((X, Y, torch.ones(10, 1)), "one weight a sample"),
    ((X, torch.tensor(1.0)), "got the single number"),
    ((torch.tensor(1.0),), "got the single number"),
    ((X * 1j, Y), "expects real numbers"),
    ((X.to_sparse(), Y), "expects a dense tensor; got one of layout torch.sparse_coo"),
    ((np.ma.masked_less(X.numpy(), 3.0), Y), "a masked array with 3 of them masked"),
    ((X[:0], Y[:0]), "at least one sample in a batch; got none. Leave"),
])
def test_a_batch_of_tensors_is_looked_at_all_the_same(batch: Any, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        list(source_of(lambda: iter([batch]), who="fit").epoch(0))


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.uint64, torch.uint16])
def test_wide_numbers_without_a_sign_are_classes(kind: Any) -> None:
    classes = Y.long()[:, 0] % 2
    given = classes.to(kind) if kind is torch.uint16 else classes.numpy().astype(kind)
    one, twin = (Model(Linear(1, 2), device="cpu") for _ in range(2))
    for each, targets in ((one, given), (twin, classes)):
        each.compile("sgd", "cross_entropy", metrics=["accuracy"])
        each.fit(X, targets, verbose=0, seed=0, class_weight={1: 2.0})
    assert one.history and twin.history and one.history.history == twin.history.history


def test_results_of_autograd_are_cut_off() -> None:
    ((x, _, _),) = source_of(lambda: iter([X.clone().requires_grad_()]), who="fit").epoch(0)
    assert not x.requires_grad


def test_what_makes_batches_draws_nothing_from_the_streams_of_the_fit() -> None:
    streams = []

    def give() -> Any:
        for batch in BATCHES:
            streams.append(stream())
            yield batch

    model().fit(give, epochs=2, verbose=0, validation_data=give)
    assert len(streams) == 4 * len(BATCHES) and set(streams) == {None}


@pytest.mark.parametrize("made", [None, 3, np.ones((2, 1)), X], ids=["None", "3", "numpy", "torch"])
def test_a_function_makes_batches_and_nothing_else(made: Any) -> None:
    with pytest.raises(TypeError, match=r"fit\(x\) expects a function that makes an iterable .*"
                                        rf"got {type(made).__name__} from the function give"):
        def give() -> Any:
            return made

        model().fit(give, verbose=0)


# ---- epochs of so many batches ------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 4, 7])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("peeks", [True, False])
def test_a_later_epoch_begins_where_it_would_have_come(number, steps, peeks) -> None:
    def trained(first: int) -> list[list[float]]:
        loader = DataLoader([*zip(X, Y, strict=True)], 3, shuffle=True)
        source = source_of(loader, who="fit", seed=1)
        if peeks:
            source.first()
        return [x[:, 0].tolist() for epoch in range(first, 4) for x, _, _ in
                source.epoch(epoch, steps)]

    assert trained(number) == trained(0)[number * steps :]


def test_where_nobody_knows_the_length_a_later_epoch_begins_at_the_start() -> None:
    source = source_of(lambda: iter(BATCHES), who="fit")
    assert [x.tolist() for x, _, _ in source.epoch(5, 2)] == [x.tolist() for x, _ in BATCHES[:2]]


def test_steps_over_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"predict\(x\) expects at least one .* none for 2 steps"):
        list(source_of(np.zeros((0, 2)), who="predict").epoch(0, 2))


# ---- data sets and frames -----------------------------------------------------------------------


def test_tensors_in_a_data_set_are_arrays() -> None:
    source = source_of(TensorDataset(X, Y, X[:, 0]), who="fit", batch_size=3, seed=1, shuffle=True)
    twin = source_of(X, Y, X[:, 0], who="fit", batch_size=3, seed=1, shuffle=True)
    assert isinstance(source, ArraySource)
    for one, other in zip(source.epoch(1), twin.epoch(1), strict=True):
        assert all(map(torch.equal, one, other))


def test_a_data_set_of_ones_own_is_asked_for_its_items() -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, i: int) -> Any:
            x, y = super().__getitem__(i)
            return 2 * x, y

    batches = list(source_of(Doubled(X, Y), who="fit", batch_size=5).epoch(0))
    assert torch.equal(torch.cat([x for x, _, _ in batches]), 2 * X)


@pytest.mark.parametrize(("columns", "kind"), [
    ({"a": pd.array([1, 2], "Int64"), "b": [3, 4]}, torch.int64),
    ({"a": pd.array([1, 2], "Int64"), "b": [True, False]}, torch.int64),
    ({"a": pd.array([True, False], "boolean"), "b": [True, False]}, torch.bool),
    ({"a": pd.array([1, None], "Int64"), "b": [3, 4]}, torch.float64),
    ({"a": pd.array([True, False], "boolean"), "b": [0.5, 1]}, torch.float64),
    ({"a": np.array([1, 2.5], dtype=object)}, torch.float64),
], ids=["whole", "whole and true", "true", "missing", "halves", "objects"])
def test_columns_keep_the_type_that_holds_them_all(columns: Any, kind: torch.dtype) -> None:
    frame = pd.DataFrame(columns)
    expected = frame.astype("float64").to_numpy()
    tensor = as_tensor("fit(x)", frame)
    assert tensor.dtype == kind
    assert np.array_equal(tensor.double().numpy(), expected, equal_nan=True)


@pytest.mark.parametrize("column", [
    ["1.5", "2"], np.array(["1.5", "2"], dtype=object), ["a", "b"], pd.Categorical(["a", "b"]),
    pd.to_datetime(["2020-01-01", "2020-01-02"]), pd.to_timedelta([1, 2], "D"),
], ids=["text of numbers", "objects", "text", "categories", "dates", "spans"])
def test_a_column_that_is_not_of_numbers_is_named(column: Any) -> None:
    frame = pd.DataFrame({"good": [1, 2], "bad": column})
    with pytest.raises(TypeError, match=r"fit\(x\) expects columns of numbers; got .* 'bad'"):
        as_tensor("fit(x)", frame)
