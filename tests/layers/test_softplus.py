"""What is special to Softplus and LogSigmoid: their middle, their ends, their settings."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import LogSigmoid, Softplus


def test_softplus_at_its_middle_and_where_it_is_straight() -> None:
    module = Softplus(2.0, threshold=4.0)
    y = module(torch.tensor([[0.0, 3.0, -1e4]], dtype=torch.float64))
    assert y.tolist() == [[pytest.approx(math.log(2) / 2), 3.0, 0.0]]
    dx = module.backward(torch.full((1, 3), 4.0, dtype=torch.float64))
    assert dx.tolist() == [[2.0, 4.0, 0.0]]


def test_log_sigmoid_at_its_middle_and_ends() -> None:
    module = LogSigmoid()
    y = module(torch.tensor([[0.0, 1e4, -1e4]]))
    assert y.tolist() == [[pytest.approx(-math.log(2)), 0.0, -1e4]]
    assert module.backward(torch.full((1, 3), 4.0)).tolist() == [[2.0, 0.0, 4.0]]
    assert module.own_bytes((3, 4)) == 48


@pytest.mark.parametrize("beta", [0, -1.0, math.inf, "1"])
def test_a_sharpness_that_is_not_above_0_is_refused(beta: Any) -> None:
    with pytest.raises(ValueError, match=rf"Softplus\(beta\) expects a finite number above 0; got "
                                         rf"{beta!r}\. 1 is the usual value"):
        Softplus(beta)


@pytest.mark.parametrize("threshold", [math.nan, None])
def test_a_threshold_that_is_no_number_is_refused(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"Softplus\(threshold\) expects a finite number; got .*\. "
                                         "20 is the usual one"):
        Softplus(1, threshold)
