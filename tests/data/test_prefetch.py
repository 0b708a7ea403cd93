"""fit(prefetch=...): the next batches come from a thread, and nothing else is changed by it."""

import os
import random
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from kerasish import Model, set_seed
from kerasish.callbacks import BackupAndRestore, Callback
from kerasish.data import Arrays, source_of
from kerasish.data.ahead import END, Ahead
from kerasish.layers import Dropout, Linear
from tests.data.training import assert_same

X = torch.arange(20.0).view(20, 1) / 10
Y = X.square()
BATCHES = list(zip(X.split(3), Y.split(3), strict=True))  # a pass is seven
PATIENCE = 30
"""Seconds after which a thread is taken for stuck."""


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def model() -> Model:
    set_seed(0)
    made = Model(Linear(4), Dropout(0.5), Linear(1), device="cpu")
    made.compile("sgd", "mse")
    return made


class At(Callback):
    """Does something before a batch, counted across epochs."""

    def __init__(self, batch: int, act: Callable[[Model], Any]) -> None:
        self.batch, self.act = batch, act

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.batches_trained == self.batch:
            self.act(self.model)


# ---- a thread ahead -----------------------------------------------------------------------------


def counted_to(count: int, taken: list[int]) -> Callable[[], Any]:
    numbers = iter(range(count))

    def give() -> Any:
        number = next(numbers, END)
        taken.append(number)
        return number

    return give


def test_items_come_in_order_and_then_the_end_again_and_again() -> None:
    ahead = Ahead(counted_to(50, []), most=3)
    assert [ahead.take() for _ in range(50)] == list(range(50))
    assert ahead.take() is ahead.take() is END
    ahead.close()


def settled(ahead: Ahead) -> None:
    """Waits until the thread has nothing to do."""
    with ahead._changed:
        done = ahead._changed.wait_for(lambda: ahead._begun == ahead._taken + len(ahead._ready)
                                       and len(ahead._ready) in (2, ahead._wanted - ahead._taken),
                                       PATIENCE)
    assert done


def test_no_more_are_prepared_than_may_be() -> None:
    taken: list[int] = []
    ahead = Ahead(counted_to(50, taken), most=2)
    for number in range(10):
        settled(ahead)
        assert taken == list(range(number + 2))
        assert ahead.take() == number
    ahead.close()


def test_no_more_are_asked_for_than_wanted() -> None:
    taken: list[int] = []
    ahead = Ahead(counted_to(50, taken), most=2, wanted=3)
    assert [ahead.take() for _ in range(3)] == [0, 1, 2]
    settled(ahead)
    assert taken == [0, 1, 2]
    ahead.want(1)
    settled(ahead)
    assert taken == [0, 1, 2, 3]
    assert [ahead.take(), ahead.take()] == [3, 4]  # what is taken is wanted, whatever was said
    ahead.close()


def test_an_error_comes_after_the_items_before_it_with_the_traceback_of_the_thread() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("planted")

    items = failing()
    ahead = Ahead(lambda: next(items, END), most=2)
    assert ahead.take() == 1
    with pytest.raises(OSError, match="planted") as error:
        ahead.take()
    assert "failing" in [frame.name for frame in traceback.extract_tb(error.tb)]
    assert ahead.take() is END
    ahead.close()


def test_closing_waits_for_the_item_at_hand_and_drops_it() -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        go_on.wait(PATIENCE)
        return 1

    ahead = Ahead(slow, most=1)
    assert began.wait(PATIENCE)
    threading.Timer(0.05, go_on.set).start()
    ahead.close()
    assert not ahead._thread.is_alive() and not ahead._ready
    ahead.close()  # once more does no harm


# ---- the same training --------------------------------------------------------------------------


class Numbered:
    """Batches by number, as from Keras' PyDataset."""

    def __len__(self) -> int:
        return len(BATCHES)

    def __getitem__(self, number: int) -> Any:
        return BATCHES[number]


