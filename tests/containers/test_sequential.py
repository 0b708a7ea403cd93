"""What is special to Sequential: places in errors, overwriting in place, and leaving out dx."""

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish.containers import Input, Sequential
from kerasish.gradcheck import check_gradients
from kerasish.layers import Dropout, Flatten, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from kerasish.module import Module
from tests.table import MODULES, Row, numbers, seeded

SEQUENTIALS = [row for row in MODULES if isinstance(row.make(), Sequential)]
every_sequential = pytest.mark.parametrize("row", SEQUENTIALS, ids=lambda row: row.id)


def run(net: Sequential, x: Tensor, dy: Tensor, **options: Any) -> dict[str, Tensor]:
    """y, dx and all gradients of one forward and backward from cleared gradients."""
    net.zero_grad()
    with seeded():
        y = net.forward(x).clone()
    dx = net.backward(dy, **options)
    return {"y": y, "dx": dx} | {name: p.grad.clone() for name, p in net.named_parameters()}


def run_by_hand(net: Sequential, x: Tensor, dy: Tensor) -> dict[str, Tensor]:
    """The same by calling the modules one by one: nothing is overwritten, nothing left out."""
    net.zero_grad()
    with seeded():
        for layer in net:
            x = layer.forward(x).clone()
    for layer in reversed(net.layers):
        dy = layer.backward(dy).clone()
    return {"y": x, "dx": dy} | {name: p.grad.clone() for name, p in net.named_parameters()}


