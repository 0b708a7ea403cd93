"""What is special to softmaxes: the axis of the classes, and that the batch is none."""

from typing import Any

import pytest
import torch

from kerasish.layers import GLU, LogSoftmax, Softmax, Softmin, Unflatten
from kerasish.module import Module

each = pytest.mark.parametrize("make", [Softmax, LogSoftmax, Softmin])


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5), (3, 2, 2, 2)], ids=str)
@each
def test_without_an_axis_the_classes_lie_on_axis_1(make: type, shape: tuple[int, ...]) -> None:
    y = make()(torch.randn(2, *shape))
    shares = y.exp() if make is LogSoftmax else y
    assert torch.allclose(shares.sum(1), torch.ones(2, *shape[1:]))
    assert make().dim == make(None).dim == 1


def test_numbers_worked_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0, 0.0], [2.0, 3.0, 5.0]]).log_()[1:]
    module = Softmax()
    assert torch.allclose(module(x), torch.tensor([[0.2, 0.3, 0.5]]))
    dx = module.backward(torch.tensor([[10.0, 0.0, 0.0]]))
    assert torch.allclose(dx, torch.tensor([[1.6, -0.6, -1.0]]))
    assert torch.allclose(LogSoftmax()(x).exp(), torch.tensor([[0.2, 0.3, 0.5]]))
    assert torch.allclose(Softmin()(-x), torch.tensor([[0.2, 0.3, 0.5]]))


@pytest.mark.parametrize("dim", [0, True, False, 1.0, "channels"])
@pytest.mark.parametrize("make", [Softmax, LogSoftmax, Softmin, GLU,
                                  lambda dim: Unflatten(dim, (2, 2))])
def test_the_batch_is_no_axis_of_samples(make: Any, dim: Any) -> None:
    with pytest.raises(ValueError, match=rf"\w+\(dim\) expects an axis of samples, 1 or more, or "
                                         rf"negative; got {dim!r}\. Axis 0 is the batch"):
        make(dim)


@pytest.mark.parametrize("module", [Softmax(3), LogSoftmax(-3), Softmin(dim=9), GLU(-3),
                                    Unflatten(3, (2, 2))], ids=repr)
def test_axes_that_x_does_not_have_are_refused(module: Module) -> None:
    with pytest.raises(ValueError, match=rf"expects x with an axis {module.dim} besides the batch; "
                                         r"got shape \(N, 4, 4\)\. Choose an axis that x has"):
        module.build((4, 4))


@each
def test_samples_without_axes_have_no_classes(make: type) -> None:
    with pytest.raises(ValueError, match="besides the batch"):
        make()(torch.ones(4))
