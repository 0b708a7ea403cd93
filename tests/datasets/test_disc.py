"""The disc: uniform points, labelled by a circle that holds half of the square."""

import math
import random

import numpy as np
import pytest
import torch

from kerasish import datasets


def test_it_gives_points_and_labels_for_training_and_testing() -> None:
    (x, y), (x_test, y_test) = datasets.disc(train=30, test=20, seed=0)
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((30, 2), (30, 1), (20, 2), (20, 1))
    assert {part.dtype for part in (x, y, x_test, y_test)} == {torch.float32}


def test_the_defaults_are_a_thousand_of_each() -> None:
    (x, _), (x_test, _) = datasets.disc()
    assert len(x) == len(x_test) == 1000


def test_labels_are_plus_one_inside_the_circle_and_minus_one_outside() -> None:
    (x, y), _ = datasets.disc(train=5000, test=0)
    radius = 1 / math.sqrt(2 * math.pi)
    right = 0
    for (a, b), label in zip(x.tolist(), y.flatten().tolist(), strict=True):
        right += label == (1.0 if math.hypot(a - 0.5, b - 0.5) < radius else -1.0)
    assert right >= 4999, "all but points on the very edge"


def test_points_are_uniform_and_labels_even() -> None:
    (x, y), _ = datasets.disc(train=40_000, test=0, seed=3)
    assert 0 <= x.min() and x.max() < 1
    cells = torch.histogramdd(x, bins=[4, 4], range=[0.0, 1.0, 0.0, 1.0]).hist / 40_000
    assert torch.allclose(cells, torch.full((4, 4), 1 / 16), atol=0.006)
    assert abs(float(y.mean())) < 0.02


def test_a_seed_decides_the_points() -> None:
    first, again, other = (datasets.disc(20, 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0][0], again[0][0]) and torch.equal(first[1][1], again[1][1])
    assert not torch.equal(first[0][0], other[0][0])


def test_test_points_are_others_than_training_points() -> None:
    (x, _), (x_test, _) = datasets.disc(20, 20, seed=0)
    assert not set(map(tuple, x.tolist())) & set(map(tuple, x_test.tolist()))


def test_it_draws_nothing_from_the_global_generators() -> None:
    before = random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[2]
    datasets.disc(20, 10)
    assert (random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[2]) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": -1}, r"disc\(train\) expects a whole number of at least 0; got -1"),
        ({"test": 1.5}, r"disc\(test\) expects a whole number of at least 0; got 1\.5"),
        ({"seed": -1}, r"disc\(seed\) expects an integer from 0"),
    ],
    ids=["train", "test", "seed"],
)
def test_bad_arguments_are_named(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.disc(**arguments)
