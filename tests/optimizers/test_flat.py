"""FlatParameters: all parameters in one vector, each on a cache line, never cut loose from it."""

import copy
from itertools import pairwise

import pytest
import torch

from kerasish import Parameter
from kerasish.optimizers import FlatParameters, flatten


def some(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Parameter]:
    """Parameters filled with 1, 2, 3 and so on; every second one is not under weight decay."""
    return [Parameter(torch.full(shape, i + 1.0, dtype=dtype), decay=i % 2 == 0)
            for i, shape in enumerate(shapes)]


SHAPES = [(3, 5), (3,), (1, 3), (1,), (16,), (2, 2, 2), (0,), ()]
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])


@every_dtype
def test_parameters_become_views_and_keep_values_and_gradients(dtype: torch.dtype) -> None:
    parameters = some(*SHAPES, dtype=dtype)
    for i, parameter in enumerate(parameters):
        parameter.grad += 10.0 * i
    before = [(p.data.clone(), p.grad.clone()) for p in parameters]
    flat = FlatParameters(parameters)
    for parameter, (data, grad) in zip(parameters, before, strict=True):
        assert torch.equal(parameter.data, data) and torch.equal(parameter.grad, grad)
        start, size = flat.offsets[parameter], data.numel()
        assert torch.equal(flat.data[start : start + size], data.flatten())
        assert torch.equal(flat.grad[start : start + size], grad.flatten())
        assert parameter.flat is flat
    flat.data.fill_(7)
    flat.grad.fill_(8)
    assert all((p.data == 7).all() and (p.grad == 8).all() for p in parameters)


@every_dtype
def test_each_parameter_starts_on_a_cache_line(dtype: torch.dtype) -> None:
    parameters = some(*SHAPES, dtype=dtype)
    flat = FlatParameters(parameters)
    for parameter in parameters:
        assert flat.offsets[parameter] * dtype.itemsize % 64 == 0
        if parameter.data.numel():
            assert parameter.data.data_ptr() % 64 == parameter.grad.data_ptr() % 64 == 0
    assert flat.data.numel() * dtype.itemsize % 64 == 0


def test_parameters_under_weight_decay_come_first() -> None:
    parameters = some(*SHAPES)
    flat = FlatParameters(parameters)
    expected = [p for p in parameters if p.decay] + [p for p in parameters if not p.decay]
    assert flat.parameters == expected == sorted(expected, key=flat.offsets.get)


def test_gaps_hold_zeros() -> None:
    parameters = some(*SHAPES)
    flat = FlatParameters(parameters)
    for vector in (flat.data, flat.grad):
        vector = vector.clone()
        for p in parameters:
            vector[flat.offsets[p] : flat.offsets[p] + p.data.numel()] = 0
        assert not vector.any()


def test_writing_into_a_parameter_writes_into_the_vector() -> None:
    (parameter,) = some((2, 3))
    flat = FlatParameters([parameter])
    data, grad, vector = parameter.data, parameter.grad, flat.data
    parameter.data = torch.full((2, 3), 5.0)
    parameter.grad = torch.full((2, 3), 6.0, dtype=torch.float64)
    assert (flat.data[:6] == 5).all() and (flat.grad[:6] == 6).all()
    parameter.data += 1
    parameter.grad *= 2
    assert (flat.data[:6] == 6).all() and (flat.grad[:6] == 12).all()
    assert parameter.data is data and parameter.grad is grad and flat.data is vector
    assert torch.equal(parameter.data_t, parameter.data.t())
    assert parameter.data_t.data_ptr() == parameter.data.data_ptr() == flat.data.data_ptr()


def test_a_parameter_that_comes_twice_is_laid_down_once() -> None:
    parameter, other = some((16,), (16,))
    flat = FlatParameters([parameter, other, parameter])
    assert flat.parameters == [parameter, other] and flat.data.numel() == 32


def test_a_parameter_lies_in_one_vector_only() -> None:
    parameters = some((3,), (4,))
    FlatParameters(parameters[:1])
    with pytest.raises(ValueError, match="lie in no other flat vector"):
        FlatParameters(parameters)
    assert parameters[1].flat is None


def test_one_vector_holds_one_type() -> None:
    mixed = [*some((3,)), *some((3,), dtype=torch.float64)]
    with pytest.raises(ValueError, match=r"of one device and type.*got 2 parameters of 2 kinds"):
        FlatParameters(mixed)
    assert all(p.flat is None for p in mixed)


def test_no_parameters_need_no_vector() -> None:
    with pytest.raises(ValueError, match="got 0 parameters"):
        FlatParameters([])
    assert flatten([]) == []


def test_flatten_makes_a_vector_for_each_type_and_keeps_what_lies() -> None:
    single, double = some((3,), (4,)), some((3,), (4,), dtype=torch.float64)
    (first,) = flatten(single[:1])
    flats = flatten([*double, *single])
    assert len(flats) == 3 and first in flats and single[0].flat is first
    assert {flat.data.dtype for flat in flats} == {torch.float32, torch.float64}
    assert flatten([*double, *single]) == flats


def test_a_copy_of_a_parameter_lies_in_no_vector() -> None:
    (parameter,) = some((2, 3))
    flat = FlatParameters([parameter])
    twin = copy.deepcopy(parameter)
    twin.data += 1
    assert twin.flat is None and (flat.data[:6] == 1).all()


# ---- runs -----------------------------------------------------------------------------------


def covered(flat: FlatParameters, runs: list[slice]) -> list[Parameter]:
    """The parameters that start inside the runs."""
    starts = [i for run in runs for i in range(run.start, run.stop)]
    return [p for p in flat.parameters if flat.offsets[p] in starts]


def test_all_parameters_are_one_run() -> None:
    flat = FlatParameters(some((3, 5), (3,), (1, 3)))
    assert flat.runs(flat.parameters) == [slice(0, flat.data.numel())]
    assert flat.runs([]) == []


def test_runs_cover_the_wanted_parameters_and_no_others() -> None:
    flat = FlatParameters(some((3, 5), (3,), (1, 3), (1,), (20,)))
    for mask in range(2**5):
        wanted = {p for i, p in enumerate(flat.parameters) if mask >> i & 1}
        runs = flat.runs(wanted)
        assert set(covered(flat, runs)) == wanted
        assert all(a.stop < b.start for a, b in pairwise(runs))  # the fewest
        kept = flat.data.clone()
        for run in runs:
            kept[run] = -1
        for p in flat.parameters:
            place = slice(flat.offsets[p], flat.offsets[p] + p.data.numel())
            assert ((kept[place] == -1) == (p in wanted)).all()


def test_runs_of_parameters_that_lie_elsewhere_are_none() -> None:
    flat = FlatParameters(some((3,)))
    assert flat.runs(some((3,))) == []


def test_freezing_moves_no_offset() -> None:
    parameters = some((3, 5), (3,), (1, 3))
    flat = FlatParameters(parameters)
    offsets = dict(flat.offsets)
    parameters[0].trainable = False
    assert flat.offsets == offsets and parameters[0].data.data_ptr() == flat.data.data_ptr()


def test_vectors_made_in_inference_mode_may_be_written_to_outside() -> None:
    parameters = some((3,), (4,))
    with torch.inference_mode():
        flat = FlatParameters(parameters)
    for tensor in (flat.data, flat.grad, *(p.data for p in parameters)):
        assert not tensor.is_inference()
