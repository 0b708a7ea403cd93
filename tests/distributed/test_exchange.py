"""What processes send each other: in which order, how much, and who updates what."""

import json
from itertools import pairwise
from typing import Any

import pytest
import torch

from kerasish import Model
from kerasish.distributed import Exchange
from kerasish.layers import Linear, Tanh
from kerasish.optimizers import LAMB, SGD, Adam
from kerasish.parameter import Parameter
from tests.distributed.test_together import launched


class Fake:
    """A group that writes down what it is asked to send."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.sent: list[tuple[int, int | None]] = []

    def sum(self, tensor: Any, owner: int | None) -> None:
        self.sent.append((tensor.numel(), owner))

    def give(self, tensor: Any, owner: int) -> None:
        self.sent.append((-tensor.numel(), owner))

    def wait_for(self, works: Any) -> None:
        self.sent.append((0, len(list(works))))


def large_and_small(optimizer: Any) -> tuple[list[Parameter], Any]:
    """Two weights of 2 MB and a small one between them, and a bias each."""
    sizes = [(1024, 512), (10, 512), (1024, 512)]
    weights = [Parameter(torch.zeros(size)) for size in sizes]
    biases = [Parameter(torch.zeros(size[0]), decay=False) for size in sizes]
    optimizer.build([each for pair in zip(weights, biases, strict=True) for each in pair])
    return [*weights, *biases], optimizer


def exchanging(rank: int, size: int, optimizer: Any, divided: bool) -> tuple[Any, Fake, Any]:
    parameters, optimizer = large_and_small(optimizer)
    group: Any = Fake(rank, size)
    exchange = Exchange(group, optimizer, divided)
    optimizer.share_with(exchange)
    return parameters, group, exchange


LARGE, SMALL = 1024 * 512, 10 * 512


def test_parts_are_sent_in_one_order_as_soon_as_they_are_complete() -> None:
    (first, second, third, *_), group, exchange = exchanging(0, 2, Adam(), divided=False)
    exchange.complete(third)
    assert group.sent == [(LARGE, None)]
    exchange.complete(first)  # sooner than the small one: it waits
    assert len(group.sent) == 1
    exchange.complete(second)
    assert group.sent[1:] == [(LARGE + SMALL, None)]
    exchange.add_up()
    assert group.sent[2:] == [(1024 + 16 + 1024, None), (0, 3)]
    exchange.settle()  # the update comes: nothing is sent twice
    assert len(group.sent) == 4
    exchange.settle()  # the next step, in which nothing was complete early
    assert group.sent[4:] == [*group.sent[:3], (0, 3)]


def test_a_gradient_after_it_was_sent_is_refused() -> None:
    (*_, third, _, _, _), _, exchange = exchanging(0, 2, Adam(), divided=False)
    exchange.begin(third)
    exchange.complete(third)
    with pytest.raises(RuntimeError, match="expects a module to go back as often as"):
        exchange.begin(third)


def test_what_is_frozen_is_not_sent() -> None:
    (_, *others), group, exchange = exchanging(0, 2, Adam(), divided=False)
    for each in others:
        each.trainable = False
    exchange.settle()
    assert group.sent == [(LARGE, None), (0, 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_shares_cover_everything_once(size: int) -> None:
    shares = []
    for rank in range(size):
        _, _, exchange = exchanging(rank, size, Adam(), divided=True)
        (share,) = exchange._optimizer.shares.values()
        shares.append(share)
    (flat,) = exchange._optimizer.flats
    assert shares[0].start == 0 and shares[-1].stop == len(flat.data)
    assert all(one.stop == other.start for one, other in pairwise(shares))
    assert all(share.start % 16 == 0 for share in shares)
    largest = max(share.stop - share.start for share in shares)
    assert largest <= len(flat.data) / size + 16
    (slots,) = exchange._optimizer.state.values()
    assert {len(slot) for slot in slots.values()} == {share.stop - share.start}


@pytest.mark.parametrize("optimizer", [lambda: LAMB(), lambda: SGD(0.1, clipnorm=1.0)])
def test_what_needs_whole_parameters_gets_them(optimizer: Any) -> None:
    for rank in range(3):
        _, _, exchange = exchanging(rank, 3, optimizer(), divided=True)
        ((flat, share),) = exchange._optimizer.shares.items()
        edges = {0, len(flat.data), *flat.offsets.values()}
        assert {share.start, share.stop} <= edges


def test_divided_each_process_gets_the_sums_of_its_share_and_gives_the_weights() -> None:
    _, group, exchange = exchanging(0, 2, Adam(), divided=True)
    exchange.settle()
    size = 2 * LARGE + SMALL + 1024 + 16 + 1024
    sums = [each for each in group.sent if each[0] > 0]
    assert {owner for _, owner in sums} == {0, 1}
    for owner in (0, 1):
        assert abs(sum(n for n, who in sums if who == owner) - size / 2) <= 16
    group.sent.clear()
    exchange.spread()
    assert group.sent == [*((-n, owner) for n, owner in sums), (0, len(sums))]
    exchange.everywhere = True
    group.sent.clear()
    exchange.settle()
    assert {owner for n, owner in group.sent if n} == {None}


def test_the_plan_prints_as_a_table() -> None:
    model = Model(Linear(512), Tanh(), Linear(512), Tanh(), Linear(10), device="cpu")
    with pytest.raises(RuntimeError, match="communication_plan expects a model that is compiled"):
        model.communication_plan()
    model.compile("adam", "cross_entropy")
    model.build((784,))
    plan = model.communication_plan()
    assert repr(plan) == "<CommunicationPlan of 3 parts: 2.68 MB>"
    assert [(part.after, part.parameters) for part in plan.parts] == [
        ("2.weight", 2), ("0.weight", 1), ("0.bias", 3)]
    assert plan.parts[1].bytes == 784 * 512 * 4 and plan.optimizer == 2 * plan.bytes
    told = str(plan).splitlines()
    assert told[0] == ("One process sends nothing; several would add up gradients while backward "
                       "goes on, in this order:")
    assert told[5].split() == ["2", "0.weight", "1", "1.61", "MB", "all"]
    model.compile(Adam(gradient_accumulation_steps=2), "cross_entropy")
    assert not model.communication_plan().early


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sharing")
    done = launched(2, ["-m", "tests.distributed.sharing", str(folder)])
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)], folder


def test_most_is_sent_while_backward_goes_on(sharing: Any) -> None:
    for found in sharing[0]:
        assert found["sent early"] == found["parts"] == 3


def test_the_optimizer_takes_half_the_memory(sharing: Any) -> None:
    for found in sharing[0]:
        assert found["optimizer"] == pytest.approx(found["optimizer alone"] / 2, rel=0.01)
        assert found["planned"] == found["optimizer"]


def test_hooks_see_the_gradients_of_all_processes(sharing: Any) -> None:
    for way in ("data", "zero"):
        one, other = (found[f"norms, {way}"] for found in sharing[0])
        assert one == other
        assert one == pytest.approx(sharing[0][0]["norms, alone"], rel=1e-12)


def test_a_file_of_divided_processes_is_that_of_one(sharing: Any) -> None:
    found, folder = sharing
    assert found[0]["files"] == ["alone.safetensors", "data.safetensors", "zero.safetensors"]
    models = {way: Model.load(folder / f"{way}.safetensors", device="cpu")
              for way in ("alone", "data", "zero")}
    wanted = models["alone"].optimizer.state_dict()["slots"]
    for way in ("data", "zero"):
        slots = models[way].optimizer.state_dict()["slots"]
        for name, values in wanted.items():
            for value, other in zip(values, slots[name], strict=True):
                torch.testing.assert_close(other, value, rtol=1e-12, atol=1e-12)


def test_what_cannot_be_saved_fails_in_all_processes(sharing: Any) -> None:
    for found in sharing[0]:
        assert "ModelCheckpoint could not save" in found["failure"]


def test_what_callbacks_say_is_said_once(sharing: Any) -> None:
    assert [found["said"] for found in sharing[0]] == [1, 0]
