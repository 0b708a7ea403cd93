"""What is special to containers with several ways: gradients left out, wrong ones, unwinding."""

import pytest
import torch

from kerasish.containers import (
    Add,
    Concat,
    Graph,
    Input,
    Parallel,
    Recompute,
    Residual,
    Sequential,
    Shared,
)
from kerasish.layers import Linear, Tanh
from kerasish.module import Module
from tests.table import numbers


def graph() -> Graph:
    x = Input((3,))
    h = Linear(4)(x)
    return Graph(x, (Tanh()(h), Linear(2)(h), h))


def built(module: Module, shape=(3,)) -> Module:
    module.build(shape)
    return module.to(dtype=torch.float64)


SINGLE = [lambda: Parallel(Linear(4), merge=Concat()), lambda: Residual(Linear(3)),
          lambda: Recompute(Linear(4)),
          lambda: Graph(x := Input((3,)), Linear(4)(x))]


@pytest.mark.parametrize("make", SINGLE)
def test_a_wrong_gradient_is_refused_at_the_door(make) -> None:
    module = built(make())
    y = module.forward(numbers(4, 3))
    with pytest.raises(ValueError, match=r"backward\(dy\) expects the shape") as error:
        module.backward(torch.ones_like(y)[:, :1])
    assert type(module).__name__ in str(error.value) and str(tuple(y.shape)) in str(error.value)


@pytest.mark.parametrize("make", [lambda: Parallel(Linear(4), Tanh()), lambda: Shared(Linear(4)),
                                  graph])
def test_a_wrong_gradient_among_several_is_refused_at_the_door(make) -> None:
    module = make()
    x = (numbers(4, 3), numbers(4, 3)) if isinstance(module, Shared) else numbers(4, 3)
    y = built(module, ((3,), (3,)) if isinstance(module, Shared) else (3,)).forward(x)
    with pytest.raises(ValueError, match=r"backward\(dy\) expects the shape of its output"):
        module.backward((torch.ones_like(y[0]), torch.ones_like(y[1])[:1], *y[2:]))


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_branch_without_gradient_is_unwound(left_out: int) -> None:
    module, x = built(Parallel(Linear(4), Sequential(Linear(2), Tanh()))), numbers(4, 3)
    y = module.forward(x)
    dy = [torch.ones_like(part) for part in y]
    dy[left_out] = None
    dx = module.backward(tuple(dy))
    other = module.branches[1 - left_out]
    other.forward(x)
    assert torch.equal(dx, other.backward(dy[1 - left_out]))
    assert not any(part._saved for part in module.modules())
    assert not any(p.grad.any() for p in module.branches[left_out].parameters())


@pytest.mark.parametrize("left_out", [0, 1])
def test_an_input_of_shared_without_gradient_is_unwound(left_out: int) -> None:
    module, x = built(Shared(Linear(4)), ((3,), (3,))), (numbers(4, 3), numbers(4, 3, seed=1))
    y = module.forward(x)
    dy = [torch.ones_like(part) for part in y]
    dy[left_out] = None
    dx = module.backward(tuple(dy))
    assert dx[left_out] is None and torch.equal(
        dx[1 - left_out], torch.ones(4, 4, dtype=torch.float64) @ module.module.weight.data)
    assert torch.allclose(module.module.weight.grad, x[1 - left_out].sum(0).expand(4, 3))
    assert not any(part._saved for part in module.modules())


def test_shared_unwinds_as_many_as_its_latest_forward_had() -> None:
    module = built(Shared(Linear(4)), ((3,), (3,)))
    for count in (1, 2, 3):
        module.forward(tuple(numbers(4, 3, seed=seed) for seed in range(count)))
    for left in (3, 1, 0):
        module.unwind()
        assert len(module.module._saved) == left
    module.unwind()


