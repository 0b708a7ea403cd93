"""What tests of data ask of two trainings: that they are the same to the bit."""

import torch

from kerasish import Model


def assert_same(one: Model, other: Model) -> None:
    """Both have logged the same numbers and hold the same weights."""
    assert one.history is not None
    assert other.history is not None
    assert one.history.history == other.history.history
    mine, its = one.module.state_dict(), other.module.state_dict()
    assert mine.keys() == its.keys() and all(torch.equal(mine[name], its[name]) for name in mine)
