"""What is special to PReLU: whom its slopes belong to, and how they are learned."""

from typing import Any

import pytest
import torch

from kerasish.layers import PReLU


def test_each_channel_has_its_slope() -> None:
    module = PReLU(2)
    module.build((2, 3))
    module.weight.data = torch.tensor([0.5, -2.0])
    y = module(torch.tensor([[[-4.0, 0.0, 3.0], [-4.0, 0.0, 3.0]]]))
    assert y.tolist() == [[[-2.0, 0.0, 3.0], [8.0, 0.0, 3.0]]]
    dx = module.backward(torch.tensor([[[1.0, 1.0, 1.0], [10.0, 10.0, 10.0]]]))
    assert dx.tolist() == [[[0.5, 0.5, 1.0], [-20.0, -20.0, 10.0]]]
    assert module.weight.grad.tolist() == [-4.0, -40.0]


def test_one_slope_meets_all_elements_of_any_shape() -> None:
    for shape in ((), (3,), (3, 2)):
        module = PReLU()
        assert module.build(shape) == shape
        module(torch.full((4, *shape), -2.0))
        dx = module.backward(torch.ones(4, *shape))
        assert torch.equal(dx, torch.full((4, *shape), 0.25))
        assert module.weight.grad.tolist() == [-2.0 * dx.numel()]


def test_slopes_start_where_asked_and_do_not_decay() -> None:
    module = PReLU(3, 0.1, dtype=torch.float64)
    module.build((3,))
    assert module.weight.data.tolist() == pytest.approx([0.1] * 3)
    assert module.weight.data.dtype == torch.float64 and not module.weight.decay
    other = PReLU(3, weight_initializer="zeros", weight_regularizer="l2")
    other.build((3, 2))
    assert not other.weight.data.any() and other.weight.regularizer is not None


@pytest.mark.parametrize("trainable", [True, False])
def test_leaving_out_dx_changes_no_gradient_and_a_frozen_slope_gets_none(trainable: bool) -> None:
    module, x = PReLU(), torch.tensor([[-2.0, 3.0]])
    module.build((2,))
    module.weight.trainable = trainable
    module(x)
    assert module.backward(torch.ones(1, 2), need_dx=False) is None
    assert module.weight.grad.tolist() == [-2.0 * trainable]
    module(x)
    assert module.backward(torch.ones(1, 2)).tolist() == [[0.25, 1.0]]
    assert module.weight.grad.tolist() == [-4.0 * trainable]


@pytest.mark.parametrize("count", [0, -1, 2.5, None, True])
def test_a_count_of_slopes_below_one_is_refused(count: Any) -> None:
    with pytest.raises(ValueError, match=rf"PReLU\(num_parameters\) expects a whole number of at "
                                         rf"least 1; got {count!r}\. Give 1, or the number of"):
        PReLU(count)


def test_a_first_value_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"PReLU\(init\) expects a finite number; got 'small'\."):
        PReLU(init="small")


@pytest.mark.parametrize("shape", [(3,), (3, 2), ()])
def test_another_number_of_channels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"PReLU\(2\) expects 2 channels on axis 1 of x; got"):
        PReLU(2).build(shape)
