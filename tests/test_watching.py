"""Watch: it sees every call, changes no bit, and leaves nothing behind."""

import copy
from contextlib import nullcontext

import pytest
import torch

from kerasish import Model, Sequential, set_seed
from kerasish.containers import Add, Graph, Input, Residual
from kerasish.layers import Dropout, Linear, ReLU, Tanh
from kerasish.trees import leaves, mapped
from kerasish.watching import Watch
from tests.table import MODULES, seeded


def copied(tree):
    return mapped(torch.clone, tree)


class Calls(Watch):
    """Keeps the path, the direction and copies of what went in and out."""

    def __init__(self, module):
        super().__init__(module)
        self.seen = []

    def forward(self, place, x, call):
        y = call(x)
        self.seen.append((place.path, "forward", copied(x), copied(y)))
        return y

    def backward(self, place, dy, call):
        dx = call(dy)
        self.seen.append((place.path, "backward", copied(dy), dx))
        return dx


def deep_net():
    shared = Linear(3, 3)
    x = Input((3,))
    h = shared(x)
    graph = Graph(x, Add()((h, shared(h))))
    net = Sequential(Linear(3), ReLU(), Residual(Sequential(Linear(3), Tanh())), graph, ReLU())
    net.build((4,))
    return net


def results(net, watch=None):
    net.zero_grad()
    x = torch.linspace(-1, 1, 20).view(5, 4)
    if watch is not None:
        watch.start()
    y = net.forward(x)
    dx = net.backward(torch.linspace(-2, 1, 15).view(5, 3))
    if watch is not None:
        watch.stop()
    return [y, dx, *(parameter.grad.clone() for parameter in net.parameters())]


def test_every_module_is_seen_in_both_directions_and_in_order():
    net = deep_net()
    watch = Calls(net)
    results(net, watch)
    forth = [path for path, direction, *_ in watch.seen if direction == "forward"]
    back = [path for path, direction, *_ in watch.seen if direction == "backward"]
    assert forth == ["0", "1", "2.body.0", "2.body.1", "2.body", "2.shortcut", "2.merge", "2",
                     "3.0", "3.0", "3.1", "3", "4", ""]
    assert back == ["4", "3.1", "3.0", "3.0", "3", "2.merge", "2.shortcut", "2.body.1",
                    "2.body.0", "2.body", "2", "1", "0", ""]


def test_an_activation_is_seen_apart_from_the_layer_that_runs_its_kernel():
    net = Sequential(Linear(3, 3), ReLU())
    watch = Calls(net)
    net.build((3,))
    with watch:
        net.forward(torch.tensor([[1.0, -1.0, 2.0]]))
    linear, relu, _ = watch.seen
    assert torch.equal(linear[3].clamp(min=0), relu[3])
    assert not torch.equal(linear[3], relu[3])


def test_watched_results_are_the_same_to_the_bit():
    net = deep_net()
    before = results(net)
    watched = results(net, Watch(net))
    for one, other in zip(before, watched, strict=True):
        assert torch.equal(one, other)


def test_nothing_is_left_behind():
    net = deep_net()
    results(net)
    parts = list(net.modules())
    before = [(type(part), dict(vars(part))) for part in parts]
    watch = Watch(net)
    for _ in range(3):
        results(net, watch)
        assert [(type(part), vars(part)) for part in parts] == before
    with pytest.raises(ZeroDivisionError), watch:
        raise ZeroDivisionError
    assert [(type(part), vars(part)) for part in parts] == before


def test_a_watch_for_one_step_ends_by_itself():
    net = deep_net()
    watch = Calls(net)
    watch.start_for_one_step()
    results(net)
    count = len(watch.seen)
    assert count == len(set(watch.places)) * 2 + 2 and type(net) is Sequential
    results(net)
    assert len(watch.seen) == count
    watch.stop()  # twice is once


def test_a_watch_for_one_step_waits_for_all_its_backwards():
    net, x = deep_net(), torch.linspace(-1, 1, 20).view(5, 4)
    watch, dy = Calls(net), torch.linspace(-2, 1, 15).view(5, 3)
    net.zero_grad()
    watch.start_for_one_step()
    net.forward(x)
    net.forward(x)
    net.backward(dy)
    assert type(net) is not Sequential
    net.backward(dy)
    assert type(net) is Sequential and len(watch.seen) == 2 * (len(watch.places) * 2 + 2)


@pytest.mark.parametrize("first_ends_first", [True, False])
@pytest.mark.parametrize("part", [False, True], ids=["of the same net", "of a part of it"])
def test_watches_may_overlap_in_any_order(first_ends_first, part):
    net = deep_net()
    plain = results(net)
    before = [(type(each), dict(vars(each))) for each in net.modules()]
    for _ in range(2):  # what is kept from the first time is good the second time
        one, other = Calls(net), Calls(net.layers[2] if part else net)
        for _ in range(2):
            one.seen, other.seen = [], []
            one.start()
            other.start()
            both = results(net)
            (one if first_ends_first else other).stop()
            left = results(net)
            (other if first_ends_first else one).stop()
            assert [(type(each), vars(each)) for each in net.modules()] == before
            alone = results(net)
            for each in (both, left, alone):
                assert all(torch.equal(*pair) for pair in zip(plain, each, strict=True))
            counts = [len(each.seen) for each in (one, other)]
            single = [14 * 2, 6 * 2 if part else 14 * 2]
            twice = 1 if first_ends_first else 0
            assert counts[twice] == 2 * single[twice]
            assert counts[1 - twice] == single[1 - twice]