def in_a_file(folder: Path) -> Any:
    np.save(folder / "x.npy", X.numpy())
    return np.load(folder / "x.npy", mmap_mode="r")


def drawing() -> DataLoader:
    """Draws as it goes, from a generator of the user's."""
    own = torch.Generator().manual_seed(3)

    class Own(Dataset):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, i: int) -> Any:
            return X[i] + torch.rand(1, generator=own), Y[i]

    return DataLoader(Own(), 3, shuffle=True, generator=own)


GIVEN: dict[str, Callable[[], Any]] = {
    "a list": lambda: BATCHES,
    "a function": lambda: lambda: iter(BATCHES),
    "a DataLoader": lambda: DataLoader(TensorDataset(X, Y), 3, shuffle=True),
    "a drawing DataLoader": drawing,
    "a Sequence": Numbered,
}


@pytest.mark.parametrize("settings", [
    {}, {"steps_per_epoch": 5}, {"class_weight": {0: 2.0, 3: 0.5}},
], ids=["passes", "steps", "weighed"])
@pytest.mark.parametrize("prefetch", [1, 2, 20])
@pytest.mark.parametrize("kind", GIVEN)
def test_training_is_the_same_to_the_bit(kind, prefetch, settings) -> None:
    fitted, twin = model(), model()
    for each, ahead in ((fitted, prefetch), (twin, 0)):
        each.fit(GIVEN[kind](), epochs=3, verbose=0, seed=0, prefetch=ahead,
                 validation_data=GIVEN[kind](), **settings)
    assert_same(fitted, twin)


