"""What may be given as samples, how it is split, and that batches are the rows they should be."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import kerasish.data.arrays
from kerasish import Model, Module
from kerasish.data import Arrays
from kerasish.layers import Flatten, Linear, Tanh

GRID = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]


def reversed_array() -> np.ndarray:
    return np.array(GRID[::-1])[::-1]


def read_only() -> np.ndarray:
    array = np.array(GRID)
    array.flags.writeable = False
    return array


def of_type(dtype) -> np.ndarray:
    return np.array(GRID).astype(dtype)


FORMS = {
    "float64": lambda: np.array(GRID),
    "float32": lambda: of_type(np.float32),
    "float16": lambda: of_type(np.float16),
    "big-endian": lambda: of_type(">f4"),
    "long double": lambda: of_type(np.longdouble),
    "read-only": read_only,
    "negative strides": reversed_array,
    "negative strides over columns": lambda: np.array(GRID)[:, ::-1].copy()[:, ::-1],
    "every other row": lambda: np.repeat(np.array(GRID), 2, axis=0)[::2],
    "column-major": lambda: np.asfortranarray(GRID),
    "a subclass of ndarray": lambda: np.array(GRID).view(type("Mine", (np.ndarray,), {})),
    "nested lists": lambda: GRID,
    "nested tuples": lambda: tuple(map(tuple, GRID)),
    "a list of arrays": lambda: [np.array(row) for row in GRID],
    "a list of tensors": lambda: [torch.tensor(row) for row in GRID],
    "a list of tensors that require grad": lambda: [
        torch.tensor(row, requires_grad=True) for row in GRID
    ],
    "a tensor": lambda: torch.tensor(GRID),
    "a tensor of float64": lambda: torch.tensor(GRID, dtype=torch.float64),
    "a tensor of bfloat16": lambda: torch.tensor(GRID, dtype=torch.bfloat16),
    "a tensor that requires grad": lambda: torch.tensor(GRID, requires_grad=True),
    "a result of autograd": lambda: torch.tensor(GRID, requires_grad=True) * 1,
    "a transposed tensor": lambda: torch.tensor(GRID).t().contiguous().t(),
}
every_form = pytest.mark.parametrize("form", FORMS)


def arrives(x) -> np.ndarray:
    """What a module gets to see of these samples."""
    return Model(Flatten(), device="cpu").predict(x, verbose=0)


@every_form
def test_floats_of_any_form_become_one_type(form: str) -> None:
    array = arrives(FORMS[form]())
    assert array.dtype == np.float32 and array.tolist() == GRID


@every_form
def test_samples_of_any_form_train_and_predict_alike(form: str) -> None:
    def run(x) -> tuple[np.ndarray, dict]:
        model = Model(Linear(3), Tanh(), Linear(2), device="cpu")
        model.compile(optimizer="sgd", loss="mse")
        history = model.fit(x, x, batch_size=2, epochs=2, verbose=0, seed=0)
        return model.predict(x, verbose=0), history.history

    answers, logs = run(FORMS[form]())
    expected_answers, expected_logs = run(torch.tensor(GRID))
    assert logs == expected_logs and (answers == expected_answers).all()


def test_floats_take_the_default_type_of_torch() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert arrives(GRID).dtype == arrives(np.float32(GRID)).dtype == np.float64
        model = Model(Linear(1), device="cpu")
        model.compile(optimizer="adam", loss="mse")
        model.fit(GRID, [[1.0]] * 4, verbose=0)
        assert model.predict(np.float32(GRID), verbose=0).dtype == np.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_layer_of_another_type_gets_floats_of_its_type() -> None:
    model = Model(Linear(1, dtype=torch.float64), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    model.fit(GRID, [[1.0]] * 4, verbose=0)
    assert model.predict(GRID, verbose=0).dtype == np.float64


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", ">i4"])
def test_integers_stay_integers(dtype: str) -> None:
    array = np.array([[1, 2], [3, 4]], dtype=dtype)
    assert arrives(array).dtype == np.dtype(dtype).newbyteorder("=")
    assert (arrives(array) == array).all()


@pytest.mark.parametrize("make", [np.array, torch.tensor, list], ids=["numpy", "torch", "list"])
def test_truth_values_become_floats(make) -> None:
    array = arrives(make([[True, False, True]]))
    assert array.dtype == np.float32 and array.tolist() == [[1.0, 0.0, 1.0]]


def test_integers_may_go_into_a_linear_layer() -> None:
    model = Model(Linear(3), Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    model.fit([[1], [2], [3]], [[1], [2], [3]], epochs=2, verbose=0, seed=0)
    as_integers = model.predict(np.array([[5], [6]]), verbose=0)
    assert as_integers.dtype == np.float32
    assert (as_integers == model.predict([[5.0], [6.0]], verbose=0)).all()


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([[1.0, 2.0], [3.0]], ValueError, "expects rows of equal length"),
        ([[1.0, 2.0], 3.0], ValueError, "expects rows of equal length"),
        (["a", "b"], TypeError, "expects numbers; got list of <U1"),
        (np.array(["a", "b"]), TypeError, "expects numbers; got ndarray of <U1"),
        ([b"a"], TypeError, "expects numbers"),
        ([None, 1.0], TypeError, "expects numbers; got list of object"),
        ([{"a": 1}], TypeError, "expects numbers"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, "expects numbers"),
        (np.array([1j]), TypeError, "expects (real )?numbers"),
        (torch.tensor([1j]), TypeError, "expects (real )?numbers"),
        (3.0, ValueError, r"got the single number 3\.0\. Put it in a list"),
        (np.float64(3), ValueError, "got the single number 3"),
        (np.array(3), ValueError, "got the single number 3"),
        (torch.tensor(3), ValueError, "got the single number 3"),
        ("abc", TypeError, "expects numbers; got str"),
    ],
    ids=["ragged rows", "ragged depth", "strings", "array of strings", "bytes", "None inside",
         "dictionaries", "dates", "complex", "complex tensor", "float", "numpy float",
         "0-dim array", "0-dim tensor", "string"],
)
@pytest.mark.parametrize("where", ["x", "y", "validation x", "predict"])
def test_what_is_no_array_of_numbers_is_refused_at_the_door(where, value, error, message) -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    good = np.ones((2, 1))
    with pytest.raises(error, match=message):
        if where == "predict":
            model.predict(value, verbose=0)
        elif where == "validation x":
            model.fit(good, good, verbose=0, validation_data=(value, good))
        else:
            model.fit(*((value, good) if where == "x" else (good, value)), verbose=0)
    assert not model.built


# ---- validation_split ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "share"),
    [(10, 0.25), (10, 0.1), (10, 0.3), (10, 0.8), (7, 0.5), (1000, 0.1), (3, 0.01), (200, 0.99)],
    ids=str,
)
def test_the_last_samples_are_held_back_as_in_keras(count: int, share: float) -> None:
    x = torch.arange(float(count)).view(count, 1)
    train, validation = Arrays(x, -x).split(share)
    kept = math.floor(count * (1.0 - share))
    assert train.x.flatten().tolist() == list(range(kept))
    assert validation.x.flatten().tolist() == list(range(kept, count))
    assert torch.equal(train.y, -train.x) and torch.equal(validation.y, -validation.x)


def test_weights_are_split_with_the_samples() -> None:
    train, validation = Arrays([[1.0]] * 5, [[1.0]] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]).split(0.4)
    assert train.sample_weight.tolist() == [1, 2, 3]
    assert validation.sample_weight.tolist() == [4, 5]


class Counts(Module):
    """Lets everything through, and keeps what came in which mode."""

    def __init__(self) -> None:
        self.seen: dict[bool, set[float]] = {True: set(), False: set()}

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        self.seen[self.training] |= set(x.flatten().tolist())
        return x

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy


def seen(**arguments) -> dict[bool, set[float]]:
    counts = Counts()
    model = Model(counts, Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse")
    x = torch.arange(10.0).view(10, 1)
    model.fit(x, x, batch_size=3, epochs=3, verbose=0, **arguments)
    return counts.seen


def test_what_is_held_back_is_never_trained_on() -> None:
    modes = seen(validation_split=0.25)
    assert modes == {True: set(range(7)), False: {7, 8, 9}}


def test_validation_data_goes_before_validation_split() -> None:
    other = torch.tensor([[100.0], [101.0]])
    modes = seen(validation_split=0.25, validation_data=(other, other))
    assert modes == {True: set(range(10)), False: {100, 101}}


def test_validation_data_may_come_with_weights() -> None:
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss="mse", weighted_metrics=["mae"])
    x, y, weight = [[0.0], [1.0]], [[0.0], [3.0]], [3.0, 1.0]
    history = model.fit(x, y, batch_size=1, verbose=0, validation_data=(x, y, weight))
    error = np.abs(model.predict(x, verbose=0) - y)[:, 0]
    assert history.history["val_mae"] == pytest.approx([(3 * error[0] + error[1]) / 4], rel=1e-6)
    assert history.history["val_loss"] == pytest.approx(
        [(3 * error[0] ** 2 + error[1] ** 2) / 2], rel=1e-6
    )


# ---- batches ------------------------------------------------------------------------------------


def expected_batches(parts: list[Tensor], size: int, order: Tensor) -> list[tuple[Tensor, ...]]:
    rows = [order[start : start + size] for start in range(0, len(order), size)]
    return [tuple(part[row] for part in parts) for row in rows]


@pytest.mark.parametrize("size", [1, 3, 4, 12, 50])
@pytest.mark.parametrize("shuffled", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize(
    ("limit", "value"),
    [("_BLOCK_BYTES", 1), ("_BLOCK_BYTES", 100), ("_BLOCK_BATCHES", 1), ("_BLOCK_BATCHES", 2),
     (None, 0)],
    ids=["blocks of a batch", "blocks of some bytes", "one batch a block", "two", "one block"],
)
def test_batches_gathered_in_blocks_are_plain_rows(
    size, shuffled, limit, value, monkeypatch
) -> None:
    if limit:
        monkeypatch.setattr(kerasish.data.arrays, limit, value)
    x, y, weight = torch.rand(12, 2, 3), torch.arange(12), torch.rand(12)
    order = torch.randperm(12) if shuffled else None
    got = list(Arrays(x, y, weight).batches(size, order))
    expected = expected_batches([x, y, weight], size, torch.arange(12) if order is None else order)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("limit", ["_BLOCK_BYTES", "_BLOCK_BATCHES"])
def test_training_in_blocks_gives_the_same_numbers(limit: str, monkeypatch) -> None:
    def run() -> dict:
        model = Model(Linear(3), Tanh(), Linear(1), device="cpu")
        model.compile(optimizer="adam", loss="mse")
        x = torch.linspace(-1, 1, 46).view(23, 2)
        return model.fit(x, x[:, :1], batch_size=4, epochs=3, verbose=0, seed=0).history

    whole = run()
    monkeypatch.setattr(kerasish.data.arrays, limit, 1)
    assert run() == whole


def test_missing_parts_of_a_batch_are_none() -> None:
    for x, y, weight in Arrays(GRID).batches(2):
        assert len(x) == 2 and y is None and weight is None
    for _, y, weight in Arrays(GRID, [1, 2, 3, 4]).batches(3):
        assert y is not None and weight is None


def test_batches_are_views_and_not_copies() -> None:
    x = torch.rand(8, 2)
    batches = [batch for batch, _, _ in Arrays(x).batches(2)]
    assert len({batch.untyped_storage().data_ptr() for batch in batches}) == 1
    assert batches[0].data_ptr() == x.data_ptr(), "unshuffled samples are not copied at all"


@pytest.mark.parametrize("part", ["y", "sample_weight"])
def test_parts_of_other_lengths_are_refused(part: str) -> None:
    parts = {"y": [1.0, 2.0], part: [1.0, 2.0, 3.0]}
    with pytest.raises(ValueError, match=f"got 2 in x and 3 in {part}"):
        Arrays([[1.0], [2.0]], **parts)
