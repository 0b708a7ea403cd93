"""The contract of every module: its stack, its names, its state, its copies, its config."""

import copy
import inspect
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kerasish import Parameter
from kerasish.containers import Sequential
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.module import Module
from kerasish.optimizers import SGD
from kerasish.trees import leaves
from tests.table import MODULES, Row, numbers, seeded

every_module = pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)
every_leaf_and_sequential = pytest.mark.parametrize(
    "row", [row for row in MODULES if row.chains
            and (isinstance(row.make(), Sequential) or not any(row.make().children()))],
    ids=lambda row: row.id)


class Scale(Module):
    """A user's module with a parameter, a buffer and a count of its forwards."""

    formula = "y = w x + shift"

    def __init__(self, start: float = 1.0, *, shift: float = 0.0) -> None:
        self.start, self.shift_by = start, shift

    def build(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.weight = Parameter(torch.full((shape[-1],), self.start))
        self.register_buffer("shift", torch.tensor([self.shift_by]))
        self.register_buffer("count", torch.tensor(0))
        return shape

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.count += 1
        self.save_for_backward(x)
        return self.weight.data * x + self.shift

    def backward(self, dy: Tensor) -> Tensor:
        (x,) = self.saved_tensors()
        self.weight.grad += (dy * x).flatten(0, -2).sum(0)
        return dy * self.weight.data


class Branches(Module):
    """A user's container: y = first(x) + Σ others(x), with its children in attributes and lists."""

    formula = "y = Σ branches(x)"

    def __init__(self, first: Module, *others: Module) -> None:
        self.first, self.others, self.hidden = first, list(others), (Tanh(), Linear(2))

    def build(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.gains = [Parameter(torch.ones(())) for _ in self.others]
        for branch in (self.first, *self.others, self.hidden[1]):
            shape_out = branch.build(shape)
        return shape_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        for branch in self.others:
            y = y + branch(x)
        self.save_for_backward()
        return y

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        dx = sum(branch.backward(dy) for branch in reversed(self.others))
        return dx + self.first.backward(dy)


def scale(features: int = 3, **settings: Any) -> Scale:
    module = Scale(**settings)
    module.build((features,))
    return module


# ---- the stack, inference, modes ------------------------------------------------------------


def test_saved_tensors_come_back_last_in_first_out() -> None:
    module = Scale()
    module.save_for_backward(1, 2)
    module.save_for_backward()
    module.save_for_backward(3)
    assert [module.saved_tensors() for _ in range(3)] == [(3,), (), (1, 2)]
    with pytest.raises(RuntimeError, match=r"Scale\(\)\.backward\(\) has no forward"):
        module.saved_tensors()


def test_instances_do_not_share_a_stack() -> None:
    first, second = Tanh(), Tanh()
    first.forward(torch.ones(1, 1))
    assert second._saved == []


def test_a_subclass_may_leave_out_super_init() -> None:
    class Bare(Module):
        def __init__(self, size: int) -> None:
            self.size = size

    module = Bare(3)
    module.save_for_backward(1)
    assert module.saved_tensors() == (1,) and repr(module) == "Bare(3)"


@every_module
def test_nothing_is_saved_inside_inference(row: Row) -> None:
    module = row.built()
    with module.inference():
        with module.inference():
            module(row.x())
        module(row.x())
        with pytest.raises(RuntimeError, match="no forward"):
            module.backward(row.dy())
    assert not any(part._saved for part in module.modules())
    module(row.x())
    module.backward(row.dy())


def test_saving_goes_on_after_an_error_inside_inference() -> None:
    module = scale()
    with pytest.raises(ZeroDivisionError), module.inference():
        raise ZeroDivisionError
    module(numbers(2, 3))
    assert len(module._saved) == 1


def test_inference_holds_in_its_own_thread_alone() -> None:
    module, saved = Tanh(), []

    def train() -> None:
        module(numbers(2, 3))
        saved.append(len(module._saved))

    with module.inference():
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
        module(numbers(2, 3))
        saved.append(len(module._saved))
    assert saved == [1, 1]


def test_evaluation_is_not_inference() -> None:
    module = scale().eval()
    module.backward(module(numbers(2, 3, dtype=torch.float32)))
    assert module.weight.grad.any()


def test_modes_reach_every_module_below() -> None:
    net = Sequential(Dropout(), Sequential(Dropout()), Branches(Tanh(), Dropout()))
    assert all(part.training for part in net.modules())
    assert net.eval() is net and not any(part.training for part in net.modules())
    assert net.train() is net and all(part.training for part in net.modules())
    net.train(False)
    assert not any(part.training for part in net.modules())


def test_zero_grad_clears_gradients_and_what_a_failed_step_left() -> None:
    net = Sequential(Linear(3), Branches(Linear(2), Linear(2)))
    x = numbers(4, 3, dtype=torch.float32)
    net.backward(net(x))
    next(net.parameters()).grad.fill_(torch.nan)
    net(x)
    net.zero_grad()
    assert not any(p.grad.any() or p.grad.isnan().any() for p in net.parameters())
    assert not any(part._saved for part in net.modules())


@pytest.mark.parametrize(("call", "missing"), [
    (lambda module: module(torch.ones(1, 1)), "forward"),
    (lambda module: module.backward(torch.ones(1, 1)), "backward"),
])
def test_a_module_without_its_methods_says_what_is_missing(call: Any, missing: str) -> None:
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=rf"Empty needs a {missing}\("):
        call(Empty())


# ---- names ----------------------------------------------------------------------------------


class NnBranches(nn.Module):
    """The twin of Branches in torch."""

    def __init__(self, first: nn.Module, *others: nn.Module) -> None:
        super().__init__()
        self.first, self.others = first, nn.ModuleList(others)
        self.hidden = nn.ModuleList([nn.Tanh(), nn.Linear(3, 2)])
        self.gains = nn.ParameterList([nn.Parameter(torch.ones(())) for _ in others])


def test_paths_of_parameters_are_those_of_torch() -> None:
    shared, nn_shared = Linear(2), nn.Linear(3, 2)
    net = Sequential(Sequential(Tanh(), Linear(3)),
                     Branches(shared, Linear(2), Sequential(ReLU(), shared)))
    net.build((3,))
    twin = nn.Sequential(
        nn.Sequential(nn.Tanh(), nn.Linear(3, 3)),
        NnBranches(nn_shared, nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn_shared)))
    assert {name: tuple(p.shape) for name, p in net.named_parameters()} == {
        name: tuple(p.shape) for name, p in twin.named_parameters()}
    assert sorted(net.state_dict()) == sorted(twin.state_dict())
    assert {name for name, _ in net.named_modules()} == {
        name for name, _ in twin.named_modules()} - {"1.others", "1.hidden", "1.gains"}
    twin.load_state_dict(net.state_dict())
    net.load_state_dict(twin.state_dict())


