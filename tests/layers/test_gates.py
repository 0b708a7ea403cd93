"""What is special to gates: values worked by hand, the approximation, the axis that is halved."""

import math
from typing import Any

import pytest
import torch

from kerasish.layers import GELU, GLU, Mish, SiLU
from kerasish.module import Module


@pytest.mark.parametrize(("module", "at_one", "lowest"), [
    (GELU(), 0.8413447, -0.1700), (GELU("tanh"), 0.8411920, -0.1700),
    (SiLU(), 0.7310586, -0.2785), (Mish(), 0.8650984, -0.3088),
], ids=repr)
def test_values_and_the_lowest_one(module: Module, at_one: float, lowest: float) -> None:
    y = module(torch.tensor([[0.0, 1.0, -50.0, 50.0]], dtype=torch.float64))
    assert y.tolist() == [pytest.approx([0.0, at_one, 0.0, 50.0], abs=1e-7)]
    low = module(torch.linspace(-3, 0, 1000, dtype=torch.float64)[None]).min().item()
    assert low == pytest.approx(lowest, abs=1e-4)
    assert module.y_range[0] < low and module.y_range[1] == math.inf


@pytest.mark.parametrize("approximate", ["Tanh", None, True, "erf"])
def test_another_approximation_is_refused(approximate: Any) -> None:
    with pytest.raises(ValueError, match=r"GELU\(approximate\) expects one of 'none', 'tanh'; got"):
        GELU(approximate)


def test_the_second_half_is_the_gate_of_the_first() -> None:
    module = GLU()
    y = module(torch.tensor([[3.0, 5.0, 0.0, 100.0]]))
    assert y.tolist() == [[1.5, 5.0]]
    dx = module.backward(torch.tensor([[4.0, 1.0]]))
    assert dx.tolist() == [[2.0, 1.0, 3.0, 0.0]]


@pytest.mark.parametrize(("dim", "shape"), [(1, (2, 3, 5)), (2, (4, 3, 2)), (-2, (4, 3, 2))])
def test_axes_are_counted_with_the_batch(dim: int, shape: tuple[int, ...]) -> None:
    x = torch.randn(2, *shape)
    if x.shape[dim] % 2:
        with pytest.raises(ValueError, match=rf"GLU\({dim}\) expects an even size on axis {dim} of "
                                             rf"x, to halve it; got 3\. Make it 4"):
            GLU(dim).build(shape)
    else:
        module = GLU(dim)
        assert (2, *module.build(shape)) == module(x).shape


@pytest.mark.parametrize("make", [SiLU, Mish])
def test_inplace_is_accepted_and_ignored(make: type) -> None:
    x = torch.tensor([[-9.0, 9.0]])
    make(inplace=True)(x)
    assert x.tolist() == [[-9.0, 9.0]]