def test_a_watch_below_another_may_go_on_before_it_was_put_away():
    net = deep_net()
    one, other = Calls(net), Calls(net)
    one.start_for_one_step()
    other.start()
    results(net)
    one.start_for_one_step()
    results(net)
    results(net)
    assert len(one.seen) == 2 * 28 and len(other.seen) == 3 * 28
    other.stop()
    assert type(net) is Sequential


def test_frozen_and_thawed_parameters_are_respected_while_it_watches():
    net = deep_net()
    watch = Watch(net)
    with watch:
        net.layers[0].trainable = False
        results(net)
        assert not net.layers[0].weight.grad.any()
    net.layers[0].trainable = True
    results(net)
    assert net.layers[0].weight.grad.any()


def test_a_watch_within_itself_is_refused():
    watch = Watch(Linear(3))
    with watch, pytest.raises(RuntimeError, match=r"Watch expects to watch once at a time"):
        watch.start()


def test_training_under_a_watch_is_the_same_training():
    def trained(watched):
        set_seed(0)
        model = Model(Linear(8), ReLU(), Dropout(0.5), Linear(1))
        model.compile("adam", loss="mse")
        model.build((2,))
        x = torch.linspace(-1, 1, 40).view(20, 2)
        watch = Watch(model.module)
        if watched:
            watch.start()
        model.fit(x, x.sum(1), batch_size=4, epochs=2, verbose=0, seed=1)
        watch.stop()
        return model.module.state_dict()

    one, other = trained(False), trained(True)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_watched_module_can_still_be_asked_what_it_is():
    net = deep_net()
    with Watch(net):
        assert repr(net.layers[0]) == "Linear(3)" and isinstance(net.layers[0], Linear)
        assert type(net.layers[0]).__name__ == "Linear"
    assert copy.deepcopy(net).layers[0].built


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_watches_may_overlap_and_end_in_any_order(first_ends_first):
    net = deep_net()
    results(net)
    before = [(type(part), dict(vars(part))) for part in net.modules()]
    one, other = Calls(net), Calls(net.layers[2])
    one.start()
    other.start()
    expected = results(net)
    assert len(one.seen) > len(other.seen) > 0
    early, late = (one, other) if first_ends_first else (other, one)
    early.stop()
    counts = len(early.seen), len(late.seen)
    results(net)
    assert len(early.seen) == counts[0] and len(late.seen) > counts[1]
    late.stop()
    assert [(type(part), vars(part)) for part in net.modules()] == before
    assert all(torch.equal(*pair) for pair in zip(expected, results(net), strict=True))


def test_a_watch_for_one_step_may_end_within_a_later_one():
    net = deep_net()
    one, other = Calls(net), Calls(net)
    one.start_for_one_step()
    other.start()
    results(net)
    assert len(one.seen) == len(other.seen)
    other.stop()
    results(net)
    assert len(one.seen) == len(other.seen) and type(net) is Sequential
    one.start_for_one_step()  # it may be used again
    results(net)
    assert len(one.seen) == 2 * len(other.seen) and type(net) is Sequential


def test_a_copy_of_a_net_that_is_watched_is_not_watched():
    net = deep_net()
    watch = Calls(net)
    with watch:
        expected = results(copy.deepcopy(net))
        assert watch.seen == []
    assert all(torch.equal(*pair) for pair in zip(expected, results(net), strict=True))


@pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)
def test_every_module_computes_the_same_to_the_bit_while_it_is_watched(row):
    net = Sequential(row.make()) if row.chains else row.make()
    with seeded():
        net.build(row.shape)
    x, dy = row.x(dtype=torch.float32), row.dy(dtype=torch.float32)
    found = []
    for watch in (nullcontext(), Watch(net)):
        with watch, seeded():
            y = net.forward(x)
            dx = net.backward(dy)
        found.append([copied(y), copied(dx), *(p.grad.clone() for p in net.parameters())])
        net.zero_grad()
    for one, other in zip(map(leaves, found[0]), map(leaves, found[1]), strict=True):
        for first, second in zip(one, other, strict=True):
            assert torch.equal(first, second)


def test_copies_made_while_it_watches_are_of_the_own_classes():
    net = deep_net()
    kinds = [type(part) for part in net.modules()]
    with Calls(net), Calls(net):
        assert [type(part) for part in copy.deepcopy(net).modules()] == kinds


def test_tools_tell_the_same_while_somebody_watches():
    model = Model(deep_net(), device="cpu")
    model.compile("sgd", loss="mse")
    batch = torch.ones(2, 4), torch.ones(2, 3)
    expected = str(model.explain(*batch))
    with Calls(model.module):
        assert str(model.explain(*batch)) == expected


def test_what_looks_forward_alone_leaves_backward_as_it_is():
    class Forward(Watch):
        def forward(self, place, x, call):
            return call(x)

    net = Sequential(Linear(2), ReLU())
    net.build((3,))
    with Forward(net):
        assert type(net[0]).backward is Linear.backward
        assert type(net).backward is not Sequential.backward  # it ends what is for one step
    with Calls(net):
        assert type(net[0]).backward is not Linear.backward