def test_shared_modules_and_parameters_come_once_under_their_first_path() -> None:
    shared = Linear(3)
    net = Sequential(shared, Tanh(), Sequential(shared), Tanh())
    net.build((3,))
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "2", "3"]
    assert len(list(net.parameters())) == 2 and len(list(net.modules())) == 5
    first, second = scale(), scale()
    second.weight = first.weight
    assert [name for name, _ in Sequential(first, second).named_parameters()] == ["0.weight"]


def test_children_and_buffers_are_found_among_the_attributes() -> None:
    module, other, third = Branches(scale(), Tanh(), scale()), Tanh(), Dropout()
    module.other, module.pair = other, (third, 3)
    assert [name for name, _ in module.named_children()] == [
        "first", "others.0", "others.1", "hidden.0", "hidden.1", "other", "pair.0"]
    assert list(module.children())[-2:] == [other, third]
    assert [name for name, _ in module.named_buffers()] == [
        "first.shift", "first.count", "others.1.shift", "others.1.count"]
    assert len(list(module.buffers())) == 4


def test_an_unknown_attribute_is_an_error() -> None:
    linear = Linear(3)
    for name in ("weight", "wieght"):
        with pytest.raises(AttributeError, match=rf"Linear.* has no .*'{name}'"):
            getattr(linear, name)
    linear.build((2,))
    assert linear.weight.shape == (3, 2) and not hasattr(linear, "wieght")


