"""Whatever brings the samples: the same training as with plain arrays, epochs as long as asked."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
)

from kerasish import Model, set_seed
from kerasish.callbacks import Callback
from kerasish.containers import Concat, Graph, Input
from kerasish.layers import Linear, Tanh
from tests.data.training import assert_same

SAMPLES, BATCH = 10, 4  # passes of 4, 4 and 2
PASS = 3
X = torch.arange(2.0 * SAMPLES).view(SAMPLES, 2).sin()
Y = X.prod(1, keepdim=True)
WEIGHTS = torch.linspace(0.5, 2, SAMPLES)


def model() -> Model:
    set_seed(0)
    made = Model(Linear(4), Tanh(), Linear(1), device="cpu")
    made.compile("adam", "mse", metrics=["mae"], weighted_metrics=["mse"])
    return made


def cut(*parts: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(part.split(BATCH) for part in parts), strict=True))


class Restartable:
    """Gives its batches anew each time it is iterated."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class Keras:
    """A sequence of batches as Keras has it: a length and items, and no more."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < len(self.batches):
            raise AssertionError("asked beyond its length")
        return self.batches[i]


class OneByOne(IterableDataset[tuple[Tensor, ...]]):
    """Samples that come in a row, and no one knows how many."""

    def __init__(self, *parts: Tensor) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return zip(*self.parts, strict=True)


def generator(batches: list[Any]) -> Iterator[Any]:
    yield from batches


# Each brings x, y and more as it is told, in the order in which they lie.
BATCHED: dict[str, Callable[..., Any]] = {
    "a DataLoader": lambda *parts: DataLoader(TensorDataset(*parts), BATCH),
    "a DataLoader of an iterable": lambda *parts: DataLoader(OneByOne(*parts), BATCH),
    "a DataLoader without batching": lambda *parts: DataLoader(cut(*parts), batch_size=None),
    "a list of batches": lambda *parts: cut(*parts),
    "a function": lambda *parts: lambda: generator(cut(*parts)),
    "a re-iterable object": lambda *parts: Restartable(cut(*parts)),
    "a Keras sequence": lambda *parts: Keras(cut(*parts)),
}
ONCE: dict[str, Callable[..., Any]] = {
    "a generator": lambda *parts: generator(cut(*parts)),
    "an iterator": lambda *parts: iter(cut(*parts)),
}
DATA_SETS: dict[str, Callable[..., Any]] = {
    "a Dataset": lambda *parts: TensorDataset(*parts),
    "an iterable Dataset": lambda *parts: OneByOne(*parts),
}


ARRAYS: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda part: part.numpy(),
    "numpy of float64": lambda part: part.double().numpy(),
    "torch of float64": lambda part: part.double(),
    "nested lists": lambda part: part.tolist(),
    "a list of rows": lambda part: list(part),
    "a frame": lambda part: pd.DataFrame(part.numpy()),
    "a frame with nullable columns": lambda part: pd.DataFrame(part.numpy()).astype("Float32"),
    "a frame with a strange index": lambda part: pd.DataFrame(
        part.numpy(), index=[f"row {i % 3}" for i in range(len(part))]),
    "a frame read from the other end": lambda part: pd.DataFrame(part.flip(0).numpy()).iloc[::-1],
}


def plainly(*parts: Tensor, **arguments: Any) -> Model:
    x, y, *weights = parts
    fitted = model()
    fitted.fit(x, y, BATCH, sample_weight=weights[0] if weights else None, verbose=0,
               **{"shuffle": False, "seed": 0, "epochs": 3} | arguments)
    return fitted


# ---- the same training --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ARRAYS)
def test_arrays_of_every_kind_train_as_tensors_do(form: str) -> None:
    fitted, of = model(), ARRAYS[form]
    fitted.fit(of(X), of(Y), BATCH, 3, 0, sample_weight=WEIGHTS.tolist(), seed=0,
               validation_data=(of(X), of(Y)))
    assert_same(fitted, plainly(X, Y, WEIGHTS, shuffle=True, validation_data=(X, Y)))
    assert fitted.evaluate(of(X), of(Y), verbose=0) == fitted.evaluate(X, Y, verbose=0)
    assert np.array_equal(fitted.predict(of(X), verbose=0), fitted.predict(X, verbose=0))


def test_series_and_columns_of_several_types_are_numbers() -> None:
    frame = pd.DataFrame({"whole": pd.array([1, 2, 3], "Int64"), "true": [True, False, True],
                          "half": [0.5, 1.5, 2.5]}, index=[7, 7, 1])
    numbers = [[1, 1, 0.5], [2, 0, 1.5], [3, 1, 2.5]]
    series = pd.Series([1.0, 0.0, 2.0], index=["c", "a", "b"])
    truth = pd.Series([True, False, True], dtype="boolean")
    fitted, twin = model(), model()
    for each, x, y in ((fitted, frame, series), (twin, numbers, [1.0, 0.0, 2.0])):
        each.fit(x, y, 2, epochs=2, verbose=0, seed=0, sample_weight=[1.0, 2.0, 3.0])
    assert_same(fitted, twin)
    assert fitted.evaluate(frame, truth, verbose=0) == fitted.evaluate(
        numbers, [1.0, 0.0, 1.0], verbose=0)


@pytest.mark.parametrize("parts", [(X, Y), (X, Y, WEIGHTS)], ids=["x, y", "x, y, weights"])
@pytest.mark.parametrize("kind", BATCHED)
def test_batches_train_as_the_same_arrays_do(kind: str, parts: tuple[Tensor, ...]) -> None:
    bring, fitted = BATCHED[kind], model()
    fitted.fit(bring(*parts), epochs=3, seed=0, verbose=0, validation_data=bring(*parts))
    twin = plainly(*parts, validation_data=parts, validation_batch_size=BATCH)
    assert_same(fitted, twin)
    x, y, *weights = parts
    assert fitted.evaluate(bring(*parts), verbose=0) == twin.evaluate(
        x, y, BATCH, 0, *weights)
    assert np.array_equal(fitted.predict(bring(*parts), verbose=0), twin.predict(x, verbose=0))


@pytest.mark.parametrize("kind", ONCE)
def test_what_can_be_gone_through_once_serves_one_pass(kind: str) -> None:
    bring, fitted = ONCE[kind], model()
    fitted.fit(bring(X, Y), seed=0, verbose=0, validation_data=bring(X, Y))
    twin = plainly(X, Y, epochs=1, validation_data=(X, Y))
    assert_same(fitted, twin)
    assert fitted.evaluate(bring(X, Y), verbose=0) == twin.evaluate(X, Y, BATCH, verbose=0)
    assert np.array_equal(fitted.predict(bring(X, Y), verbose=0), twin.predict(X, verbose=0))


@pytest.mark.parametrize("kind", DATA_SETS)
def test_data_sets_are_cut_into_batches(kind: str) -> None:
    bring, fitted, counted = DATA_SETS[kind], model(), Count()
    fitted.fit(bring(X, Y), batch_size=BATCH, epochs=3, seed=0, verbose=0, shuffle=False,
               validation_data=bring(X, Y), callbacks=counted)
    twin = plainly(X, Y, validation_data=(X, Y))
    assert_same(fitted, twin)
    assert counted.train == counted.test == [PASS] * 3, "validation takes the batch size of fit"
    assert fitted.evaluate(bring(X, Y), batch_size=BATCH, verbose=0) == twin.evaluate(
        X, Y, BATCH, verbose=0)
    assert np.array_equal(fitted.predict(bring(X, Y), BATCH, verbose=0),
                          twin.predict(X, verbose=0))


class Count(Callback):
    """How many batches each epoch and each validation has."""

    def on_train_begin(self, logs=None):
        self.train: list[int] = []
        self.test: list[int] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.train.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.train[-1] += 1

    def on_test_begin(self, logs=None):
        self.test.append(0)

    def on_test_batch_end(self, batch, logs=None):
        self.test[-1] += 1


SHAPES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a tuple": lambda x, y: (x, y),
    "a list": lambda x, y: [x, y],
    "numpy": lambda x, y: (x.numpy(), y.numpy()),
    "frames": lambda x, y: (pd.DataFrame(x.numpy()), pd.DataFrame(y.numpy())),
    "with no weights": lambda x, y: (x, y, None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_may_come_in_every_form(shape: str) -> None:
    fitted = model()
    fitted.fit(lambda: (SHAPES[shape](*each) for each in cut(X, Y)), epochs=3, seed=0, verbose=0)
    assert_same(fitted, plainly(X, Y))


def test_batches_in_a_list_may_have_no_weights() -> None:
    fitted = model()
    fitted.fit([(x, y, None) for x, y in cut(X, Y)], epochs=3, seed=0, verbose=0)
    assert_same(fitted, plainly(X, Y))


@pytest.mark.parametrize("form", [lambda x: x, lambda x: (x,), lambda x: [x],
                                  lambda x: (x, None)])
def test_batches_without_targets_are_predicted(form: Callable[[Tensor], Any]) -> None:
    asked = model()
    found = asked.predict((form(x) for x in X.split(BATCH)), verbose=0)
    assert np.array_equal(found, asked.predict(X, BATCH, verbose=0))
    with pytest.raises(ValueError, match=r"fit\(y\) expects targets, one a sample; got None"):
        asked.fit((form(x) for x in X.split(BATCH)), verbose=0)


def of_two_inputs(names: bool) -> Model:
    set_seed(0)
    a, b = Input((1,)), Input((1,))
    out = Linear(1)(Concat()((Linear(3)(a), b)))
    made = Model(Graph({"a": a, "b": b} if names else (a, b), out), device="cpu")
    made.compile("adam", "mse")
    return made


@pytest.mark.parametrize("names", [True, False], ids=["a dict", "a tuple"])
def test_several_inputs_come_in_the_batches_too(names: bool) -> None:
    def form(x: Tensor) -> Any:
        a, b = x[..., :1], x[..., 1:]
        return {"a": a, "b": b} if names else (a, b)

    fitted, twin = of_two_inputs(names), of_two_inputs(names)
    fitted.fit(lambda: ((form(x), y) for x, y in cut(X, Y)), epochs=2, seed=0, verbose=0,
               validation_data=[(form(X), Y)])
    twin.fit(form(X), Y, BATCH, 2, 0, shuffle=False, seed=0, validation_data=(form(X), Y),
             validation_batch_size=SAMPLES)
    assert_same(fitted, twin)
    samples = [(form(x), y) for x, y in zip(X, Y, strict=True)]
    loaded = of_two_inputs(names)
    loaded.fit(DataLoader(samples, BATCH), epochs=2, seed=0, verbose=0)
    assert all(map(torch.equal, loaded.module.state_dict().values(),
                   twin.module.state_dict().values()))


# ---- steps --------------------------------------------------------------------------------------


class Seen(Callback):
    """The first number of each sample that is trained, batch by batch."""

    def on_train_begin(self, logs=None):
        self.epochs: list[list[list[float]]] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])


class Watched(Model):
    """A model that tells `Seen` what it trains on."""

    seen: Seen

    def train_step(self, x, y, sample_weight=None):
        self.seen.epochs[-1].append(x[:, 0].tolist())
        return super().train_step(x, y, sample_weight)


def orders(source: Any, *arguments: Any, **settings: Any) -> list[list[list[float]]]:
    """What was trained on, epoch by epoch."""
    set_seed(0)
    watched, watched.seen = (made := Watched(Linear(1), device="cpu")), (seen := Seen())
    made.compile("sgd", "mse")
    made.fit(source, *arguments, **{"verbose": 0, "callbacks": seen, "seed": 1} | settings)
    return seen.epochs


def joined(lists: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))


ENDLESS: dict[str, Callable[[], Any]] = {
    **{name: (lambda bring=bring: bring(X, Y)) for name, bring in BATCHED.items()},
    "an endless generator": lambda: (each for _ in iter(int, 1) for each in cut(X, Y)),
}


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kind", ENDLESS)
def test_an_epoch_is_exactly_so_many_batches(kind: str, steps: int) -> None:
    epochs = orders(ENDLESS[kind](), epochs=4, steps_per_epoch=steps)
    assert [len(epoch) for epoch in epochs] == [steps] * 4
    passes = [x[:, 0].tolist() for x, _ in cut(X, Y)] * 10
    assert joined(epochs) == passes[: 4 * steps], "passes follow each other across epochs"


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("shuffle", [True, False])
def test_arrays_go_through_all_passes_across_epochs(steps: int, shuffle: bool) -> None:
    epochs = orders(X, Y, BATCH, 2 * PASS, steps_per_epoch=steps, shuffle=shuffle)
    assert [len(epoch) for epoch in epochs] == [steps] * 2 * PASS
    whole = orders(X, Y, BATCH, 2 * steps, shuffle=shuffle)
    assert joined(epochs) == joined(whole), "the same batches as passes that are epochs"
    used = joined(joined(epochs))
    assert all(used.count(value) == 2 * steps for value in X[:, 0].tolist())


def test_orders_differ_between_passes_and_follow_from_the_seed() -> None:
    passes = orders(X, Y, BATCH, 4)
    assert len({str(each) for each in passes}) == 4
    assert orders(X, Y, BATCH, 4) == passes
    assert orders(X, Y, BATCH, 4, initial_epoch=2) == passes[2:]
    assert orders(X, Y, BATCH, 4, seed=2) != passes


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize(("settings", "trained"), [
    ({"epochs": 2}, 3), ({"steps_per_epoch": 4}, 3), ({"epochs": 2, "steps_per_epoch": 2}, 3),
])
def test_what_ends_too_early_says_after_how_many_batches(kind, settings, trained) -> None:
    says = (r"^fit\(x\) expects batches for all epochs and steps; got a (generator|list_iterator)"
            rf", which ended after {trained} batches and cannot begin anew\. Give a function that "
            r"makes it, or a list; or ask for fewer epochs or steps\.$")
    with pytest.raises(ValueError, match=says):
        model().fit(ONCE[kind](X, Y), verbose=0, **settings)


def test_validation_data_that_ended_say_so_in_their_name() -> None:
    with pytest.raises(ValueError, match=r"fit\(validation_data: x\).* ended after 3 batches"):
        model().fit(X, Y, epochs=2, verbose=0, validation_data=generator(cut(X, Y)))


def test_a_generator_goes_on_where_it_was_left() -> None:
    source = generator(cut(X, Y))
    first = orders(source, steps_per_epoch=2)
    assert joined(first + orders(source)) == [x[:, 0].tolist() for x, _ in cut(X, Y)]


@pytest.mark.parametrize("empty", [lambda: [], iter([]), Restartable([])])
def test_no_batch_at_all_is_refused(empty: Any) -> None:
    with pytest.raises(ValueError, match=r"fit\(x\) expects at least one batch; got .* without"):
        model().fit(empty, verbose=0)


@pytest.mark.parametrize("kind", BATCHED)
def test_validation_begins_at_the_start_each_time(kind: str) -> None:
    fitted, twin = model(), model()
    fitted.fit(X, Y, epochs=3, seed=0, verbose=0, validation_data=BATCHED[kind](X, Y),
               validation_steps=2)
    twin.fit(X, Y, epochs=3, seed=0, verbose=0, validation_data=(X[: 2 * BATCH], Y[: 2 * BATCH]),
             validation_batch_size=BATCH)
    assert_same(fitted, twin)


def test_an_endless_generator_is_validated_on_batch_after_batch() -> None:
    counted, endless = Count(), (each for _ in iter(int, 1) for each in cut(X, Y))
    model().fit(X, Y, epochs=3, verbose=0, validation_data=endless, validation_steps=2,
                callbacks=counted)
    assert counted.test == [2, 2, 2]


# ---- loaders and data sets ----------------------------------------------------------------------


LOADERS: dict[str, Callable[[], DataLoader[Any]]] = {
    "shuffle": lambda: DataLoader(TensorDataset(X, Y), BATCH, shuffle=True),
    "a sampler": lambda: DataLoader(
        TensorDataset(X, Y), BATCH, sampler=RandomSampler(X, replacement=True)),
    "a subset": lambda: DataLoader(
        TensorDataset(X, Y), BATCH, sampler=SubsetRandomSampler(range(7))),
    "a worker": lambda: DataLoader(TensorDataset(X, Y), BATCH, shuffle=True, num_workers=1),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_the_seed_decides_the_order_of_a_loader(kind: str) -> None:
    loader = LOADERS[kind]()
    first = orders(loader, epochs=3)
    torch.rand(3)
    assert orders(loader, epochs=3) == first
    assert orders(loader, epochs=3, seed=2) != first
    assert orders(loader, epochs=3, initial_epoch=1) == first[1:]
    assert len({str(each) for each in first}) == 3
    assert loader.generator is None
    assert loader.sampler.generator is None


def test_a_loader_with_a_generator_draws_from_it() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(TensorDataset(X, Y), BATCH, shuffle=True,
                          generator=torch.Generator().manual_seed(3))

    first = orders(kept := loader(), epochs=3)
    assert orders(loader(), epochs=3, seed=2) == first
    assert orders(kept, epochs=3) != first, "it goes on with its generator"


def test_a_loader_goes_through_the_same_passes_whatever_an_epoch_is() -> None:
    loader = LOADERS["shuffle"]()
    whole = joined(orders(loader, epochs=4))
    assert joined(orders(loader, epochs=3, steps_per_epoch=4)) == whole


def test_a_sampler_is_told_the_epoch() -> None:
    class Told(RandomSampler):
        told: list[int] = []  # noqa: RUF012 (one sampler)

        def set_epoch(self, number: int) -> None:
            self.told.append(number)

    orders(DataLoader(TensorDataset(X, Y), BATCH, sampler=Told(X)), epochs=3)
    assert Told.told == [0, 1, 2]


def test_a_worker_brings_what_the_loader_alone_would() -> None:
    fitted = model()
    fitted.fit(DataLoader(TensorDataset(X, Y), BATCH, num_workers=1), epochs=2, seed=0, verbose=0)
    assert_same(fitted, plainly(X, Y, epochs=2))


class Differentiates(Dataset[tuple[Tensor, Tensor]]):
    """Makes each sample with autograd, which torch's inference mode would forbid."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        assert not torch.is_inference_mode_enabled()
        x = X[i].clone().requires_grad_()
        (slope,) = torch.autograd.grad((x**2).sum(), x)
        return slope / 2, Y[i]