def assert_equal(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    assert [name for name, value in expected.items() if not torch.equal(got[name], value)] == []


def saved(net: Module) -> list[int]:
    """How many forwards each module inside has left to go back through."""
    return [len(part._saved) for part in net.modules()]


def unwound(net: Module) -> bool:
    return not any(saved(net))


# ---- arguments ------------------------------------------------------------------------------


def test_modules_come_one_by_one_or_in_lists() -> None:
    a, b, c = Linear(3), Tanh(), Linear(1)
    for net in (Sequential(a, b, c), Sequential([a, b, c]), Sequential(a, (b, c)),
                Sequential().append(a).append(b).append(c)):
        assert list(net.layers) == list(net) == [a, b, c]
        assert len(net) == 3 and net[1] is b and net[-1] is c


@pytest.mark.parametrize(("argument", "shown"), [
    (ReLU, r"Write ReLU\(\.\.\.\)"), ([Linear(3), Tanh], r"Write Tanh\(\.\.\.\)"),
    (torch.relu, "got <built-in"), ("relu", r"'relu'.*ReLU\(\)"), (None, "got None"), (3, "got 3"),
    (torch.nn.ReLU(), r"kerasish\.export\.from_torch"), (Input((3,)), r"Graph\(inputs, outputs\)"),
], ids=["class", "class in a list", "function", "name", "None", "number", "of torch", "node"])
def test_what_is_no_module_is_refused(argument: Any, shown: str) -> None:
    with pytest.raises(TypeError, match=r"Sequential\(layers\) expects modules; got") as error:
        Sequential(argument)
    error.match(shown)


def test_append_is_refused_once_built() -> None:
    net = Sequential(Linear(3))
    net.build((2,))
    with pytest.raises(RuntimeError, match=r"Sequential\.append\(layer\) expects a container that"):
        net.append(Tanh())
    assert len(net) == 1 and net(torch.ones(1, 2)).shape == (1, 3)


# ---- places in errors -----------------------------------------------------------------------


class Undeclared(Module):
    """Passes x on and declares nothing."""

    formula = "y = x"

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return x

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy


class Failing(Module):
    """Raises in backward, or in forward once built."""

    formula = "y = x"

    def __init__(self, where: str) -> None:
        self.where = where

    def forward(self, x: Tensor) -> Tensor:
        if self.where == "forward":
            raise ZeroDivisionError("on purpose")
        self.save_for_backward()
        return x

    def backward(self, dy: Tensor) -> Tensor:
        raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_an_error_from_inside_notes_each_place_once(where: str) -> None:
    net = Sequential(Linear(3), Sequential(Tanh(), Failing(where)), ReLU())
    net.build((2,))
    with pytest.raises(ZeroDivisionError) as error:
        net.backward(net.forward(torch.ones(1, 2)))
    assert error.value.__notes__ == [f"in layer 1 of Sequential, Failing({where!r})",
                                     f"in layer 1 of Sequential, {net[1]!r}"]


class Forgetful(Undeclared):
    """Its backward or its build returns nothing."""

    def __init__(self, forgets: str) -> None:
        setattr(self, forgets, lambda value: None)


def test_a_backward_that_returns_nothing_leaves_nothing_untrained_in_silence() -> None:
    net, x = Sequential(Linear(3), Forgetful("backward"), Linear(1)), torch.rand(2, 3)
    with pytest.raises(TypeError, match=r"backward\(dy\) expects to return dL/dx; got None, so"):
        net.backward(torch.ones_like(net(x)))
    below = Sequential(Forgetful("backward"), Linear(1))
    below.backward(torch.ones_like(below(x)))
    assert below.layers[1].weight.grad.any()


def test_a_build_that_returns_nothing_is_named_and_not_its_neighbour() -> None:
    with pytest.raises(TypeError, match=r"\.build\(shape\) expects to return the shape of its out"):
        Sequential(Linear(3), Forgetful("build"), Linear(1)).build((2,))


def test_an_error_in_build_notes_its_place() -> None:
    net = Sequential(Linear(3), Sequential(Tanh(), Linear(4, 5)))
    for call in (lambda: net.build((2,)), lambda: net(torch.ones(1, 2))):
        with pytest.raises(ValueError, match=r"Linear\(4, 5\) expects 4 features") as error:
            call()
        assert error.value.__notes__ == ["in layer 1 of Sequential, Linear(4, 5)",
                                         f"in layer 1 of Sequential, {net[1]!r}"]
        assert not net.built


def test_data_of_the_wrong_size_notes_its_place() -> None:
    net = Sequential(Tanh(), Linear(3))
    net.build((2,))
    with pytest.raises(ValueError, match="expects 2 features") as error:
        net(torch.ones(1, 5))
    assert error.value.__notes__ == ["in layer 1 of Sequential, Linear(3)"]


def test_a_forward_that_raised_leaves_no_broken_pair_behind() -> None:
    net = Sequential(Tanh(), Linear(3))
    net.build((2,))
    with pytest.raises(ValueError, match="expects 2 features"):
        net(torch.ones(1, 5))
    x, dy = numbers(4, 2, dtype=torch.float32), numbers(4, 3, dtype=torch.float32)
    assert_equal(run(net, x, dy), run_by_hand(net, x, dy))
    assert unwound(net)


class Summed(Undeclared):
    """Goes back with one column for all features, by mistake."""

    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy).sum(1, keepdim=True)


@pytest.mark.parametrize("below", [ReLU, LeakyReLU, Tanh, Sigmoid, Dropout, lambda: Linear(3)])
@pytest.mark.parametrize("need_dx", [True, False])
def test_a_gradient_of_the_wrong_shape_is_not_broadcast(
    below: Callable[[], Module], need_dx: bool
) -> None:
    net = Sequential(Linear(3), below(), Summed())
    y = net(torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"Summed\(\)\.backward.*\(4, 3\); got \(4, 1\)") as error:
        net.backward(y, need_dx=need_dx)
    assert error.value.__notes__ == ["in layer 2 of Sequential, Summed()"]


def test_the_look_at_shapes_minds_its_own_forward() -> None:
    net, x = Sequential(Linear(3), Tanh(), Linear(2)), torch.ones(4, 3)
    net(x)
    with net.inference():
        net(x[:1])
    assert net.backward(torch.ones(4, 2)).shape == (4, 3)
    assert unwound(net)


def test_the_look_at_shapes_survives_new_plans() -> None:
    net, x = Sequential(Linear(3), Tanh(), Linear(2)), torch.ones(4, 3)
    net(x)
    Linear(1).build((1,))  # new parameters renew all plans
    net(x[:1])
    assert net.backward(torch.ones(1, 2)).shape == (1, 3)
    assert net.backward(torch.ones(4, 2)).shape == (4, 3)
    assert unwound(net)