# ---- state ----------------------------------------------------------------------------------


def test_a_state_dict_is_a_contiguous_copy_of_parameters_and_buffers() -> None:
    module = scale(start=2.0, shift=5.0)
    module.weight.place(torch.ones(6)[::2], torch.zeros(3))
    state = module.state_dict()
    assert list(state) == ["weight", "shift", "count"]
    assert all(value.is_contiguous() for value in state.values())
    state["weight"].zero_()
    state["shift"].zero_()
    assert module.weight.data.all() and module.shift == 5
    with torch.inference_mode():
        assert not any(value.is_inference() for value in module.state_dict().values())


def test_loading_fills_parameters_and_buffers_in_place_and_casts() -> None:
    module, other = scale(start=2.0, shift=5.0), scale()
    module(numbers(2, 3))
    data = other.weight.data
    other.load_state_dict({name: value.double() for name, value in module.state_dict().items()})
    assert other.weight.data is data and data.dtype == torch.float32 and (data == 2).all()
    assert other.shift == 5 and other.count == 1 and other.count.dtype == torch.int64


def test_loading_does_not_tie_what_is_loaded() -> None:
    module = scale()
    state = module.state_dict()
    module.load_state_dict(state)
    state["weight"].fill_(9)
    assert (module.weight.data == 1).all()


@pytest.mark.parametrize(("change", "shown"), [
    (lambda state: state.pop("0.weight"), ["'0.weight' is missing"]),
    (lambda state: state.update(extra=torch.ones(1)), ["'extra' is unexpected"]),
    (lambda state: state.update({"0.bias": torch.ones(1, 4)}),
     ["'0.bias' has shape (1, 4), not (4,)"]),
    (lambda state: state.update({"2.weight": state.pop("1.weight"), "0.bias": torch.ones(3)}),
     ["'0.bias' has shape (3,), not (4,)", "'1.weight' is missing", "'2.weight' is unexpected"]),
], ids=["missing", "unexpected", "shape", "all three"])
def test_what_does_not_fit_is_named_and_nothing_is_loaded(change: Any, shown: list[str]) -> None:
    net = Sequential(Linear(4), Linear(2))
    net.build((3,))
    before, state = net.state_dict(), {k: v + 1 for k, v in net.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=r"load_state_dict\(state_dict\) expects the") as error:
        net.load_state_dict(state)
    assert all(text in str(error.value) for text in shown)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_state_of_what_is_not_built_is_empty_and_takes_nothing() -> None:
    assert Linear(3).state_dict() == {}
    with pytest.raises(ValueError, match="Build the module for the same sizes first"):
        Linear(3).load_state_dict({"weight": torch.ones(3, 2)})


# ---- to -------------------------------------------------------------------------------------


def test_to_converts_floats_and_keeps_integers_and_sharing() -> None:
    first, second = scale(shift=5.0), scale()
    second.weight = first.weight
    net = Sequential(first, second)
    net(torch.ones(2, 3))
    first.weight.grad.fill_(3)
    assert net.to(dtype=torch.float64) is net
    assert first.weight is second.weight
    assert first.weight.data.dtype == first.weight.grad.dtype == torch.float64
    assert (first.weight.grad == 3).all() and (first.weight.data == 1).all()
    assert first.shift.dtype == torch.float64 and first.count.dtype == torch.int64
    assert first.shift == 5 and first.count == 1
    assert net(numbers(2, 3)).dtype == torch.float64


def test_to_a_device_keeps_the_types() -> None:
    module = scale().to(dtype=torch.float64).to("cpu")
    assert module.weight.data.dtype == torch.float64
    module.to(torch.device("cpu"), torch.float32)
    assert module.weight.data.dtype == torch.float32


def test_to_takes_a_type_alone_as_torch_does() -> None:
    assert scale().to(torch.float64).weight.data.dtype == torch.float64


