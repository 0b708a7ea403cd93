"""A user's own loss: what a bare function is answered, and that the answer works as it stands."""

import functools

import numpy as np
import pytest
import torch

from kerasish import Model, losses
from kerasish.gradcheck import check_gradients
from kerasish.layers import Linear
from kerasish.losses import MSE, Loss


def squared_error_2(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean()


@pytest.mark.parametrize(("function", "cls"), [
    (squared_error_2, "SquaredError2"), (lambda y_true, y_pred: 0.0, "MyLoss"),
    (functools.partial(squared_error_2, 0), "Partial"),
], ids=["function", "lambda", "partial"])
def test_the_lines_that_a_function_is_answered_with_work(function, cls: str) -> None:
    with pytest.raises(TypeError, match="no autograd") as caught:
        losses.get(function)
    before, code = str(caught.value).split("\n\n", 1)
    code, after = code.rsplit("\n", 1)
    assert "got the function" in before and after == f"and pass an instance, loss={cls}()."
    made: dict = {}
    exec(code, made)
    loss, batch = made[cls](), (torch.randn(4, 3), torch.randn(4, 3), torch.rand(4))
    assert isinstance(loss, Loss)
    check_gradients(loss, *batch)
    torch.testing.assert_close(loss(*batch), MSE()(*batch))
    model = Model(Linear(1), device="cpu")
    model.compile(optimizer="sgd", loss=loss)
    model.fit(np.zeros((4, 2)), np.ones((4, 1)), verbose=0)


def mean_squared_error(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean()


@pytest.mark.parametrize(("theirs", "ours"), [
    (mean_squared_error, "loss='mean_squared_error' for MSE()."),
    (torch.nn.BCELoss(), "loss='BCELoss' for BinaryCrossEntropy(from_logits=False)."),
    (torch.nn.functional.cross_entropy, "loss='cross_entropy' for CrossEntropy()."),
], ids=["Keras", "torch", "function of torch"])
def test_a_loss_of_another_library_is_answered_with_the_name_of_ours(theirs, ours: str) -> None:
    with pytest.raises(TypeError) as caught:
        losses.get(theirs)
    assert f". Write {ours} There is no autograd" in str(caught.value)


def test_a_function_called_loss_does_not_hide_the_base_class() -> None:
    def loss(y_true, y_pred):
        return 0.0

    with pytest.raises(TypeError, match=r"class MyLoss\(Loss\)"):
        losses.get(loss)


def test_an_own_loss_without_an_init_knows_its_reduction() -> None:
    class Total(Loss):
        def __init__(self) -> None:
            pass

    values = torch.tensor([1.0, 3.0])
    assert Total().reduction == "mean" and Total().shares(None, values) == 0.5
    assert Total().total(values, 0.5) == 2


def test_shares_are_weights_over_the_number_of_values_or_weights_alone() -> None:
    values, w = torch.ones(2, 3), torch.tensor([1, 3])
    assert torch.equal(Loss().shares(w, values), torch.tensor([[1 / 6], [0.5]]))
    assert torch.equal(Loss(reduction="sum").shares(w, values), torch.tensor([[1.0], [3.0]]))
    assert Loss(reduction="sum").shares(None, values) == 1
    assert Loss().shares(None, values, number=4) == 0.25
    assert Loss().shares(None, torch.ones(0, 3)) == 1


def test_any_ending_does_for_a_loss_that_says_nothing_of_it() -> None:
    assert Loss().ending is None
    Loss().check_ending(Linear(1), (0.0, 1.0))
