"""Pairs of digits: whether the first is at most the second."""

import torch
from torch import Tensor

from kerasish.checks import check_count
from kerasish.datasets.mnist import mnist
from kerasish.random import check_seed
from kerasish.saving.errors import FilePath

Pairs = tuple[Tensor, Tensor, Tensor]


def digit_pairs(
    train: int = 1000, test: int = 1000, seed: int = 0, path: FilePath | None = None
) -> tuple[Pairs, Pairs]:
    """Pairs of MNIST's digits, halved in size, and whether the first is at most the second.

        y = 1 where classes[:, 0] ≤ classes[:, 1], else 0

    Training pairs are made of training images, test pairs of test images, each image at most once.

    Shapes: x (train, 2, 14, 14), floats from 0 to 1, each the mean of 2 × 2 pixels; y (train, 1),
        floats; classes (train, 2), integers from 0 to 9; the same for test.
    Raises: ValueError for more pairs than there are images for, 30,000 and 5,000; what `mnist`
        raises.

    Args:
        train: number of training pairs, 0 or more.
        test: number of test pairs, 0 or more.
        seed: decides which images are paired; it does not touch other random numbers.
        path: where MNIST is, as `mnist` takes it.

    Returns: `(x, y, classes), (x_test, y_test, classes_test)`.

    Example:
        (x, y, classes), (x_test, y_test, classes_test) = digit_pairs(seed=0)
    """
    counts = [check_count("digit_pairs(train)", train), check_count("digit_pairs(test)", test)]
    generator = torch.Generator().manual_seed(check_seed("digit_pairs", seed))
    of_train, of_test = mnist(path)
    names = ("train", "test")
    train_pairs, test_pairs = (
        _paired(f"digit_pairs({name})", count, images, digits, generator)
        for name, count, (images, digits) in zip(names, counts, (of_train, of_test), strict=True))
    return train_pairs, test_pairs


def _paired(
    who: str, count: int, images: Tensor, digits: Tensor, generator: torch.Generator
) -> Pairs:
    most = len(images) // 2
    if count > most:
        raise ValueError(f"{who} expects at most {most:,} pairs, each image in one; got {count:,}. "
                         "Ask for fewer.")
    chosen = torch.randperm(len(images), generator=generator)[: 2 * count]
    squares = images[chosen].view(2 * count, 14, 2, 14, 2)
    halved = squares.sum((2, 4), dtype=torch.float32) / (4 * 255)
    classes = digits[chosen].view(count, 2)
    y = (classes[:, :1] <= classes[:, 1:]).to(torch.float32)
    return halved.view(count, 2, 14, 14), y, classes
