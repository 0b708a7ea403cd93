"""Weights of classes: in the loss and in weighted metrics of training, and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from kerasish import Model, set_seed
from kerasish.containers import Graph, Input
from kerasish.data.class_weights import ClassWeights
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import SGD
from tests.data.training import assert_same

SAMPLES, BATCH = 12, 5
X = torch.arange(3.0 * SAMPLES).view(SAMPLES, 3).sin()
Y = torch.arange(SAMPLES) % 3
CLASS = {0: 1.0, 1: 5.0, 2: 0.0}
BY_SAMPLE = torch.tensor([CLASS[int(each)] for each in Y])
MORE = torch.linspace(0.5, 2.0, SAMPLES)


def model(loss: str = "cross_entropy", outputs: int = 3, rate: float = 0.5) -> Model:
    set_seed(0)
    ending = [Tanh()] if loss == "mse" else []
    made = Model(Linear(outputs), *ending, device="cpu")
    made.compile(SGD(rate), loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    return made


def trained(x: Any, y: Any = None, *, made: Model | None = None, **settings: Any) -> Model:
    made = made or model()
    made.fit(x, y, **{"epochs": 3, "verbose": 0, "seed": 0, "shuffle": False,
                      "batch_size": BATCH} | settings)
    return made


def cut(*parts: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(part.split(BATCH) for part in parts), strict=True))


# ---- what they mean -----------------------------------------------------------------------------


def test_a_class_weighs_as_its_samples_with_that_weight() -> None:
    assert_same(trained(X, Y, class_weight=CLASS), trained(X, Y, sample_weight=BY_SAMPLE))


def test_they_are_multiplied_with_weights_of_samples() -> None:
    assert_same(trained(X, Y, class_weight=CLASS, sample_weight=MORE),
                trained(X, Y, sample_weight=MORE * BY_SAMPLE))


def test_loss_and_weighted_metrics_see_them_metrics_and_validation_do_not() -> None:
    made = trained(X, Y, made=model(rate=0.0), class_weight=CLASS, epochs=1,
                   validation_data=(X, Y))
    plain = made.evaluate(X, Y, verbose=0, return_dict=True)
    weighted = made.evaluate(X, Y, verbose=0, sample_weight=BY_SAMPLE, return_dict=True)
    assert made.history is not None
    logs = {name: values[-1] for name, values in made.history.history.items()}
    assert logs["loss"] == pytest.approx(weighted["loss"])
    assert logs["weighted_accuracy"] == pytest.approx(weighted["weighted_accuracy"])
    assert logs["accuracy"] == pytest.approx(plain["accuracy"])
    assert [logs[f"val_{name}"] for name in plain] == pytest.approx(list(plain.values()))
    assert plain["loss"] != pytest.approx(weighted["loss"])
    assert plain["accuracy"] != pytest.approx(weighted["weighted_accuracy"])


def test_train_on_batch_takes_them_too() -> None:
    one, other = model(), model()
    for each in (one, other):
        set_seed(0)
        each.build((3,))
    first = one.train_on_batch(X, Y, MORE, CLASS)
    assert first == other.train_on_batch(X, Y, MORE * BY_SAMPLE)
    assert np.array_equal(one.predict_on_batch(X), other.predict_on_batch(X))


# ---- targets ------------------------------------------------------------------------------------


TARGETS: dict[str, tuple[Callable[[], Any], str, int]] = {
    "numbers": (lambda: Y, "cross_entropy", 3),
    "int32": (lambda: Y.int().numpy(), "cross_entropy", 3),
    "lists": (lambda: Y.tolist(), "cross_entropy", 3),
    "one-hot": (lambda: torch.eye(3)[Y], "cross_entropy", 3),
    "probabilities": (lambda: 0.8 * torch.eye(3)[Y] + 0.1, "cross_entropy", 3),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_classes_are_found_in_targets_of_every_kind(kind: str) -> None:
    make, loss, outputs = TARGETS[kind]
    assert_same(trained(X, make(), made=model(loss, outputs), class_weight=CLASS),
                trained(X, make(), made=model(loss, outputs), sample_weight=BY_SAMPLE))


@pytest.mark.parametrize(("loss", "low"), [("mse", -1), ("bce", 0)])
@pytest.mark.parametrize("column", [True, False])
def test_two_classes_may_be_called_minus_one_and_one(loss: str, low: int, column: bool) -> None:
    y = torch.where(Y == 1, 1.0, low)
    expected = torch.where(Y == 1, 5.0, 2.0)
    targets = y[:, None] if column else y
    assert_same(trained(X, targets, made=model(loss, 1), class_weight={low: 2.0, 1: 5.0}),
                trained(X, targets, made=model(loss, 1), sample_weight=expected))


def test_truth_values_are_the_classes_0_and_1() -> None:
    truth = Y == 1
    assert_same(trained(X, truth, made=model("bce", 1), class_weight={0: 2, 1: 5}),
                trained(X, truth, made=model("bce", 1),
                        sample_weight=torch.where(truth, 5.0, 2.0)))


def test_classes_that_are_not_named_weigh_1() -> None:
    weigh = ClassWeights({-1: 3.0, 2: 5.0})
    seen = torch.tensor([-100, -2, -1, 0, 1, 2, 3, 100])
    assert weigh(seen).tolist() == [1, 1, 3, 1, 1, 5, 1, 1]
    assert weigh(seen.float()[:, None]).tolist() == [1, 1, 3, 1, 1, 5, 1, 1]
    assert ClassWeights({})(seen).tolist() == [1] * 8
    assert_same(trained(X, Y, class_weight={}), trained(X, Y, sample_weight=Y * 0 + 1))


def test_keys_and_weights_may_be_numpys() -> None:
    named = {np.int64(key): np.float32(value) for key, value in CLASS.items()}
    assert_same(trained(X, Y, class_weight=named), trained(X, Y, class_weight=CLASS))


# ---- every source -------------------------------------------------------------------------------


SOURCES: dict[str, Callable[..., Any]] = {
    "a Dataset": lambda *parts: TensorDataset(*parts),
    "a DataLoader": lambda *parts: DataLoader(TensorDataset(*parts), BATCH),
    "a list of batches": lambda *parts: cut(*parts),
    "a function": lambda *parts: lambda: iter(cut(*parts)),
    "an endless generator": lambda *parts: (each for _ in iter(int, 1) for each in cut(*parts)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_batches_of_every_source_are_weighed(kind: str) -> None:
    more = {"steps_per_epoch": 3, "batch_size": BATCH if kind == "a Dataset" else None}
    bring = SOURCES[kind]
    assert_same(trained(bring(X, Y), class_weight=CLASS, **more),
                trained(X, Y, sample_weight=BY_SAMPLE))
    assert_same(trained(bring(X, Y, MORE), class_weight=CLASS, **more),
                trained(X, Y, sample_weight=MORE * BY_SAMPLE))


def test_shuffled_arrays_keep_weights_with_their_samples() -> None:
    split = {"shuffle": True, "validation_split": 0.25}
    one = trained(X, Y, class_weight=CLASS, **split)
    twin = trained(X[:9], Y[:9], sample_weight=BY_SAMPLE[:9], shuffle=True,
                   validation_data=(X[9:], Y[9:]))
    assert_same(one, twin)


# ---- several outputs ----------------------------------------------------------------------------


def forked(names: bool) -> Model:
    set_seed(0)
    x = Input((3,))
    kind, size = Linear(3)(x), Tanh()(Linear(1)(x))
    made = Model(Graph(x, {"kind": kind, "size": size} if names else (kind, size)), device="cpu")
    parts: Any = ("cross_entropy", "mse")
    made.compile(SGD(0.1), dict(zip(("kind", "size"), parts, strict=True)) if names else
                 list(parts))
    return made


def pair(names: bool, kind: Any, size: Any) -> Any:
    return {"kind": kind, "size": size} if names else (kind, size)


SIGNS = torch.where(Y == 1, 1.0, -1.0)[:, None]


@pytest.mark.parametrize("batches", [True, False], ids=["batches", "arrays"])
@pytest.mark.parametrize("names", [True, False], ids=["dict", "tuple"])
def test_each_of_several_outputs_has_weights_of_its_own(names: bool, batches: bool) -> None:
    ones = torch.ones(SAMPLES)
    y = pair(names, Y, SIGNS)
    first, second = ("kind", "size") if names else (0, 1)
    by_sign = torch.where(SIGNS[:, 0] > 0, 5.0, 2.0)
    cases: list[tuple[Any, Any, Any]] = [
        ({first: CLASS, second: {-1: 2.0, 1: 5.0}}, None, (BY_SAMPLE, by_sign)),
        ({second: {-1: 2.0, 1: 5.0}}, None, (ones, by_sign)),
        ({first: CLASS}, MORE, (MORE * BY_SAMPLE, MORE)),
        ({first: CLASS}, pair(names, MORE, 2 * MORE), (MORE * BY_SAMPLE, 2 * MORE)),
    ]
    for class_weight, sample_weight, expected in cases:
        twin = trained(X, y, made=forked(names), sample_weight=pair(names, *expected),
                       batch_size=SAMPLES)
        if batches:
            source, more = [(X, y, sample_weight)], {"batch_size": None}
            one = trained(source, made=forked(names), class_weight=class_weight, **more)
        else:
            one = trained(X, y, made=forked(names), class_weight=class_weight,
                          sample_weight=sample_weight, batch_size=SAMPLES)
        assert one.history is not None
        assert twin.history is not None
        for name, values in twin.history.history.items():
            assert one.history.history[name] == pytest.approx(values, rel=1e-5)
        for mine, its in zip(one.module.parameters(), twin.module.parameters(), strict=True):
            torch.testing.assert_close(mine.data, its.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("samples_of", ["kind", "size"])
def test_classes_and_samples_of_different_outputs_are_weighed(samples_of: str) -> None:
    one, twin, targets = forked(True), forked(True), {"kind": Y, "size": X[:, :1]}
    of_samples = torch.linspace(0, 1, len(X))
    for each in (one, twin):
        each.compile(SGD(0.1), {"kind": "cross_entropy", "size": "mse"})
    trained(X, targets, made=one, class_weight={"kind": CLASS},
            sample_weight={samples_of: of_samples})
    both = {"kind": BY_SAMPLE} | {samples_of: of_samples}
    if samples_of == "kind":
        both["kind"] = BY_SAMPLE * of_samples
    trained(X, targets, made=twin, sample_weight=both)
    assert_same(one, twin)


def test_classes_may_be_written_as_floats_and_truth_values() -> None:
    for keys in ({0.0: 2.0, 1.0: 5.0}, {False: 2.0, True: 5.0}):
        assert ClassWeights(keys)(torch.tensor([1, 0])).tolist() == [5, 2]


def test_an_output_without_a_loss_needs_no_classes() -> None:
    one, twin = forked(True), forked(True)
    for each in (one, twin):
        each.compile(SGD(0.1), {"kind": "cross_entropy", "size": None})
    trained(X, {"kind": Y}, made=one, class_weight={"kind": CLASS})
    trained(X, {"kind": Y}, made=twin, sample_weight=BY_SAMPLE)
    assert_same(one, twin)


# ---- errors -------------------------------------------------------------------------------------


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "a list": ([1.0, 2.0], TypeError, r"a dict of class → weight; got \[1\.0, 2\.0\]\. \{0"),
    "a name": ("balanced", TypeError, r"a dict of class → weight; got 'balanced'"),
    "named classes": ({"cat": 1.0}, ValueError, r"whole numbers as classes; got 'cat'\. Num"),
    "half a class": ({0.5: 1.0}, ValueError, r"whole numbers as classes; got 0\.5"),
    "below 0": ({1: -1.0}, ValueError, r"weights of 0 or more; got -1\.0 for class 1\. 1\.0 lea"),
    "nan": ({1: float("nan")}, ValueError, r"weights of 0 or more; got nan for class 1"),
    "infinite": ({1: float("inf")}, ValueError, r"weights of 0 or more; got inf for class 1"),
    "text": ({1: "much"}, ValueError, r"weights of 0 or more; got 'much' for class 1"),
    "none": ({1: None}, ValueError, r"weights of 0 or more; got None for class 1"),
    "unknown": ({0: 1.0, 7: 1.0}, ValueError, r"classes from 0 to 2, as the model has 3 outputs"),
}


def test_classes_far_apart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"classes that lie close together; got 0 to 1000000000"):
        ClassWeights({0: 1.0, 10**9: 1.0})



@pytest.mark.parametrize("mistake", BAD)
def test_mistakes_are_named_and_change_nothing(mistake: str) -> None:
    class_weight, error, says = BAD[mistake]
    made = model()
    with pytest.raises(error, match=rf"^fit\(class_weight\) expects {says}"):
        made.fit(X, Y, class_weight=class_weight, verbose=0)
    assert not made.built


def test_targets_with_several_numbers_a_sample_are_refused() -> None:
    made = model("bce", 3)
    with pytest.raises(ValueError, match=r"^fit\(class_weight\) expects one class a sample; got "
                       r"targets of shape \(12, 3\)\. Give sample_weight instead\.$"):
        made.fit(X, torch.eye(3)[Y], class_weight=CLASS, verbose=0)
    assert not made.built


@pytest.mark.parametrize(("class_weight", "says"), [
    (CLASS, r"a dict for each of several outputs; got 1\.0 for 0\."),
    ({"knd": CLASS}, r"a dict for each of several outputs; .* for 'knd'\. Did you mean 'kind'\?"),
    ({"kind": 2.0}, r"a dict for each of several outputs; got 2\.0 for 'kind'\."),
])
def test_several_outputs_expect_a_dict_for_each(class_weight: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        forked(True).fit(X, pair(True, Y, SIGNS), class_weight=class_weight, verbose=0)