@pytest.mark.parametrize("need_dx", [True, False])
def test_a_graph_goes_back_no_further_than_needed(need_dx: bool) -> None:
    x = Input((3,))
    stem = Tanh()(x)
    net = built(Graph(x, Add()((Linear(4)(stem), Linear(4)(Linear(5)(stem))))))
    y = net.forward(numbers(4, 3))
    dx = net.backward(torch.ones_like(y), need_dx=need_dx)
    assert (dx is not None) == need_dx
    assert all(p.grad.any() for p in net.parameters())
    assert not any(part._saved for part in net.modules())


def test_an_output_of_a_graph_without_gradient_gives_none() -> None:
    net = built(graph())
    y = net.forward(numbers(4, 3))
    net.backward((None, torch.ones_like(y[1]), None))
    assert not any(part._saved for part in net.modules())
    alone = net.parts[2] if isinstance(net.parts[2], Linear) else net.parts[1]
    assert alone.weight.grad.any()


class Wide(Module):
    """A module whose backward is wrong."""

    formula = "y = x"

    def forward(self, x):
        self.save_for_backward()
        return x.clone()

    def backward(self, dy):
        self.saved_tensors()
        return dy.sum(0, keepdim=True)


def test_a_module_that_gives_a_wrong_dx_is_named_in_its_place() -> None:
    x = Input((3,))
    net = built(Graph(x, Wide()(Linear(4)(x))))
    net.forward(numbers(4, 3))
    with pytest.raises(ValueError, match=r"Wide\(\)\.backward\(dy\) expects to give dx") as error:
        net.backward(torch.ones(4, 4, dtype=torch.float64))
    assert error.value.__notes__ == ["in part 1 of Graph, Wide()"]


def test_a_graph_refuses_what_it_cannot_wire() -> None:
    x, other = Input((3,)), Input((2,))
    with pytest.raises(ValueError, match="got none for Input"):
        Graph(x, Concat()((x, Linear(2)(other))))
    with pytest.raises(ValueError, match="leads to no output"):
        Graph((x, other), Linear(2)(x))
    with pytest.raises(TypeError, match=r"Graph\(outputs\) expects symbolic outputs"):
        Graph(x, Linear(2))
    with pytest.raises(ValueError, match="expects tensors of one shape"):
        Add()((x, other))
    with pytest.raises(ValueError, match=r"structure of its inputs; got a tuple of 1"):
        Graph((x, other), Concat()((x, other))).build(((3,),))


class Fails(Module):
    """A module whose backward raises."""

    formula = "y = x"

    def build(self, shape):
        return shape if isinstance(shape[0], int) else shape[0]

    def forward(self, x):
        self.save_for_backward()
        return x[0].clone() if isinstance(x, tuple) else x.clone()

    def backward(self, dy):
        raise ArithmeticError("no")


@pytest.mark.parametrize(("make", "place"), [
    (lambda: Parallel(Linear(3), Fails(), merge=Add()), "branch 1 of Parallel"),
    (lambda: Parallel(Linear(3), merge=Fails()), "merge of Parallel"),
    (lambda: Recompute(Fails()), "module of Recompute"),
    (lambda: Shared(Fails()), "module of Shared"),
])
def test_an_error_on_the_way_back_notes_its_place(make, place: str) -> None:
    module = make()
    x, shape = numbers(4, 3), (3,)
    if isinstance(module, Shared):
        x, shape = (x, x), ((3,), (3,))
    y = built(module, shape).forward(x)
    with pytest.raises(ArithmeticError, match="no") as error:
        module.backward(y)
    assert error.value.__notes__[0] == f"in {place}, Fails()"


@pytest.mark.parametrize("above", [lambda: Linear(2), lambda: Residual(Linear(3))])
def test_where_nothing_is_trained_below_a_graph_calls_no_backward(above) -> None:
    x = Input((3,))
    net = built(Graph(x, above()(Fails()(x))))
    net.backward(torch.ones_like(net.forward(numbers(4, 3))), need_dx=False)
    assert next(net.parameters()).grad.any() and not any(part._saved for part in net.modules())
