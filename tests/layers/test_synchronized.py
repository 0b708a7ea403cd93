"""Batch norms that are synchronized: processes with rows of one batch have its statistics."""

import copy
import pickle
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import Sequential
from kerasish.containers import Recompute
from kerasish.export import to_torch
from kerasish.joint import jointly
from kerasish.layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, Linear
from kerasish.module import Module
from kerasish.trees import leaves


class Meeting:
    """Adds up over threads that stand for processes."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier = size, threading.Barrier(size, timeout=20)
        self.given: dict[int, list[Tensor]] = {}
        self.sums = 0

    def adder(self, rank: int) -> Callable[[Iterable[Tensor]], None]:
        def add_up(tensors: Iterable[Tensor]) -> None:
            mine = list(tensors)
            self.given[rank] = [each.clone() for each in mine]
            self.barrier.wait()
            for place, tensor in enumerate(mine):
                tensor.copy_(sum(self.given[r][place] for r in range(self.size)))
            self.sums += rank == 0
            self.barrier.wait()
        return add_up

    def of(self, work: Callable[[int], Any]) -> list[Any]:
        """What each answers, or raises."""
        answers: list[Any] = [None] * self.size

        def run(rank: int) -> None:
            try:
                with jointly(self.adder(rank), self.size):
                    answers[rank] = work(rank)
            except Exception as error:
                answers[rank] = error
                if not isinstance(error, ValueError):
                    self.barrier.abort()

        threads = [threading.Thread(target=run, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return answers


def went(module: Module, x: Tensor, dy: Tensor, **more: Any) -> dict[str, Any]:
    """Forward and back; all that comes of it."""
    y = module(x)
    dx = module.backward(dy, **more)
    return {"y": y, "dx": dx, **{path: p.grad for path, p in module.named_parameters()},
            **dict(module.named_buffers())}


def parts_of(x: Tensor, rows: list[int]) -> list[Tensor]:
    return list(x.split_with_sizes(rows))


def require_equal_to_one(
    make: Callable[[], Module], x: Tensor, dy: Tensor, rows: list[int], tolerance: float = 1e-12
) -> None:
    """What processes with so many rows each compute is what one with all of them does."""
    alone, parts, back = make(), parts_of(x, rows), parts_of(dy, rows)
    modules = [copy.deepcopy(alone) for _ in rows]
    wanted = went(alone, x, dy)
    found = Meeting(len(rows)).of(lambda rank: went(modules[rank], parts[rank], back[rank]))
    for each in found:
        assert isinstance(each, dict), each
    for name, value in wanted.items():
        if name in ("y", "dx"):
            got = torch.cat([each[name] for each in found])
        elif name.endswith(("weight", "bias")):
            got = sum(each[name] for each in found)
        else:
            got = found[0][name]
            assert all(torch.equal(each[name], got) for each in found), name
        torch.testing.assert_close(got, value, rtol=tolerance, atol=tolerance, msg=name)


def made(norm: Module, shape: tuple[int, ...]) -> Callable[[], Module]:
    def make() -> Module:
        module = copy.deepcopy(norm).to(torch.float64)
        module.build(shape)
        for number, parameter in enumerate(module.parameters()):
            noise = torch.Generator().manual_seed(number)
            parameter.data = torch.randn(parameter.shape, generator=noise)
        return module.to(torch.float64)
    return make


def drawn(*shape: int, mean: float = 3.0) -> tuple[Tensor, Tensor]:
    x = torch.randn(*shape, dtype=torch.float64) * 2 + mean
    return x, torch.randn(*shape, dtype=torch.float64)


NORMS: dict[str, tuple[Module, tuple[int, ...]]] = {
    "features": (BatchNorm1d(synchronized=True), (3,)),
    "sequences": (BatchNorm1d(synchronized=True, momentum=0.7), (3, 5)),
    "images": (BatchNorm2d(synchronized=True, eps=1e-3), (3, 4, 5)),
    "volumes, averaging": (BatchNorm3d(synchronized=True, momentum=None), (2, 2, 1, 3)),
    "without parameters": (BatchNorm2d(synchronized=True, affine=False), (3, 4, 4)),
    "without bias": (BatchNorm2d(synchronized=True, bias=False), (3, 4, 4)),
    "without statistics": (BatchNorm1d(synchronized=True, track_running_stats=False), (3,)),
    "without anything": (
        BatchNorm1d(synchronized=True, affine=False, track_running_stats=False), (3,)),
}
ROWS = {"even": [4, 4], "uneven": [4, 4, 1], "none": [5, 5, 0], "all in one": [0, 9],
        "one each": [1, 1]}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(("norm", "shape"), NORMS.values(), ids=NORMS)
def test_processes_with_rows_each_compute_what_one_with_all_does(
    norm: Module, shape: tuple[int, ...], rows: list[int]
) -> None:
    require_equal_to_one(made(norm, shape), *drawn(sum(rows), *shape), rows)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    make, rows = made(BatchNorm2d(synchronized=True, eps=0), (2, 3, 3)), [3, 2, 0, 4]
    require_equal_to_one(make, *drawn(9, 2, 3, 3, mean=1e6), rows, 1e-8)


def test_images_that_lie_channels_last_and_large_ones() -> None:
    x, dy = drawn(10, 4, 64, 64)
    x = x.contiguous(memory_format=torch.channels_last)
    require_equal_to_one(made(BatchNorm2d(synchronized=True), (4, 64, 64)), x, dy, [6, 4])


def test_a_channel_of_one_value_without_eps_is_centred_and_not_divided() -> None:
    x, dy = drawn(6, 2)
    x[:, 0] = 5.0
    require_equal_to_one(made(BatchNorm1d(synchronized=True, eps=0), (2,)), x, dy, [4, 2])


def test_within_recompute_all_processes_go_forward_twice() -> None:
    make = made(Recompute(BatchNorm1d(synchronized=True)), (3,))
    require_equal_to_one(make, *drawn(5, 3), [3, 2])


def test_evaluation_by_running_statistics_needs_no_one_else() -> None:
    module, meeting = made(BatchNorm1d(synchronized=True), (3,))(), Meeting(2)
    module.eval()
    x, dy = drawn(4, 3)
    plain = went(copy.deepcopy(module), x, dy)
    found = meeting.of(lambda rank: went(copy.deepcopy(module), x, dy) if rank else None)
    assert torch.equal(found[1]["y"], plain["y"]) and torch.equal(found[1]["dx"], plain["dx"])
    module.train().trainable = False
    assert torch.equal(meeting.of(lambda rank: rank and module(x))[1], plain["y"])
    assert meeting.of(lambda rank: rank and went(module, x[:0], dy[:0]))[1]["y"].shape == (0, 3)
    assert not meeting.sums


def test_an_evaluation_that_waits_for_its_backward_keeps_the_statistics_it_saw() -> None:
    modules = [made(BatchNorm1d(synchronized=True), (3,))() for _ in range(2)]
    x, dy = drawn(4, 3)
    wanted = went(copy.deepcopy(modules[0]).eval(), x, dy)["dx"]

    def work(rank: int) -> Tensor:
        modules[rank].eval()(x)
        went(modules[rank].train(), x, dy)
        return modules[rank].backward(dy)

    assert all(torch.equal(each, wanted) for each in Meeting(2).of(work))


def test_dx_is_written_over_dy_where_that_is_granted() -> None:
    modules = [made(BatchNorm1d(synchronized=True), (3,))() for _ in range(2)]
    x, dy = drawn(4, 3)
    for granted in (True, False):
        given = [dy.clone() for _ in modules]
        found = Meeting(2).of(lambda rank, given=given, granted=granted: went(
            modules[rank], x, given[rank], overwrite=granted)["dx"])
        assert (found[0] is given[0]) == granted and torch.equal(given[0], dy) != granted


def test_one_alone_is_the_plain_layer_to_the_bit() -> None:
    x, dy = drawn(6, 3, 4, 4)
    plain = went(made(BatchNorm2d(), (3, 4, 4))(), x, dy)

    def refuse(tensors: Iterable[Tensor]) -> None:
        raise AssertionError("nobody else is there")

    for processes in (0, 1):
        module = made(BatchNorm2d(synchronized=True), (3, 4, 4))()
        if processes:
            with jointly(refuse, processes):
                found = went(module, x, dy)
        else:
            found = went(module, x, dy)
        assert all(torch.equal(found[name], value) for name, value in plain.items())


def test_without_synchronized_nobody_is_asked() -> None:
    meeting, x = Meeting(2), drawn(4, 3)[0]
    module = made(BatchNorm1d(), (3,))()
    found = meeting.of(lambda rank: rank and module(x))
    assert torch.equal(found[1], made(BatchNorm1d(), (3,))()(x))
    assert meeting.of(lambda rank: rank and module(x[:0]))[1].shape == (0, 3) and not meeting.sums


def test_sums_over_processes_are_two_forward_and_one_back_where_dx_is_wanted() -> None:
    for need_dx, wanted in ((True, 3), (False, 2)):
        meeting, (x, dy) = Meeting(2), drawn(4, 3)
        modules = [made(BatchNorm1d(synchronized=True), (3,))() for _ in range(2)]
        meeting.of(lambda rank, need_dx=need_dx, modules=modules, x=x, dy=dy: went(
            modules[rank], x, dy, need_dx=need_dx))
        assert meeting.sums == wanted


def test_what_is_saved_is_x_and_a_few_numbers_a_channel() -> None:
    x, modules = drawn(8, 3, 4, 4)[0], [made(NORMS["images"][0], (3, 4, 4))() for _ in range(2)]
    Meeting(2).of(lambda rank: modules[rank](x))
    (saved,) = modules[0]._saved
    assert saved[0] is x
    assert sum(part.numel() for part in leaves(saved[1:])) == 2 * 3 + 1


def test_one_value_a_channel_in_all_processes_together_is_refused_by_all_of_them() -> None:
    x, _ = drawn(1, 3)
    modules = [made(BatchNorm1d(synchronized=True), (3,))() for _ in range(3)]
    found = Meeting(3).of(lambda rank: modules[rank](x[: rank == 0]))
    assert all(isinstance(each, ValueError) for each in found)
    assert "expects more than 1 value per channel in training; got x of shape (0, 3)" in str(
        found[2])


def test_a_backward_without_the_others_is_refused() -> None:
    x, dy = drawn(4, 3)
    modules = [made(BatchNorm1d(synchronized=True), (3,))() for _ in range(2)]
    Meeting(2).of(lambda rank: modules[rank](x))
    with pytest.raises(RuntimeError, match=r"BatchNorm1d\(synchronized=True\)\.backward\(\) "
                                           r"expects the processes .* none\. Go back by Model"):
        modules[0].backward(dy)


def test_bfloat16_counts_and_adds_in_float32() -> None:
    """Of 1,000 values a channel: 1,000 has no bfloat16, and neither has the mean."""
    x = (torch.randn(1000, 3) + 30).bfloat16()
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 1e-2)):
        modules = [BatchNorm1d(3, synchronized=True, dtype=dtype) for _ in range(2)]
        for module in modules:
            module.build((3,))
        parts = parts_of(x, [600, 400])
        meeting = Meeting(2)
        found = meeting.of(lambda rank, modules=modules, parts=parts: went(
            modules[rank], parts[rank], parts[rank]))
        assert meeting.given[0][0].dtype == torch.float32  # the sums of backward
        exact = made(BatchNorm1d(synchronized=True), (3,))()
        exact(x.double())
        assert found[0]["y"].dtype == found[0]["dx"].dtype == torch.bfloat16
        for name, value in exact.named_buffers():
            torch.testing.assert_close(found[0][name].to(value.dtype), value, rtol=tolerance,
                                       atol=tolerance)


def test_copies_files_and_exports_know_the_setting_and_no_process() -> None:
    net = Sequential(Linear(4), BatchNorm1d(synchronized=True))
    net.build((3,))
    norm = net.layers[1]
    assert norm.get_config() == {"synchronized": True}
    assert repr(norm) == "BatchNorm1d(synchronized=True)"
    with jointly(lambda tensors: None, 2):
        net(torch.randn(4, 3))
        for twin in (copy.deepcopy(norm), copy.copy(norm), pickle.loads(pickle.dumps(norm))):
            assert twin.synchronized
    assert type(to_torch(net, check=False)[1]) is torch.nn.BatchNorm1d


def test_synchronized_is_a_truth_value() -> None:
    with pytest.raises(ValueError, match=r"BatchNorm1d\(synchronized\) expects True or False; got"):
        BatchNorm1d(synchronized="yes")  # type: ignore[arg-type]