def test_forwards_without_backward_keep_no_memory() -> None:
    net, x = Sequential(Tanh(), Tanh(), Tanh()), torch.ones(4, 3)
    with net.inference():
        net(x)
        before = sys.getallocatedblocks()
        for _ in range(1000):
            net(x)
    assert sys.getallocatedblocks() < before + 1000


# ---- sharing --------------------------------------------------------------------------------


def _reloaded(net: Sequential) -> Sequential:
    state = net.state_dict()
    net.load_state_dict({name: value * 1 for name, value in state.items()})
    return net


@pytest.mark.parametrize("change", [
    lambda net: net, lambda net: net.to(dtype=torch.float32).to(dtype=torch.float64),
    copy.deepcopy, _reloaded, lambda net: copy.deepcopy(copy.deepcopy(net)),
], ids=["as built", "after to(dtype)", "after deepcopy", "after a state dict", "twice copied"])
def test_what_is_shared_stays_shared_and_gets_the_sum(change: Callable[..., Sequential]) -> None:
    shared = Linear(3)
    net = Sequential(shared, Tanh(), Sequential(shared, Tanh()), shared)
    net.build((3,))
    net.to(dtype=torch.float64)
    x, dy = numbers(4, 3), numbers(4, 3, seed=1)
    expected = run(net, x, dy)
    net = change(net)
    assert net[0] is net[2][0] is net[3] and len(list(net.parameters())) == 2
    got = run(net, x, dy)
    check_gradients(net, x)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-6, atol=1e-6)


def test_both_paths_of_a_shared_module_are_in_the_state() -> None:
    shared = Linear(3)
    net = Sequential(shared, Tanh(), shared)
    net.build((3,))
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


# ---- in place -------------------------------------------------------------------------------


class Maker(Module):
    """Makes a new tensor, keeps a hand on it, and declares that its backward does not read it."""

    formula = "y = x"
    backward_reads = frozenset()
    returns_view = False

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        self.made = x.clone()
        return self.made

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        return dy.clone()


class Reader(Maker):
    """Declares that its backward reads y."""

    backward_reads = frozenset({"output"})