def test_to_is_refused_once_the_parameters_lie_in_a_flat_vector() -> None:
    net = Sequential(scale())
    SGD(0.1).build(net.parameters())
    with pytest.raises(RuntimeError, match=r"outside a compiled model; '0.weight' lies in a flat"):
        net.to(dtype=torch.float64)
    assert next(net.parameters()).data.dtype == torch.float32


def test_what_outlives_a_step_may_be_made_in_inference_mode_and_changed_outside() -> None:
    module = Scale(shift=1.0)
    with torch.inference_mode():
        module(torch.ones(2, 3))
        module.to(torch.float64)
    tensors = [*module.buffers(), module.weight.data, module.weight.grad, module.weight.data_t]
    assert not any(tensor.is_inference() for tensor in tensors)


# ---- copies ---------------------------------------------------------------------------------


@every_module
def test_a_deep_copy_is_independent_also_once_it_has_run(row: Row) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    for _ in range(2):
        twin = copy.deepcopy(module)
        before, grads = module.state_dict(), [p.grad.clone() for p in module.parameters()]
        for parameter in twin.parameters():
            parameter.data += 1
        with seeded():
            twin.forward(x)
        twin.backward(dy)
        assert all(torch.equal(v, before[name]) for name, v in module.state_dict().items())
        assert all(map(torch.equal, (p.grad for p in module.parameters()), grads))
        assert not any(part._saved for part in module.modules())
        assert not {id(p) for p in twin.modules()} & {id(p) for p in module.modules()}
        twin.load_state_dict(before)
        with seeded():
            expected = module.forward(x)
        with seeded():
            assert all(map(torch.equal, leaves(twin.forward(x)), leaves(expected)))
        module.backward(dy)


def test_a_deep_copy_of_a_trained_net_has_vectors_of_its_own() -> None:
    net = Sequential(Linear(3), Tanh())
    net.build((2,))
    optimizer = SGD(0.1).build(net.parameters())
    twin = copy.deepcopy(net)
    next(twin.parameters()).data.fill_(9)
    assert not (optimizer.flats[0].data == 9).any()
    SGD(0.1).build(twin.parameters())


@every_module
def test_a_copy_has_a_stack_of_its_own(row: Row) -> None:
    module = row.built()
    module.forward(row.x())
    twin = copy.copy(module)
    assert twin._saved == [] and module._saved
    assert list(map(id, twin.parameters())) == list(map(id, module.parameters()))


# ---- config ---------------------------------------------------------------------------------


@every_leaf_and_sequential
def test_the_config_makes_an_equal_module(row: Row) -> None:
    module = row.make()
    config = module.get_config()
    layers = config.pop("layers", ())
    twin = type(module)(*copy.deepcopy(layers), **config)
    assert twin.build(row.shape) == module.build(row.shape)
    twin.load_state_dict(module.state_dict())
    x = row.x(dtype=torch.float32)
    with seeded():
        expected = module(x)
    with seeded():
        assert torch.equal(twin(x), expected)


def test_config_and_repr_show_the_arguments_as_they_were_given() -> None:
    assert Scale().get_config() == {} and repr(Scale()) == "Scale()"
    assert Scale(2.0, shift=3.0).get_config() == {"start": 2.0, "shift": 3.0}
    assert repr(Scale(2.0, shift=3.0)) == "Scale(2.0, shift=3.0)"
    assert Linear(2, 3, bias=False).get_config() == {
        "in_features": 2, "out_features": 3, "bias": False}
    linear, tanh = Linear(3), Tanh()
    assert Sequential(linear, tanh).get_config() == {"layers": (linear, tanh)}
    assert repr(Sequential(Linear(3), Dropout(p=0.5))) == "Sequential(Linear(3), Dropout(p=0.5))"


@every_module
def test_declarations_are_of_the_right_kind(row: Row) -> None:
    module = row.make()
    assert isinstance(module.formula, str) and "=" in module.formula
    assert module.formula != Module.formula and "\n" not in module.formula
    assert module.backward_reads <= {"input", "output"} and type(module.returns_view) is bool
    assert module.own_bytes(row.shape) >= 0
    low, high = module.y_range or (0, 1)
    assert low < high


