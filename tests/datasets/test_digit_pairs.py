"""Pairs of digits: which images, halved how, and what is asked of them."""

import importlib

import pytest
import torch

from kerasish import datasets
from tests.datasets.originals import needs_digits, real_folder

pytestmark = needs_digits


@pytest.fixture(scope="module", autouse=True)
def _read_once():
    """Reading the real files takes a moment."""
    module = importlib.import_module("kerasish.datasets.digit_pairs")
    found = datasets.mnist(real_folder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "mnist", lambda path: found)
        yield found


def test_shapes_types_and_what_y_says() -> None:
    (x, y, classes), (x_test, y_test, classes_test) = datasets.digit_pairs(train=300, test=200)
    assert x.shape == (300, 2, 14, 14) and x_test.shape == (200, 2, 14, 14)
    assert y.shape == (300, 1) and classes_test.shape == (200, 2)
    assert x.dtype == y.dtype == torch.float32 and classes.dtype == torch.int64
    for (a, b), answer in zip(classes.tolist(), y.flatten().tolist(), strict=True):
        assert answer == (1.0 if a <= b else 0.0)
    assert 0.4 < float(y_test.mean()) < 0.7, "5 in 9 and a bit"


def test_images_are_means_of_four_pixels_and_come_once(_read_once) -> None:
    ((images, digits), _) = _read_once
    (x, _, classes), _ = datasets.digit_pairs(train=30_000, test=0)
    means = torch.stack([images[..., i::2, j::2].double() for i in (0, 1) for j in (0, 1)]).mean(0)
    ours = {row.numpy().round(5).tobytes() for row in x.view(-1, 196)}
    theirs = {row.numpy().round(5).tobytes() for row in (means / 255).float().view(-1, 196)}
    assert ours == theirs and torch.equal(torch.bincount(classes.flatten()), torch.bincount(digits))
    assert 0 <= float(x.min()) and float(x.max()) <= 1


def test_the_seed_decides_and_nothing_else_is_drawn_from() -> None:
    before = torch.get_rng_state()
    first, again, other = (datasets.digit_pairs(train=50, test=50, seed=s)[0] for s in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(before, torch.get_rng_state())


def test_none_at_all_and_too_many() -> None:
    (x, y, classes), _ = datasets.digit_pairs(train=0, test=1)
    assert x.shape == (0, 2, 14, 14) and y.shape == (0, 1) and classes.shape == (0, 2)
    with pytest.raises(ValueError, match=r"digit_pairs\(test\) expects at most 5,000 pairs"):
        datasets.digit_pairs(test=5001)
    with pytest.raises(ValueError, match=r"digit_pairs\(train\) expects a whole number"):
        datasets.digit_pairs(train=-1)