@pytest.mark.parametrize("shuffle", [True, False])
def test_arrays_in_files_are_read_a_block_ahead(shuffle, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kerasish.data.arrays._BLOCK_BATCHES", 2)
    x, fitted, twin = in_a_file(tmp_path), model(), model()
    names = set()
    monkeypatch.setattr("kerasish.data.arrays.Arrays._blocks", watched_blocks(names))
    for each, ahead in ((fitted, 2), (twin, 0)):
        each.fit(x, Y, 3, 3, 0, seed=0, prefetch=ahead, shuffle=shuffle, validation_data=(x, Y))
    assert_same(fitted, twin)
    assert names == {"kerasish prefetch", threading.current_thread().name}


def watched_blocks(names: set[str]) -> Any:
    blocks = Arrays._blocks

    def watched(self, *given):
        for block in blocks(self, *given):
            names.add(threading.current_thread().name)
            yield block

    return watched


@pytest.mark.parametrize("steps", [None, 3])
def test_a_batch_is_prepared_while_the_one_before_it_is_trained_on(steps) -> None:
    prepared = [threading.Event() for _ in BATCHES]

    def batches() -> Iterator[Any]:
        for event, batch in zip(prepared, BATCHES, strict=True):
            event.set()
            yield batch

    class Waits(Callback):
        def on_train_batch_end(self, batch, logs=None):
            done, last = self.model.batches_trained, batch + 1 == (steps or len(BATCHES))
            if done > 1 and not last:  # the second shows what the thread may do
                assert prepared[done].wait(PATIENCE)

    model().fit(batches, steps_per_epoch=steps, epochs=2 if steps else 1, verbose=0,
                callbacks=Waits(), prefetch=1)


def test_its_place_is_that_of_training_and_not_of_the_thread() -> None:
    places = []
    for ahead in (0, 3):
        source = source_of(drawing(), who="fit")
        source.prefetch = ahead
        batches = source.epoch(0)
        places.append([next(batches) and source.state_dict()["now"]["own"] for _ in range(6)])
        source.close()
    for one, other in zip(*places, strict=True):
        assert all(map(torch.equal, one, other))


def test_an_iterator_is_read_no_further_than_the_steps() -> None:
    numbers = iter(BATCHES)
    model().fit(numbers, steps_per_epoch=2, epochs=2, verbose=0, prefetch=5)
    assert len(list(numbers)) == len(BATCHES) - 4


# ---- ends ---------------------------------------------------------------------------------------


def test_an_error_of_the_loader_is_raised_at_its_batch_by_its_own_line() -> None:
    def batches() -> Iterator[Any]:
        yield from BATCHES[:4]
        raise OSError("the disk is gone")

    fitted = model()
    with pytest.raises(OSError, match="the disk is gone") as error:
        fitted.fit(batches, verbose=0, prefetch=2)
    assert fitted.batches_trained == 4
    assert "batches" in [frame.name for frame in traceback.extract_tb(error.tb)]


def test_an_error_of_training_ends_the_thread_while_it_is_still_being_looked_at() -> None:
    with pytest.raises(ZeroDivisionError):
        model().fit(BATCHES, verbose=0, prefetch=2, callbacks=At(3, lambda _: 1 / 0))
    assert not [each for each in threading.enumerate() if each.name == "kerasish prefetch"]


@pytest.mark.parametrize("end", ["stop", "interrupt"])
@pytest.mark.parametrize("steps", [None, 5])
def test_training_that_ends_early_ends_the_thread(end, steps) -> None:
    def act(trained: Model) -> None:
        if end == "stop":
            trained.stop_training = True
        else:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fitted = model()
        fitted.fit(BATCHES, epochs=3, steps_per_epoch=steps, verbose=0, prefetch=2,
                   callbacks=At(8, act))
    finally:
        signal.signal(signal.SIGINT, before)
    assert fitted.batches_trained == 9


def test_a_second_interrupt_breaks_off_while_a_batch_is_waited_for() -> None:
    fitted, never = model(), threading.Event()

    def batches() -> Iterator[Any]:
        yield from BATCHES[:3]
        while fitted.batches_trained < 3:
            never.wait(0.01)
        for _ in range(2):
            never.wait(0.2)
            os.kill(os.getpid(), signal.SIGINT)
        never.wait(0.2)
        yield BATCHES[3]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fitted.fit(batches, verbose=0, prefetch=1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert fitted.batches_trained == 3


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("steps", [None, 5])
def test_a_run_that_broke_off_goes_on_to_the_bit(kind, steps, tmp_path: Path) -> None:
    def train(*callbacks: Callback, prefetch: int = 2) -> Model:
        made = model()
        made.fit(GIVEN[kind](), epochs=4, steps_per_epoch=steps, verbose=0, seed=0,
                 callbacks=callbacks, prefetch=prefetch)
        return made

    def fail(_: Model) -> None:
        raise ZeroDivisionError

    backup = BackupAndRestore(tmp_path / "backup", save_freq=2)
    with pytest.raises(ZeroDivisionError):
        train(backup, At(11, fail))
    resumed = train(BackupAndRestore(tmp_path / "backup", save_freq=2))
    assert_same(resumed, train(prefetch=0))


def test_a_thousand_fits_leave_no_thread() -> None:
    fitted, before = model(), threading.active_count()
    for _ in range(1000):
        fitted.fit(BATCHES[:3], verbose=0, prefetch=2)
        assert threading.active_count() == before


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "draw"), [
    ("python", random.random), ("numpy", np.random.rand), ("torch", lambda: torch.rand(1)),
])
def test_data_that_draw_from_everyones_generators_are_refused(name, draw) -> None:
    def batches() -> Iterator[Any]:
        draw()  # before the first batch nobody is beside it
        for batch in BATCHES:
            yield batch
            if batch is not BATCHES[-1]:
                draw()

    with pytest.raises(ValueError, match=rf"prefetch\) expects .* draws from {name}'s"):
        model().fit(batches, verbose=0, prefetch=1)
    model().fit(batches, verbose=0)


@pytest.mark.parametrize("prefetch", [-1, True, 1.5, None, "2"])
def test_other_than_a_count_is_refused(prefetch) -> None:
    with pytest.raises(ValueError, match=r"fit\(prefetch\) expects a whole number of at least 0"):
        model().fit(X, Y, verbose=0, prefetch=prefetch)