@every_module
def test_what_lies_in_a_declared_range_does_lie_there(row: Row) -> None:
    module = row.built()
    if module.y_range:
        low, high = module.y_range
        y = module(row.x() * 1e3)
        assert (y >= low).all() and (y <= high).all()


@every_leaf_and_sequential
def test_what_is_declared_unread_is_unread(row: Row) -> None:
    """What a leaf's backward does not read may be overwritten: grants stand on it."""
    module = row.built()
    if list(module.children()):
        return
    x, dy = row.x(), row.dy()
    with seeded():
        module.forward(x)
    expected = module.backward(dy).clone()
    with seeded():
        y = module.forward(x)
    shares_memory = y.data_ptr() == x.data_ptr()
    assert not shares_memory or module.returns_view
    if "input" not in module.backward_reads and not (shares_memory and
                                                     "output" in module.backward_reads):
        x.fill_(torch.nan)
    if "output" not in module.backward_reads and not (shares_memory and
                                                      "input" in module.backward_reads):
        y.fill_(torch.nan)
    assert torch.equal(module.backward(dy), expected)


# ---- build ----------------------------------------------------------------------------------


OF_FIXED_AXES = ("Flatten", "BatchNorm", "GroupNorm", "InstanceNorm",
                 "trains nothing")  # one more axis changes the sense


@every_leaf_and_sequential
def test_build_again_answers_the_shape_and_changes_nothing(row: Row) -> None:
    module = row.built().eval()
    state, generator = module.state_dict(), torch.get_rng_state()
    parameters = list(map(id, module.parameters()))
    shape = module.build(row.shape)
    assert shape == module.output_shape
    if any(isinstance(part, Linear) for part in module.modules()):  # takes more leading axes
        longer = (2, *row.shape)
        if not any(name in row.id for name in OF_FIXED_AXES):
            assert module.build(longer) == (2, *shape)
            assert module(numbers(4, *longer)).shape == (4, 2, *shape)
    assert (module.input_shape, module.output_shape) == (row.shape, shape)
    assert list(map(id, module.parameters())) == parameters
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)


def test_build_for_other_sizes_is_refused() -> None:
    for module, name in ((Scale(), "Scale"), (Linear(2), "Linear"),
                         (Sequential(Tanh(), Linear(2)), "Linear")):
        module.build((3,))
        with pytest.raises(ValueError, match=rf"{name}\(.*(expects 3 features|built for inputs)"):
            module.build((4,))
        assert module.input_shape == (3,)


def test_the_body_of_build_runs_once_also_below_super() -> None:
    built = []

    class Doubled(Scale):
        def build(self, shape: tuple[int, ...]) -> tuple[int, ...]:
            built.append(shape)
            return (*super().build(shape)[:-1], 2 * shape[-1])

    module = Doubled()
    assert module.build((3,)) == module.build((3,)) == (6,)
    assert built == [(3,)] and module.input_shape == (3,) and module.output_shape == (6,)
    assert module.build((5, 3)) == (5, 6) and module.output_shape == (6,)


def test_a_build_that_fails_may_be_tried_again() -> None:
    linear = Linear(2, 4)
    with pytest.raises(ValueError, match="expects 2 features"):
        linear.build((3,))
    assert not linear.built and linear.build((2,)) == (4,)


def test_calling_builds_and_forward_alone_says_how() -> None:
    linear = Linear(3)
    with pytest.raises((RuntimeError, AttributeError), match=r"built.* [Cc]all build\(shape\)"):
        linear.forward(torch.ones(1, 2))
    assert linear(torch.ones(1, 2)).shape == (1, 3)


def test_every_public_method_is_documented() -> None:
    methods = [value for name, value in vars(Module).items()
               if inspect.isfunction(value) and not name.startswith("_")]
    assert all(inspect.getdoc(method) for method in methods)
