"""The proof of every exported module, row by row of the table."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kerasish import containers, layers
from kerasish.containers import Sequential
from kerasish.gradcheck import check_gradients
from kerasish.layers import Linear
from kerasish.module import Module
from kerasish.trees import batch_size, leaves, mapped, shape_of
from tests.table import MODULES, Row, seeded, tree_of

every_module = pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)
every_module_with_parameters = pytest.mark.parametrize(
    "row", [row for row in MODULES if any(row.built().parameters())], ids=lambda row: row.id
)
every_module_of_a_chain = pytest.mark.parametrize(
    "row", [row for row in MODULES if row.chains], ids=lambda row: row.id
)
Run = dict[str, Tensor]


def run(module: Module, x: Any, dy: Any, seed: int = 0) -> Run:
    """One forward and one backward: y, dx and all gradients by name."""
    with seeded(seed):
        y = module.forward(x)
    y_then = named("y", y)
    dx = module.backward(dy)
    return y_then | named("dx", dx) | gradients(module)


def run_twin(twin: nn.Module, x: Any, dy: Any, seed: int = 0) -> Run:
    """The same with torch.nn and autograd."""
    x = cloned(x)
    given = [part.requires_grad_() for part in leaves(x) if part.is_floating_point()]
    twin.zero_grad()
    with seeded(seed):
        y = twin(*x) if isinstance(x, tuple) else twin(x)
    torch.autograd.backward(list(leaves(y)), list(leaves(dy)))
    for part in (*given, *twin.parameters()):
        part.grad = torch.zeros_like(part) if part.grad is None else part.grad
    return named("y", y) | named("dx", mapped(lambda part: part.grad, x)) | {
        name: p.grad for name, p in twin.named_parameters()}


def named(name: str, tree: Any) -> Run:
    """Copies of the tensors of a tree: the one, or each with its place."""
    if isinstance(tree, Tensor):
        return {name: tree.detach().clone()}
    parts = [] if tree is None else tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {k: v for key, part in parts for k, v in named(f"{name}.{key}", part).items()}


def cloned(tree: Any) -> Any:
    return mapped(torch.clone, tree)


def equal(first: Any, second: Any) -> bool:
    """Whether two trees, or two runs, hold the same numbers to the bit."""
    first, second = named("", first), named("", second)
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items())


def part_of(results: Run, *names: str) -> Run:
    """What belongs to y or dx."""
    return {name: value for name, value in results.items() if name.split(".")[0] in names}


def gradients(module: Module) -> Run:
    return {name: p.grad.clone() for name, p in module.named_parameters()}


def twin_of(row: Row, module: Module) -> nn.Module:
    dtype = next((p.data.dtype for p in module.parameters()), torch.float64)
    twin = row.twin().to(dtype)
    twin.load_state_dict(module.state_dict())
    return twin


def assert_close(got: Run, expected: Run, share: float = 1e-10) -> None:
    """The same names, and numbers that differ by less than a share of each tensor's scale."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        scale = value.nan_to_num(0, 0, 0).abs().amax().item() if value.numel() else 0
        torch.testing.assert_close(got[name], value, rtol=0, atol=share * scale, equal_nan=True,
                                   msg=lambda text, name=name: f"{name}: {text}")


# ---- 1: finite differences ------------------------------------------------------------------


@every_module
def test_gradients_match_finite_differences(row: Row) -> None:
    check_gradients(row.built(), row.x())


@every_module_of_a_chain
def test_gradients_match_finite_differences_between_two_modules(row: Row) -> None:
    with seeded(3):
        net = Sequential(Linear(row.shape[-1]), row.make(), Linear(2))
        net.build(row.shape)
    check_gradients(net, row.x())


@every_module
def test_gradients_match_finite_differences_in_evaluation(row: Row) -> None:
    check_gradients(row.built().eval(), row.x())


# ---- 2: torch.nn and autograd ---------------------------------------------------------------


@pytest.mark.parametrize("batch", [4, 70])
@every_module
def test_numbers_match_torch_in_float64(row: Row, batch: int) -> None:
    module, x, dy = row.built(), row.x(batch), row.dy(batch)
    assert_close(run(module, x, dy), run_twin(twin_of(row, module), x, dy))