class NewForward(Maker):
    """Overrides forward alone, so the declarations above it no longer count."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 1


class NewBackward(Maker):
    """Overrides backward alone."""

    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy)


class Mixed(NewBackward, Reader):
    """Takes its backward from a class that declares nothing."""


class ForwardReLU(ReLU):
    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        return super().forward(x, out)


class BackwardReLU(ReLU):
    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy)


class InitReLU(ReLU):
    """Overrides neither, so it is what ReLU is."""

    def __init__(self) -> None:
        self.name = "mine"


@pytest.mark.parametrize("layers", [
    (Maker(), ReLU()), (Maker(), LeakyReLU()), (Maker(), Tanh()), (Maker(), Sigmoid()),
    (Maker(), InitReLU()), (Maker(), Flatten(), Tanh()), (Maker(), Dropout(0.0), Tanh()),
    (Maker(), Dropout(0.5).eval(), Flatten(), Tanh()), (Tanh(), Maker(), Tanh()),
], ids=repr)
def test_an_activation_overwrites_what_nobody_reads_again(layers: tuple[Module, ...]) -> None:
    net, x = Sequential(*layers), numbers(4, 3)
    maker = next(layer for layer in layers if isinstance(layer, Maker))
    y = net(x)
    assert torch.equal(maker.made, y) and maker.made.data_ptr() == y.data_ptr()
    assert torch.equal(x, numbers(4, 3))


@pytest.mark.parametrize("layers", [
    (Reader(), Tanh()), (NewForward(), Tanh()), (NewBackward(), Tanh()), (Mixed(), Tanh()),
    (Maker(), ForwardReLU()), (Maker(), BackwardReLU()), (Reader(), Flatten(), Tanh()),
    (NewBackward(), Dropout(0.0), Tanh()), (Maker(), Undeclared(), Tanh()),
    (Maker(), Sequential(Tanh())), (Sequential(Maker()), Tanh()), (Maker(), Linear(3)),
], ids=repr)
def test_what_may_be_read_again_is_not_overwritten(layers: tuple[Module, ...]) -> None:
    net, x = Sequential(*layers), numbers(4, 3, dtype=torch.float32)
    net(x)
    for part in net.modules():
        if isinstance(part, Maker):
            assert torch.equal(part.made, x)


@pytest.mark.parametrize("layers", [
    (Tanh(),), (Flatten(), Tanh()), (Dropout(0.0), Tanh()), (Dropout(0.9).eval(), ReLU()),
    (Dropout(0.0), Flatten(), Sequential(Flatten(), Tanh())), (Sequential(), LeakyReLU()),
], ids=repr)
def test_what_the_container_was_given_is_not_overwritten(layers: tuple[Module, ...]) -> None:
    net, x = Sequential(*layers), numbers(4, 3)
    y = net(x)
    assert torch.equal(x, numbers(4, 3)) and y.data_ptr() != x.data_ptr()


def test_a_module_used_by_hand_never_overwrites_what_it_overwrites_in_its_place() -> None:
    tanh, x = Tanh(), numbers(4, 3)
    Sequential(Maker(), tanh)(x)
    tanh(x)
    assert torch.equal(x, numbers(4, 3))


@every_sequential
def test_overwriting_changes_no_bit(row: Row) -> None:
    net, x, dy = row.built(), row.x(), row.dy()
    expected = run_by_hand(net, x, dy)
    assert_equal(run(net, x, dy), expected)
    with seeded(), net.inference():
        assert torch.equal(net(x), expected["y"])


class SquaredReLU(ReLU):
    """A user's subclass that reads x, where ReLU reads y."""

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return torch.relu(x) ** 2

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        return 2 * dy * torch.relu(x)


