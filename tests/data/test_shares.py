"""Sources of which each of several processes reads its own rows of every batch."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    default_collate,
)

from kerasish.data import arrays as arrays_file
from kerasish.data import source_of, whole
from kerasish.data.shares import OwnRows
from kerasish.data.sources import Source
from kerasish.distributed import Group
from kerasish.trees import leaves

SAMPLES = 22


class Part(NamedTuple):
    """What a process is to a source, where the others do not answer: it gets what it has given."""

    rank: int
    size: int

    def rows(self, count: int) -> slice:
        return Group(self.rank, self.size).rows(count)

    def gathered(self, own: Tensor, count: int) -> Tensor:
        assert len(own) == len(range(count)[self.rows(count)])
        return own


def x_of(name: str, folder: Path) -> Any:
    x = np.arange(SAMPLES * 3, dtype=np.float32).reshape(SAMPLES, 3)
    if name == "several":
        return {"a": torch.as_tensor(x), "b": (torch.arange(SAMPLES), torch.as_tensor(x[:, :1]))}
    if name == "mapped":
        np.save(folder / "x.npy", x)
        return np.load(folder / "x.npy", mmap_mode="r")
    return x


def require_parts(make: Callable[[], Source], size: int, epochs: int = 3, **more: Any) -> None:
    """Own rows, and all rows where they are asked for, are those that one process has."""
    alone = make().on("cpu", torch.float64)
    shared = [make().shared(Part(rank, size), False).on("cpu", torch.float64)
              for rank in range(size)]
    for epoch in range(epochs):
        wanted = list(alone.epoch(epoch, **more))
        for rank, source in enumerate(shared):
            found = list(source.epoch(epoch, **more))
            assert len(found) == len(wanted)
            for (x, y, w), (all_x, all_y, all_w) in zip(found, wanted, strict=True):
                for part, all_rows in zip(leaves(x), leaves(all_x), strict=True):
                    rows = Part(rank, size).rows(len(all_rows))
                    assert isinstance(part, OwnRows) and part.shape == all_rows.shape
                    assert torch.equal(part[rows], all_rows[rows])
                    assert part.here.dtype == all_rows.dtype
                    for others in (slice(0, 1), slice(1, 2)):
                        assert torch.equal(part[others], all_rows[others])
                require_same((whole(x), y, w), (all_x, all_y, all_w))


def require_same(found: Any, wanted: Any) -> None:
    assert all(map(torch.equal, leaves(found), leaves(wanted)))
    assert len(list(leaves(found))) == len(list(leaves(wanted)))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("name", ["one", "several", "mapped"])
def test_own_rows_are_those_of_the_batches_of_one_process(
    name: str, size: int, tmp_path: Path
) -> None:
    x, y, w = x_of(name, tmp_path), torch.arange(SAMPLES), torch.rand(SAMPLES)

    def make() -> Source:
        return source_of(x, y, w, who="fit", batch_size=8, seed=3, shuffle=True)

    require_parts(make, size)
    require_parts(make, size, start=1)
    require_parts(make, size, steps=4, start=2)


def test_a_file_is_read_for_own_rows_alone_without_shuffling_too(tmp_path: Path) -> None:
    x = x_of("mapped", tmp_path)
    require_parts(lambda: source_of(x, who="predict", batch_size=8), 3)
    require_parts(lambda: source_of(x, who="predict", batch_size=8), 3, start=1)


def test_no_samples_are_no_batches(tmp_path: Path) -> None:
    source = source_of(x_of("mapped", tmp_path)[:0], who="predict").shared(Part(0, 2), False)
    assert not list(source.epoch(0))


def test_all_rows_are_read_to_the_device_of_the_others(tmp_path: Path) -> None:
    source = source_of(x_of("mapped", tmp_path), who="fit", shuffle=True).shared(Part(0, 2), False)
    ((x, _, _),) = source.on("meta", torch.float16).epoch(0)
    for part in (x.here, whole(x)):
        assert part.device.type == "meta" and part.dtype == torch.float16


def test_blocks_of_large_samples(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(arrays_file, "_BLOCK_BYTES", 1)  # of a batch each
    for name in ("one", "mapped"):
        require_parts(lambda name=name: source_of(
            x_of(name, tmp_path), who="fit", batch_size=4, shuffle=True), 2)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_of_x_a_share_is_read_and_of_y_all(
    prefetch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[tuple[int, int]] = []
    real = arrays_file._rows_of
    monkeypatch.setattr(arrays_file, "_rows_of", lambda part, rows: (
        read.append((part.dim(), len(rows))), real(part, rows))[1])
    source = source_of(x_of("mapped", tmp_path), torch.zeros(SAMPLES), who="fit", batch_size=8,
                       shuffle=True).shared(Part(1, 2), False).on("cpu", torch.float32)
    source.prefetch = prefetch
    for _ in source.epoch(0):
        pass
    source.close()
    assert {rows for dim, rows in read if dim == 2} == {11}
    assert {rows for dim, rows in read if dim == 1} == {22}


def test_what_lies_in_memory_in_order_is_given_as_views() -> None:
    x = torch.rand(SAMPLES, 2)
    source = source_of(x, who="predict", batch_size=8).shared(Part(0, 2), False)
    (first, *_), *_ = source.on("cpu", torch.float32).epoch(0)
    assert first.data_ptr() == x.data_ptr()


def test_whole_batches_are_given_where_they_are_asked_for() -> None:
    source = source_of(torch.rand(SAMPLES, 2), who="fit", batch_size=8, shuffle=True)
    for batch in source.shared(Part(0, 2), True).epoch(0):
        assert all(isinstance(part, Tensor) for part in leaves(batch))
    loader = DataLoader(TensorDataset(torch.rand(4, 1)), 2)
    for batch in source_of(loader, who="fit").shared(Part(0, 2), True).epoch(0):
        assert all(isinstance(part, Tensor) for part in leaves(batch))


# ---- DataLoaders --------------------------------------------------------------------------------


class Squares(Dataset[Any]):
    """Counts what is loaded in this process."""

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, number: int) -> Any:
        self.loaded.append(number)
        return (torch.full((2,), number), number), number**2


LOADERS: dict[str, Callable[[], DataLoader[Any]]] = {
    "in order": lambda: DataLoader(Squares(), 8),
    "shuffled": lambda: DataLoader(Squares(), 8, shuffle=True),
    "without the rest": lambda: DataLoader(Squares(), 8, shuffle=True, drop_last=True),
    "its own generator": lambda: DataLoader(
        Squares(), 8, shuffle=True, generator=torch.Generator().manual_seed(5)),
    "a sampler with a generator": lambda: DataLoader(Squares(), 8, sampler=RandomSampler(
        Squares(), generator=torch.Generator().manual_seed(5))),
    "lists of batches": lambda: DataLoader(
        Squares(), batch_sampler=[[0, 5, 3], [7], [1, 2, 9, 8, 4]]),  # type: ignore[arg-type]
    "workers": lambda: DataLoader(Squares(), 8, shuffle=True, num_workers=2),
    "workers that stay": lambda: DataLoader(
        Squares(), 8, shuffle=True, num_workers=1, persistent_workers=True),
}


def passes(source: Source, epochs: int = 2) -> list[Any]:
    placed = source.on("cpu", torch.float32)
    return [list(placed.epoch(epoch)) for epoch in range(epochs)]


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_loaders_load_own_rows_of_the_batches_of_one_process(
    make: Callable[[], DataLoader[Any]]
) -> None:
    wanted = passes(source_of(make(), who="fit", seed=4))
    for part in (Part(0, 3), Part(2, 3)):
        source = source_of(make(), who="fit", seed=4)
        source.first()  # as a fit does, to build by
        found = passes(source.shared(part, False))
        for batches, all_batches in zip(found, wanted, strict=True):
            for (x, y, w), (all_x, all_y, _) in zip(batches, all_batches, strict=True):
                rows = part.rows(len(all_y))
                assert torch.equal(y, all_y[rows]) and w is None  # which the others complete
                for each, all_each in zip(x, all_x, strict=True):
                    assert torch.equal(each[rows], all_each[rows])
                    assert each.shape == all_each.shape and torch.equal(whole(each), all_each)


def test_a_loader_loads_nothing_else_but_a_row_where_it_has_none() -> None:
    source = source_of(loader := DataLoader(Squares(), 10), who="fit").shared(Part(1, 2), False)
    list(source.epoch(0))
    assert loader.dataset.loaded == [5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 21]
    source = source_of(loader := DataLoader(Squares(), 11), who="fit").shared(Part(3, 4), False)
    list(source.epoch(0))
    assert loader.dataset.loaded == [9, 10, 20, 21]
    batches = [[0, 1, 2], [3]]
    loader = DataLoader(Squares(), batch_sampler=batches)  # type: ignore[arg-type]
    source = source_of(loader, who="fit").shared(Part(1, 2), False)
    assert [y.tolist() for _, y, _ in source.epoch(0)] == [[4], []]
    assert loader.dataset.loaded == [2, 3]


def test_a_pass_that_was_left_does_not_shift_the_next_one() -> None:
    source = source_of(LOADERS["workers"](), who="fit", seed=4).shared(Part(1, 2), False)
    next(iter(source.epoch(0)))
    found = [y for _, y, _ in source.epoch(1)]
    wanted = [y[Part(1, 2).rows(len(y))]
              for _, y, _ in source_of(LOADERS["workers"](), who="fit", seed=4).epoch(1)]
    assert all(map(torch.equal, found, wanted)) and len(found) == len(wanted)


def test_nothing_is_drawn_from_the_global_generator() -> None:
    source = source_of(LOADERS["shuffled"](), who="fit", seed=4).shared(Part(1, 2), False)
    before = torch.get_rng_state()
    passes(source)
    assert torch.equal(torch.get_rng_state(), before)


class Noise(Squares):
    def __getitem__(self, number: int) -> Any:
        return torch.rand(1), number


def test_workers_of_different_processes_draw_different_noise() -> None:
    def drawn(part: Part) -> list[float]:
        loader = DataLoader(Noise(), 8, shuffle=True, num_workers=1)
        source = source_of(loader, who="fit", seed=4).shared(part, False)
        return [number for x, *_ in source.epoch(0) for number in x.here.flatten().tolist()]

    first, again, second = drawn(Part(0, 2)), drawn(Part(0, 2)), drawn(Part(1, 2))
    assert first == again and len(first) == len(second) == 11 and not set(first) & set(second)


def test_predictions_need_no_targets_of_others() -> None:
    class Silent(Part):
        def gathered(self, own: Tensor, count: int) -> Tensor:
            raise AssertionError("nothing is to be sent")

    source = source_of(DataLoader(Squares(), 8), who="predict").shared(Silent(0, 2), False)
    assert len(list(source.from_start())) == 3


def test_the_users_loader_stays_as_it_is() -> None:
    loader = LOADERS["shuffled"]()
    before = dict(vars(loader))
    passes(source_of(loader, who="fit").shared(Part(1, 2), False))
    assert vars(loader) == before and len(next(iter(loader))[1]) == 8


def test_a_loader_goes_on_within_a_pass_with_the_same_samples() -> None:
    whole_run = passes(source_of(LOADERS["shuffled"](), who="fit", seed=4), 1)[0]
    first = source_of(LOADERS["shuffled"](), who="fit", seed=4)
    first.epoch(0).__next__()
    again = source_of(LOADERS["shuffled"](), who="fit", seed=4).shared(Part(1, 2), False)
    again.load_state_dict(first.state_dict())
    found = [y for _, y, _ in again.epoch(0, start=1)]
    wanted = [y[Part(1, 2).rows(len(y))] for _, y, _ in whole_run[1:]]
    assert all(map(torch.equal, found, wanted)) and len(found) == len(wanted)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return (torch.tensor([float(i)]) for i in range(6))


@pytest.mark.parametrize("make", [
    lambda: DataLoader(Squares(), 8, collate_fn=lambda rows: default_collate(rows)),
    lambda: DataLoader(TensorDataset(torch.rand(3, 2, 1)), batch_size=None),
    lambda: DataLoader(TensorDataset(torch.rand(3, 2, 1)), None, collate_fn=default_collate),
    lambda: DataLoader(Stream(), 2),
], ids=["a function that makes batches", "batches as samples", "batches of one",
        "an iterated data set"])
def test_batches_that_are_not_made_row_by_row_are_loaded_whole(
    make: Callable[[], DataLoader[Any]]
) -> None:
    for batch in source_of(make(), who="fit").shared(Part(0, 2), False).epoch(0):
        assert all(isinstance(part, Tensor) for part in leaves(batch))


def test_a_loader_that_splits_samples_itself_is_refused() -> None:
    data = Squares()
    for whole_x in (True, False):
        loader = DataLoader(data, 4, sampler=DistributedSampler(data, 2, 0))
        with pytest.raises(ValueError, match=(
                r"fit\(x\) expects a DataLoader of all samples in each of 2 processes, which go "
                r"through rows of each batch; got one with a DistributedSampler\. Leave that out")):
            source_of(loader, who="fit").shared(Part(0, 2), whole_x)