def doubled(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("batch", [4, 500])
@every_module
def test_numbers_in_float32_are_as_exact_as_those_of_torch(row: Row, batch: int) -> None:
    module, dtype = row.built(torch.float32), torch.float32
    x, dy = row.x(batch, dtype=dtype), row.dy(batch, dtype=dtype)
    exact = run_twin(twin_of(row, module).double(), mapped(doubled, x), mapped(doubled, dy))
    theirs, ours = run_twin(twin_of(row, module).float(), x, dy), run(module, x, dy)
    for name, value in exact.items():
        assert ours[name].dtype == dtype
        ulp = torch.finfo(dtype).eps * value.abs().amax()
        allowed = 2 * (theirs[name] - value).abs().amax() + 4 * ulp
        assert (ours[name] - value).abs().amax() <= allowed, name


@every_module
def test_numbers_match_torch_in_evaluation(row: Row) -> None:
    module = row.built().eval()
    twin = twin_of(row, module).eval()
    assert_close(run(module, row.x(), row.dy()), run_twin(twin, row.x(), row.dy()))


# ---- 3: shapes and states -------------------------------------------------------------------


@every_module
def test_build_answers_the_shape_of_the_output(row: Row) -> None:
    module = row.make()
    shape = module.build(row.shape)
    for y in (module.forward(row.x(dtype=torch.float32)),
              row.make()(row.x(dtype=torch.float32))):
        assert mapped(lambda part: tuple(part.shape), y) == tree_of(
            lambda shape, seed: (4, *shape), shape, 0)
    assert (module.input_shape, module.output_shape) == (row.shape, shape)


@every_module
def test_states_go_to_torch_and_back(row: Row) -> None:
    module, other, x = row.built(seed=0).eval(), row.built(seed=1).eval(), row.x()
    twin = twin_of(row, module).eval()
    assert list(module.state_dict()) == list(twin.state_dict())
    assert [name for name, _ in module.named_parameters()] == [
        name for name, _ in twin.named_parameters()]
    y = twin(*x) if isinstance(x, tuple) else twin(x)
    assert_close(named("y", y), named("y", module(x)))
    other.load_state_dict(twin.state_dict())
    assert equal(other(x), module(x))


# ---- 4: accumulation ------------------------------------------------------------------------


def _moved(module: Module, row: Row) -> Module:
    return module.to(dtype=torch.float32).to(dtype=torch.float64)


def _reloaded(module: Module, row: Row) -> Module:
    other = row.built(seed=5)
    other.load_state_dict(module.state_dict())
    return other


AFTER: dict[str, Callable[[Module, Row], Module]] = {
    "as built": lambda module, row: module,
    "after to(dtype)": _moved,
    "after a state dict": _reloaded,
    "after deepcopy": lambda module, row: copy.deepcopy(module),
}


@every_module
def test_two_passes_add_up_to_twice_the_gradient(row: Row) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    once = run(module, x, dy)
    twice = run(module, x, dy)
    assert equal(part_of(twice, "y", "dx"), part_of(once, "y", "dx"))
    assert_close(gradients(module), {name: 2 * once[name] for name in gradients(module)}, 1e-14)


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@every_module_with_parameters
def test_a_module_used_three_times_gets_the_sum(row: Row, after: Callable[..., Module]) -> None:
    module = row.built()
    run(module, row.x(), row.dy())  # containers have bound what they bind
    module.zero_grad()
    module = after(module, row)
    xs, dys = [row.x(seed=s) for s in (1, 2, 3)], [row.dy(seed=s) for s in (4, 5, 6)]
    single = []
    for x, dy in zip(xs, dys, strict=True):
        module.zero_grad()
        run(module, x, dy)
        single.append(gradients(module))
    module.zero_grad()
    for x in xs:
        with seeded():
            module.forward(x)
    for dy in reversed(dys):
        module.backward(dy)
    expected = {name: sum(g[name] for g in single) for name in single[0]}
    assert_close(gradients(module), expected, 1e-14)


# ---- 5: the stack ---------------------------------------------------------------------------


@every_module
def test_two_forwards_pair_with_two_backwards_in_reverse(row: Row) -> None:
    module = row.built()
    first = run(module, row.x(seed=1), row.dy(seed=2), seed=1)
    second = run(module, row.x(3, seed=3), row.dy(3, seed=4), seed=2)
    with seeded(1):
        module.forward(row.x(seed=1))
    with seeded(2):
        module.forward(row.x(3, seed=3))
    assert equal(named("dx", module.backward(row.dy(3, seed=4))), part_of(second, "dx"))
    assert equal(named("dx", module.backward(row.dy(seed=2))), part_of(first, "dx"))
    assert not any(part._saved for part in module.modules())


@every_module
def test_backward_without_forward_names_the_module(row: Row) -> None:
    module = row.built()
    with pytest.raises(RuntimeError, match="no forward to go back through") as error:
        module.backward(row.dy())
    assert repr(module) in str(error.value)
    run(module, row.x(), row.dy())
    with pytest.raises(RuntimeError, match="no forward"):
        module.backward(row.dy())


@every_module
def test_unwind_takes_back_one_forward(row: Row) -> None:
    module = row.built()
    expected = run(module, row.x(), row.dy())
    module.zero_grad()
    with seeded():
        module.forward(row.x())
    module.forward(row.x(3))
    module.unwind()
    assert equal(named("dx", module.backward(row.dy())), part_of(expected, "dx"))
    assert not any(part._saved for part in module.modules())


@every_module
def test_unwind_with_nothing_to_take_back_does_nothing(row: Row) -> None:
    module = row.built()
    module.unwind()
    assert_close(run(module, row.x(), row.dy()), run(row.built(), row.x(), row.dy()))


# ---- 6: what goes in and out ----------------------------------------------------------------


@every_module
def test_inputs_and_outputs_are_left_alone(row: Row) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    before = cloned((x, dy))
    y = module.forward(x)
    y_before = cloned(y)
    dx = module.backward(dy)
    dx_before = cloned(dx)
    assert equal((x, dy), before) and equal(y, y_before)
    run(module, row.x(seed=7), row.dy(seed=8))
    assert equal(y, y_before) and equal(dx, dx_before) and equal((x, dy), before)


def _strided(x: Tensor) -> Tensor:
    """The same numbers: every other sample of a larger tensor with its axes laid down backwards."""
    backwards = range(x.dim() - 1, -1, -1)
    wide = x.repeat_interleave(2, 0).permute(*backwards).contiguous()
    return wide.permute(*backwards)[::2]


def _channels_last(x: Tensor) -> Tensor:
    """The same numbers as images usually lie for convolutions; others as they are."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats.get(x.dim(), torch.contiguous_format))


@pytest.mark.parametrize("lay", [_strided, _channels_last])
@every_module
def test_memory_layouts_do_not_matter(row: Row, lay: Callable[[Tensor], Tensor]) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    expected = run(module.eval(), x, dy)
    for laid_x, laid_dy in ((mapped(lay, x), mapped(lay, dy)), (x, mapped(lay, dy)),
                            (mapped(lay, x), dy)):
        module.zero_grad()
        assert_close(run(module, laid_x, laid_dy), expected)


@every_module
def test_a_gradient_that_is_one_number_everywhere_needs_no_memory(row: Row) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    everywhere = mapped(lambda part: part.flatten()[0].expand(part.shape), dy)  # strides of 0
    expected = run(module, x, mapped(Tensor.contiguous, everywhere))
    module.zero_grad()
    assert_close(run(module, x, everywhere), expected)


def _floats(change: Callable[[Tensor], Tensor]) -> Callable[[Row], Any]:
    return lambda row: mapped(
        lambda part: change(part) if part.is_floating_point() else part, row.x())


INPUTS: dict[str, Callable[[Row], Any]] = {
    "one sample": lambda row: row.x(1),
    "no sample": lambda row: row.x(0),
    "huge values": _floats(lambda x: x * 1e300),
    "tiny values": _floats(lambda x: x * 1e-300),
    "ties": _floats(torch.ones_like),
    "zeros": _floats(torch.zeros_like),
    "negative zeros": _floats(lambda x: -torch.zeros_like(x)),
    "infinities": _floats(lambda x: x / 0),
}


@pytest.mark.parametrize("what", INPUTS)
@every_module
def test_unusual_inputs_give_the_numbers_of_torch(row: Row, what: str) -> None:
    if what in row.differs:
        return
    module, x = row.built(), INPUTS[what](row)
    dy = row.dy(batch_size(x))
    assert_close(run(module, x, dy), run_twin(twin_of(row, module), x, dy))


# ---- 7: samples do not meet -----------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in MODULES if not row.mixes], ids=lambda row: row.id)
def test_a_sample_moves_its_own_row_alone(row: Row) -> None:
    module, x, dy = row.built(), row.x(), row.dy()
    others, other_x = [0, 1, 3], row.x(seed=9)
    for moved_x, moved_dy in ((1, 0), (0, 1), (1, 1)):
        before = run(module, x, dy)
        x2, dy2 = cloned(x), cloned(dy)
        for part, other in zip(leaves(x2), leaves(other_x), strict=True):
            if moved_x:
                part[2] = other[2]
        for part in leaves(dy2):
            part[2] += moved_dy
        after = run(module, x2, dy2)
        assert all(torch.equal(after[name][others], before[name][others])
                   for name in part_of(after, "y", "dx"))
        if moved_dy and row.id != "Dropout of everything" and part_of(after, "dx"):
            assert any(not torch.equal(after[name][2], before[name][2])
                       for name in part_of(after, "dx"))


# ---- 8: evaluation --------------------------------------------------------------------------


@every_module
def test_evaluation_writes_no_state_and_draws_no_random_numbers(row: Row) -> None:
    module = row.built().eval()
    module.forward(row.x())
    module.zero_grad()
    state, generator = module.state_dict(), torch.get_rng_state()
    attributes = [dict(vars(part)) for part in module.modules()]
    with module.inference():
        y = module.forward(row.x(seed=5))
        module.forward(row.x())
        assert equal(module.forward(row.x(seed=5)), y)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert [dict(vars(part)) for part in module.modules()] == attributes
    assert not any(part._saved for part in module.modules())


# ---- 9: not a number ------------------------------------------------------------------------


@every_module
def test_a_batch_of_nan_leaves_no_trace_after_zero_grad(row: Row) -> None:
    module = row.built()
    expected = run(module, row.x(), row.dy())
    module.zero_grad()
    nan = mapped(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x, row.x())
    run(module, nan, mapped(lambda dy: dy * torch.nan, row.dy()))
    module.forward(nan)  # and one step that failed half way
    module.zero_grad()
    assert not any(part._saved for part in module.modules())
    got = run(module, row.x(), row.dy())
    assert equal(got, expected)
    assert all(value.isfinite().all() for value in got.values())


# ---- 10: wrong gradients --------------------------------------------------------------------


class Broken(Module):
    """Passes x on, and from some time on a gradient of the wrong shape back."""

    formula = "y = x"
    backward_reads = frozenset()

    def __init__(self, change: Callable[[Tensor], Tensor], good_passes: int = 0) -> None:
        self.change, self.good_passes = change, good_passes

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward()
        return x.clone()

    def backward(self, dy: Tensor) -> Tensor:
        self.saved_tensors()
        self.good_passes -= 1
        return self.change(dy) if self.good_passes < 0 else dy


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "one feature too many": lambda dy: torch.cat([dy, dy[..., :1]], -1),
    "an axis too many": lambda dy: dy.unsqueeze(-1).repeat(*[1] * dy.dim(), 2),
    "too few samples": lambda dy: dy[1:],
    "one row for all": lambda dy: dy.sum(0, keepdim=True),
}
each_wrong_shape = pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)


@each_wrong_shape
@every_module
def test_a_gradient_of_the_wrong_shape_is_refused(row: Row, change: Callable[..., Tensor]) -> None:
    net = Sequential(row.built())
    net.build(row.shape)
    dy = mapped(change, row.dy())
    net.forward(row.x())
    with pytest.raises(ValueError, match=r"Sequential\.backward\(dy\) expects the shape") as error:
        net.backward(dy)
    assert str(tuple(shape_of(row.dy()))) in str(error.value)
    assert f"got {tuple(shape_of(dy))}" in str(error.value)


@pytest.mark.parametrize("good_passes", [0, 1])
@each_wrong_shape
@every_module_of_a_chain
def test_a_gradient_of_the_wrong_shape_between_modules_is_refused_in_its_place(
    row: Row, change: Callable[..., Tensor], good_passes: int
) -> None:
    net = Sequential(Sequential(row.make()), Broken(change, good_passes))
    net.build(row.shape)
    net.to(dtype=torch.float64)
    for _ in range(good_passes):
        run(net, row.x(), row.dy())
    net.forward(row.x())
    with pytest.raises(ValueError, match="expects") as error:
        net.backward(row.dy())
    blamed = net[0] if good_passes else net[1]
    assert error.value.__notes__ == [
        f"in layer {net.layers.index(blamed)} of Sequential, {blamed!r}"]
    assert str(tuple(row.dy().shape)) in str(error.value)


# ---- nobody is left out ---------------------------------------------------------------------


def test_every_exported_module_has_a_row() -> None:
    exported = {value for package in (layers, containers) for value in vars(package).values()
                if inspect.isclass(value) and issubclass(value, Module)}
    assert {getattr(package, name) for package in (layers, containers)
            for name in package.__all__ if name != "Input"} <= exported
    assert exported == {type(row.make()) for row in MODULES}


def test_rows_that_draw_random_numbers_say_so() -> None:
    for row in MODULES:
        assert not row.differs.keys() - INPUTS.keys(), row.id
        module = row.built()
        with seeded():
            before = torch.get_rng_state()
            module.forward(row.x())
            assert (not torch.equal(torch.get_rng_state(), before)) == row.random, row.id