class ShrunkLinear(Linear):
    """A user's subclass whose backward reads y, where that of Linear reads x alone."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        self.outputs = [*getattr(self, "outputs", []), y]
        return y

    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy + 0.1 * self.outputs.pop())


@pytest.mark.parametrize("make", [
    lambda: Sequential(Linear(4), SquaredReLU(), Tanh(), Linear(2)),
    lambda: Sequential(ShrunkLinear(4), Tanh(), ShrunkLinear(4), ReLU(), Linear(2)),
    lambda: Sequential(ShrunkLinear(4), Flatten(), Sigmoid(), Linear(2)),
])
def test_a_users_subclass_keeps_its_own_forward_and_backward(make: Callable[..., Any]) -> None:
    net, x, dy = make(), numbers(4, 3), numbers(4, 2, seed=1)
    net.build((3,))
    net.to(dtype=torch.float64)
    assert_equal(run(net, x, dy), run_by_hand(net, x, dy))
    assert_equal({**run(net, x, dy, need_dx=False), "dx": x},
                 {**run_by_hand(net, x, dy), "dx": x})


class Spelled(Undeclared):
    """A user's module with arguments of its own that have the names of a container's."""

    backward_reads = frozenset()
    returns_view = False

    def forward(self, x: Tensor, activation: Any = None) -> Tensor:
        assert activation is None
        return super().forward(x) * 1

    def backward(self, dy: Tensor) -> Tensor:
        return super().backward(dy)


def test_fused_paths_are_chosen_by_the_exact_class_never_by_a_name() -> None:
    net, x = Sequential(Spelled(), Tanh()), numbers(4, 3)
    assert torch.equal(net(x), torch.tanh(x))


# ---- leaving out dx -------------------------------------------------------------------------


class Counting(Linear):
    """Counts what is asked of it; unlike Linear it knows no need_dx."""

    backwards = unwinds = 0

    def backward(self, dy: Tensor) -> Tensor:
        self.backwards += 1
        return super().backward(dy)

    def unwind(self, dy: Any = None) -> None:
        self.unwinds += 1
        super().unwind(dy)


class Asked(Linear):
    """Keeps what it was asked for."""

    asked: tuple[bool, ...] = ()

    def backward(self, dy: Tensor, need_dx: bool = True) -> Tensor | None:
        self.asked = (*self.asked, need_dx)
        return super().backward(dy, need_dx)


def deep(cls: type = Linear, depth: int = 4) -> Sequential:
    layers = [layer for _ in range(depth) for layer in (cls(3), Tanh())]
    net = Sequential(layers)
    net.build((3,))
    return net.to(dtype=torch.float64)


def freeze(net: Sequential, *indices: int) -> None:
    for index in indices:
        for parameter in net[index].parameters():
            parameter.trainable = False


@every_sequential
def test_leaving_out_dx_changes_no_gradient_of_a_parameter(row: Row) -> None:
    net, x, dy = row.built(), row.x(), row.dy()
    expected = run(net, x, dy)
    got = run(net, x, dy, need_dx=False)
    assert got.pop("dx") is None and unwound(net)
    expected.pop("dx")
    assert_equal(got, expected)


@pytest.mark.parametrize("frozen", [
    [index for index in range(0, 8, 2) if mask >> index // 2 & 1] for mask in range(16)
], ids=str)
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_frozen_modules_get_no_gradient_and_the_others_the_same(
    frozen: list[int], nested: bool
) -> None:
    net, x, dy = deep(), numbers(4, 3), numbers(4, 3, seed=1)
    expected = run(net, x, dy)
    freeze(net, *frozen)
    whole = Sequential(Sequential(net.layers[:3]), Sequential(net.layers[3:])) if nested else net
    for need_dx in (True, False, True):
        dx = run(whole, x, dy, need_dx=need_dx)["dx"]
        assert torch.equal(dx, expected["dx"]) if need_dx else dx is None
        for name, parameter in net.named_parameters():
            if parameter.trainable:
                assert torch.equal(parameter.grad, expected[name]), name
            else:
                assert not parameter.grad.any(), name
        assert unwound(whole)


@pytest.mark.parametrize("stem", range(5))
def test_backward_goes_no_further_than_the_lowest_module_that_is_trained(stem: int) -> None:
    net, x, dy = deep(Counting), numbers(4, 3), numbers(4, 3)
    freeze(net, *range(0, 2 * stem, 2))
    run(net, x, dy, need_dx=False)
    linears = net.layers[::2]
    assert [layer.backwards for layer in linears] == [0] * stem + [1] * (4 - stem)
    assert [layer.unwinds for layer in linears] == [1] * stem + [0] * (4 - stem)
    run(net, x, dy)
    assert [layer.backwards for layer in linears] == [1] * stem + [2] * (4 - stem)


def test_a_frozen_container_is_unwound_as_a_whole() -> None:
    inner, x, dy = deep(Counting, depth=2), numbers(4, 3), numbers(4, 3)
    net = Sequential(inner, Linear(3), Tanh())
    net.build((3,))
    net.to(dtype=torch.float64)
    freeze(inner, 0, 2)
    run(net, x, dy, need_dx=False)
    assert [layer.backwards for layer in inner.layers[::2]] == [0, 0]
    assert [layer.unwinds for layer in inner.layers[::2]] == [1, 1]
    assert unwound(net)


@pytest.mark.parametrize("stem", range(4))
def test_the_lowest_module_that_is_trained_is_told_that_nobody_needs_dx(stem: int) -> None:
    net, x, dy = deep(Asked), numbers(4, 3), numbers(4, 3)
    freeze(net, *range(0, 2 * stem, 2))
    run(net, x, dy, need_dx=False)
    assert [layer.asked for layer in net.layers[::2]] == [()] * stem + [(False,)] + [(True,)] * (
        3 - stem)


def test_freezing_takes_effect_at_the_next_forward() -> None:
    net, x, dy = deep(Counting), numbers(4, 3), numbers(4, 3)
    for frozen in ([], [0], [0, 2], [0], [2], [], [0, 2, 4, 6], []):
        for layer in net.layers[::2]:
            layer.backwards = 0
            for parameter in layer.parameters():
                parameter.trainable = True
        freeze(net, *frozen)
        run(net, x, dy, need_dx=False)
        stem = next((i for i in range(0, 8, 2) if i not in frozen), 8) // 2
        assert [layer.backwards for layer in net.layers[::2]] == [0] * stem + [1] * (4 - stem)


@pytest.mark.parametrize("frozen", [(), (0,), (0, 2), (0, 2, 4, 6)], ids=str)
def test_two_forwards_unwind_one_by_one(frozen: tuple[int, ...]) -> None:
    net = deep()
    freeze(net, *frozen)
    x1, x2, dy1, dy2 = (numbers(4, 3, seed=seed) for seed in range(4))
    first, second = run(net, x1, dy1), run(net, x2, dy2)
    net.zero_grad()
    net.forward(x1)
    after_one = saved(net)
    net.forward(x2)
    net.backward(dy2, need_dx=False)
    assert saved(net) == after_one
    net.backward(dy1, need_dx=False)
    assert unwound(net)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, first[name] + second[name], rtol=1e-12, atol=0)


class Wrapped(Module):
    """A user's container that leaves unwind as it is."""

    formula = "y = inner(x)"

    def __init__(self, inner: Module) -> None:
        self.inner = inner

    def build(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.inner.build(shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner.forward(x)

    def backward(self, dy: Tensor) -> Tensor:
        return self.inner.backward(dy)


def test_a_container_that_cannot_unwind_is_gone_back_through() -> None:
    net = Sequential(Tanh(), Wrapped(Tanh()), Tanh(), Linear(2))
    net.build((3,))
    net.backward(net(torch.ones(4, 3)), need_dx=False)
    assert unwound(net)


def test_a_frozen_stem_that_comes_again_above_is_unwound_once_for_each_use() -> None:
    shared = Linear(3)
    net = Sequential(shared, Tanh(), Linear(3), shared, Tanh())
    net.build((3,))
    net.to(dtype=torch.float64)
    x, dy = numbers(4, 3), numbers(4, 3, seed=1)
    expected = run(net, x, dy)
    freeze(net, 0)
    got = run(net, x, dy, need_dx=False)
    assert unwound(net) and not shared.weight.grad.any()
    assert torch.equal(got["2.weight"], expected["2.weight"])


def test_unwind_reaches_every_module_inside() -> None:
    net = Sequential(Linear(3), Sequential(Tanh(), Sequential(Linear(2), Dropout(0.5))))
    net(torch.ones(4, 3))
    after_one = saved(net)
    net(torch.ones(4, 3))
    net.unwind()
    assert saved(net) == after_one
    net.unwind()
    assert unwound(net)


@pytest.mark.parametrize("passes", [
    lambda net, x, dy: net(x), lambda net, x, dy: run(net, x, dy),
    lambda net, x, dy: (run(net, x, dy), net(x)),
    lambda net, x, dy: (run(net, x, dy), run(net, x, dy, need_dx=False)),
], ids=["forward", "backward", "backward and forward", "backward twice"])
def test_a_copy_that_has_run_binds_its_own_modules(passes: Callable[..., Any]) -> None:
    net, x, dy = deep(), numbers(4, 3), numbers(4, 3)
    passes(net, x, dy)
    net.zero_grad()
    twin = copy.deepcopy(net)
    for parameter in twin.parameters():
        parameter.data *= 2
    expected = run_by_hand(copy.deepcopy(twin), x, dy)
    net.zero_grad()
    assert_equal(run(twin, x, dy), expected)
    run(twin, x, dy, need_dx=False)
    assert not any(p.grad.any() for p in net.parameters()) and unwound(net)


def test_a_copy_without_parameters_binds_its_own_modules() -> None:
    net, x = Sequential(Tanh(), Dropout(0.5)), numbers(4, 3)
    net(x)
    twin = copy.deepcopy(net).eval()
    twin.zero_grad()
    before = saved(net)
    assert torch.equal(twin(x), torch.tanh(x))
    assert saved(net) == before and any(saved(twin))