def test_a_data_set_that_is_iterated_keeps_its_order() -> None:
    first, second = orders(OneByOne(X, Y), batch_size=BATCH, epochs=2)
    assert first == second == [x[:, 0].tolist() for x, _ in cut(X, Y)]


@pytest.mark.parametrize("bring", [
    Differentiates, lambda: DataLoader(Differentiates(), BATCH),
    lambda: lambda: iter(DataLoader(Differentiates(), BATCH)),
], ids=["a Dataset", "a DataLoader", "a function"])
def test_data_sets_may_use_torch_as_outside_the_loop(bring: Callable[[], Any]) -> None:
    fitted, source = model(), bring()
    size = BATCH if isinstance(source, Dataset) else None
    fitted.fit(source, batch_size=size, epochs=3, seed=0, verbose=0, shuffle=False)
    assert_same(fitted, plainly(X, Y))
    fitted.evaluate(source, batch_size=size, verbose=0)
    fitted.predict(source, batch_size=size, verbose=0)


# ---- errors -------------------------------------------------------------------------------------


BAD: dict[str, tuple[Any, str]] = {
    "lengths": ((X, Y[:3]), "as many samples"),
    "text": ((np.array(["a", "b"]), Y[:2]), "expects numbers"),
    "weights": ((X, Y, Y), "one weight a sample"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_an_error_of_a_batch_names_the_batch(mistake: str) -> None:
    bad, says = BAD[mistake]
    with pytest.raises((TypeError, ValueError), match=says) as caught:
        model().fit([(X, Y), (X, Y), bad], verbose=0)
    assert caught.value.__notes__[0].startswith("in batch 2 of pass 0 of a list, counted from 0")


@pytest.mark.parametrize(("arguments", "error", "says"), [
    ((DataLoader(cut(X, Y)), Y), ValueError, r"fit\(y\) expects to be left out where x brings"),
    ((cut(X, Y), None, 4), ValueError, r"fit\(batch_size\) expects to be left out .* got 4"),
    ((TensorDataset,), TypeError, r"fit\(x\) expects samples, or what brings batches .* got <cl"),
    ((object(),), TypeError, r"fit\(x\) expects samples, or what brings batches .* got object"),
    ((X, Y, 0), ValueError, r"fit\(batch_size\)"),
    ((TensorDataset(X, Y), None, -1), ValueError, r"fit\(batch_size\)"),
])
def test_what_is_no_source_is_refused(arguments: Any, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        model().fit(*arguments, verbose=0)


def test_weights_beside_batches_and_a_split_of_them_are_refused() -> None:
    with pytest.raises(ValueError, match=r"fit\(sample_weight\) expects to be left out"):
        model().fit(cut(X, Y), sample_weight=WEIGHTS, verbose=0)
    with pytest.raises(ValueError, match=r"fit\(validation_split\) expects arrays.* got a list"):
        model().fit(cut(X, Y), validation_split=0.5, verbose=0)
    with pytest.raises(ValueError, match=r"fit\(validation_data\) expects a tuple \(x, y\)"):
        model().fit(X, Y, validation_data=X, verbose=0)
