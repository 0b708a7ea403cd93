"""What is special to RNN, LSTM and GRU: numbers by hand, states, sizes, settings, two roads."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from kerasish import Model, Sequential, set_seed
from kerasish.containers import Graph, Input, Pick, Recompute
from kerasish.gradcheck import check_gradients
from kerasish.layers import GRU, LSTM, RNN, Linear
from kerasish.layers.recurrent.recurrence import Recurrence
from kerasish.layers.recurrent.walks import Walk

LAYERS = [RNN, LSTM, GRU]
every_layer = pytest.mark.parametrize("make", LAYERS, ids=lambda make: make.__name__)


class OwnLSTM(LSTM):
    """A subclass takes the road that is written out, whatever the type."""


def filled(module: Any, shape: Any, value: float) -> Any:
    module.build(shape)
    for parameter in module.parameters():
        parameter.data.fill_(value)
    return module


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# ---- numbers by hand ------------------------------------------------------------------------


def test_two_steps_of_a_simple_layer() -> None:
    rnn = filled(RNN(1, nonlinearity="relu", return_sequences=True), (2, 1), 0.5)
    y = rnn(torch.tensor([[[2.0], [-6.0]]]))
    assert y.tolist() == [[[2.0], [0.0]]]  # 0.5 · 2 + 0.5 + 0.5; then -3 + 1 + 1 is cut off
    dx = rnn.backward(torch.tensor([[[3.0], [100.0]]]))
    assert dx.tolist() == [[[1.5], [0.0]]]
    assert rnn.weight_ih_l0.grad.tolist() == [[6.0]] and rnn.weight_hh_l0.grad.tolist() == [[0.0]]
    assert rnn.bias_ih_l0.grad.tolist() == rnn.bias_hh_l0.grad.tolist() == [3.0]


def test_two_steps_of_a_gated_unit() -> None:
    gru = filled(GRU(1, bias=False), (2, 1), 0.5)
    h = 0.0
    for x in (1.0, -2.0):
        gate = sigmoid(0.5 * x + 0.5 * h)
        h = (1 - gate) * math.tanh(0.5 * x + gate * 0.5 * h) + gate * h
    assert gru(torch.tensor([[[1.0], [-2.0]]])).item() == pytest.approx(h)


@pytest.mark.parametrize("make", [LSTM, OwnLSTM])
def test_two_steps_of_a_long_memory(make: Any) -> None:
    lstm = filled(make(1, return_state=True), (2, 1), 0.25)
    h = c = 0.0
    for x in (1.0, -2.0):
        a = 0.25 * (x + h + 2)
        c = sigmoid(a) * c + sigmoid(a) * math.tanh(a)
        h = sigmoid(a) * math.tanh(c)
    y, h_n, c_n = lstm(torch.tensor([[[1.0], [-2.0]]]))
    assert y.item() == h_n.item() == pytest.approx(h) and c_n.item() == pytest.approx(c)


@every_layer
@pytest.mark.parametrize("settings", [
    {}, {"bias": False}, {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "dropout": 0.4, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_reach_the_states_it_starts_from(
    make: Any, settings: dict[str, Any], sequences: bool
) -> None:
    module = make(2, **settings, return_sequences=sequences, return_state=True)
    places = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    starts = [torch.randn(2, places, 2) for _ in range(module.states)]
    check_gradients(module, (torch.randn(2, 3, 2), *starts), most=20)


# ---- what comes out -------------------------------------------------------------------------


@every_layer
def test_the_last_step_of_the_reverse_direction_is_at_the_first(make: Any) -> None:
    module, x = make(3, bidirectional=True), torch.randn(2, 5, 4)
    y = module(x)
    whole = make(3, bidirectional=True, return_sequences=True, return_state=True)
    whole.build((5, 4))
    whole.load_state_dict(module.state_dict())
    series, h_n, *_ = whole(x)
    assert torch.equal(y, torch.cat((series[:, -1, :3], series[:, 0, 3:]), 1))
    assert torch.equal(y, h_n.flatten(1))


@every_layer
def test_shapes_of_all_that_may_be_asked_for(make: Any) -> None:
    settings = {"num_layers": 2, "bidirectional": True}
    states = ((4, 3),) * (2 if make is LSTM else 1)
    assert make(3, **settings).build((5, 2)) == (6,)
    assert make(3, **settings, return_sequences=True).build((5, 2)) == (5, 6)
    assert make(3, **settings, return_state=True).build((5, 2)) == ((6,), *states)
    assert make(3, **settings).build(((5, 2), *states)) == (6,)
    assert make(2, 3, return_sequences=True).build((5, 2)) == (5, 3)


@every_layer
def test_a_sequence_may_go_on_from_its_states(make: Any) -> None:
    module = make(3, num_layers=2, return_sequences=True, return_state=True)
    x = torch.randn(2, 6, 4)
    y, *ends = module(x)
    first, *middle = module(x[:, :2])
    second, *last = module(x[:, 2:], *middle)
    assert torch.allclose(torch.cat((first, second), 1), y, atol=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(last, ends, strict=True))


@every_layer
def test_a_gradient_may_come_to_some_of_its_results_alone(make: Any) -> None:
    module = make(3, return_sequences=True, return_state=True)
    x = torch.randn(2, 4, 5)
    y, *states = module(x)
    zeros = [torch.zeros_like(part) for part in (y, *states)]
    gradients = [torch.randn_like(part) for part in (y, *states)]
    for present in range(len(zeros)):
        given = [*zeros[:present], gradients[present], *zeros[present + 1 :]]
        module.forward(x)
        expected = module.backward(tuple(given))
        module.forward(x)
        bare = tuple(part if i == present else None for i, part in enumerate(given))
        assert torch.allclose(module.backward(bare), expected, atol=1e-6)


def test_an_encoder_hands_its_states_to_a_decoder() -> None:
    source, target = Input((4, 2)), Input((3, 2))
    ends = GRU(3, return_state=True)(source)
    net = Graph((source, target), Linear(1)(GRU(3, return_sequences=True)(target, Pick(1)(ends))))
    assert net.build(((4, 2), (3, 2))) == (3, 1)
    check_gradients(net, (torch.randn(2, 4, 2), torch.randn(2, 3, 2)), most=20)


@every_layer
def test_the_length_may_change_from_batch_to_batch(make: Any) -> None:
    module = make(3)
    module(torch.randn(2, 5, 4))
    assert module(torch.randn(7, 2, 4)).shape == (7, 3)
    assert make(3, return_sequences=True).build((9, 4)) == (9, 3)


@every_layer
def test_integers_are_read_as_floats(make: Any) -> None:
    module, x = make(3), torch.tensor([[[0, 1], [1, 1]]])
    assert torch.equal(module(x), module(x.float()))


# ---- two roads ------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"bias": False, "return_sequences": True},
                                      {"bidirectional": True, "num_layers": 2}], ids=str)
def test_the_kernel_of_onednn_and_the_road_written_out_agree(settings: dict[str, Any]) -> None:
    fast, slow = (make(5, **settings, return_state=True) for make in (LSTM, OwnLSTM))
    x, *starts = torch.randn(3, 4, 2), *torch.randn(2, 3, fast.num_layers * fast._ways, 5)
    for module in (fast, slow):
        module.build(((4, 2), *[tuple(start.shape[1:]) for start in starts]))
    slow.load_state_dict(fast.state_dict())
    results = []
    for module in (fast, slow):
        y = module((x, *starts))
        generator = torch.Generator().manual_seed(0)
        dy = tuple(torch.randn(part.shape, generator=generator) for part in y)
        dx = module.backward(dy)
        results.append([*y, *dx, *(p.grad for p in module.parameters())])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("make", [*LAYERS, OwnLSTM], ids=lambda make: make.__name__)
@pytest.mark.parametrize("frozen", ["", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    make: Any, frozen: str
) -> None:
    module, x = make(3, num_layers=2), torch.randn(2, 4, 5)
    module.build((4, 5))
    if frozen:
        getattr(module, frozen).trainable = False
    dy = torch.randn_like(module(x))
    assert module.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    module(x)
    assert module.backward(dy).shape == x.shape
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name != frozen), name


@pytest.mark.parametrize("make", [*LAYERS, OwnLSTM], ids=lambda make: make.__name__)
def test_numbers_are_the_same_where_nothing_is_saved(make: Any) -> None:
    module, x = make(3, num_layers=2, bidirectional=True, return_state=True), torch.randn(2, 4, 5)
    y = module(x)
    with module.inference():
        again = module(x)
    with torch.inference_mode():
        third = module(x)
    assert all(torch.equal(a, b) and torch.equal(a, c)
               for a, b, c in zip(y, again, third, strict=True))


@every_layer
def test_it_trains_in_inference_mode_and_without_gradients_of_torch(make: Any) -> None:
    module, x = make(3), torch.randn(2, 4, 5)
    expected = module(x), module.backward(torch.ones(2, 3))
    for mode in (torch.inference_mode(), torch.no_grad()):
        with mode:
            y = module(x.clone())
            assert torch.equal(y, expected[0])
            assert torch.equal(module.backward(torch.ones(2, 3)), expected[1])


def test_recompute_and_a_copy_walk_the_same_way() -> None:
    inner = LSTM(3, num_layers=2, dropout=0.5)
    module, x, dy = Recompute(inner), torch.randn(2, 4, 5), torch.randn(2, 3)
    module.build((4, 5))
    twin = copy.deepcopy(inner)
    set_seed(0)
    y, dx = module(x), module.backward(dy)
    set_seed(0)
    assert torch.equal(twin(x), y) and torch.equal(twin.backward(dy), dx)


@every_layer
def test_a_net_learns_to_tell_which_step_came_first(make: Any) -> None:
    set_seed(0)
    x = torch.randn(256, 8, 1)
    y = (x[:, :1, 0] > 0).float()
    model = Model(Sequential(make(16), Linear(1)))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.02
    history = model.fit(x, y, batch_size=32, epochs=25, verbose=0, seed=0)
    assert history.history["accuracy"][-1] > 0.95


# ---- settings -------------------------------------------------------------------------------


@every_layer
def test_settings_stand_under_the_names_of_torch(make: Any) -> None:
    module = make(3, num_layers=2, dropout=0.25, bidirectional=True)
    module.build((4, 5))
    twin = getattr(torch.nn, make.__name__)(5, 3, 2, dropout=0.25, bidirectional=True,
                                            batch_first=True)
    for name in ("input_size", "hidden_size", "num_layers", "batch_first", "dropout",
                 "bidirectional"):
        assert getattr(module, name) == getattr(twin, name)
    assert module.use_bias and list(module.state_dict()) == list(twin.state_dict())
    assert torch.nn.RNN(5, 3, 1, "relu").nonlinearity == RNN(5, 3, 1, "relu").nonlinearity


@every_layer
def test_biases_start_at_zero_and_do_not_decay(make: Any) -> None:
    module = make(50, weight_hh_regularizer="l2")
    module.build((4, 20))
    for name, parameter in module.named_parameters():
        assert parameter.decay == name.startswith("weight") == bool(parameter.data.any())
        assert (parameter.regularizer is not None) == (name == "weight_hh_l0")
    weight_ih, weight_hh = module.weight_ih_l0.data, module.weight_hh_l0.data
    assert weight_ih.std().item() == pytest.approx(math.sqrt(2 / weight_ih.shape[1]), rel=0.1)
    torch.testing.assert_close(weight_hh.t() @ weight_hh, torch.eye(50), rtol=0, atol=1e-5)


@every_layer
@pytest.mark.parametrize(("settings", "shown"), [
    ({"num_layers": 0}, r"\(num_layers\) expects a whole number of at least 1; got 0"),
    ({"batch_first": False}, r"\(batch_first\) expects True, .*; got False\. Leave it out, and"),
    ({"dropout": 1.5}, r"\(dropout\) expects a number from 0 to 1; got 1.5"),
    ({"hidden_size": 0}, r"\(hidden_size\) expects a whole number of at least 1; got 0"),
], ids=str)
def test_settings_out_of_range_are_refused(make: Any, settings: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=make.__name__ + shown):
        make(**{"hidden_size": 3} | settings)


def test_what_only_one_of_them_knows() -> None:
    with pytest.raises(ValueError, match=r"LSTM\(proj_size\) expects 0; got 2\. Put Linear\(2\)"):
        LSTM(3, proj_size=2)
    with pytest.raises(TypeError, match="proj_size"):
        GRU(3, proj_size=2)
    with pytest.raises(ValueError, match=r"RNN\(nonlinearity\) expects one of 'tanh', 'relu'"):
        RNN(3, nonlinearity="gelu")


@every_layer
def test_dropout_has_nothing_to_drop_between_in_a_single_layer(make: Any) -> None:
    with pytest.warns(UserWarning, match=rf"{make.__name__}\(dropout\) expects two layers") as seen:
        module = make(3, dropout=0.5)
    assert module.between is None and seen[0].filename == __file__


@every_layer
@pytest.mark.parametrize(("shape", "shown"), [
    ((4,), r"expects x of shape \(N, T, features\) .*; got \(N, 4\)\."),
    ((2, 4, 5), r"got \(N, 2, 4, 5\)\."), ((0, 5), r"with a step or more; got \(N, 0, 5\)"),
    ({"x": (4, 5)}, r"got \{'x': \(4, 5\)\}"), ((4, 6), "expects 5 features .*; got 6"),
    (((4, 5), (3, 2)), r"states of shape \(N, 2, 3\), the batch first; got \(3, 2\) a sample"),
    (((4, 5), (2, 3), (2, 3), (2, 3)), r"the batch first; got \(2, 3\), \(2, 3\), \(2, 3\)"),
], ids=str)
def test_shapes_that_do_not_fit_are_refused(make: Any, shape: Any, shown: str) -> None:
    with pytest.raises(ValueError, match=shown):
        make(5, 3, num_layers=2).build(shape)


@every_layer
def test_forward_refuses_what_build_would(make: Any) -> None:
    module = make(3)
    module.build((4, 5))
    for x in (torch.ones(4, 5), torch.ones(2, 4, 6), (torch.ones(2, 4, 5), torch.ones(1, 2, 3))):
        with pytest.raises(ValueError, match="expects"):
            module(x)
    assert module._saved == []


@pytest.mark.parametrize(("module", "numbers"), [
    (RNN(3), 4 * (5 + 3) + 3), (GRU(3), 4 * (5 + 5 * 3) + 3), (OwnLSTM(3), 4 * (5 + 7 * 3) + 2 * 3),
    (LSTM(3), 2 * (4 * (5 + 7 * 3) + 2 * 3)),
    (LSTM(3, dtype=torch.float64), 2 * (4 * (5 + 7 * 3) + 2 * 3)),
    (GRU(3, bidirectional=True, num_layers=2), 4 * (5 + 6 + 5 * 12) + 12),
    (RNN(3, num_layers=2, dropout=0.5), 4 * (5 + 3 + 6 + 3) + 6),
], ids=repr)
def test_what_forward_saves_is_counted_in_bytes(module: Recurrence, numbers: int) -> None:
    assert module.own_bytes((4, 5)) == 4 * numbers


@pytest.mark.parametrize("make", [RNN, OwnLSTM, GRU], ids=lambda make: make.__name__)
def test_and_that_many_are_saved(make: Any) -> None:
    module, x = make(3, num_layers=2, bidirectional=True, dropout=0.5), torch.randn(2, 4, 5)
    module(x)
    storages = {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes()
                for part in tensors([module._saved, module.between._saved])}
    assert sum(storages.values()) == 2 * module.own_bytes((4, 5))


def tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree if isinstance(tree, list | tuple) else []
    return [tensor for part in parts for tensor in tensors(part)]


# ---- walks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_a_walk_and_its_way_back(reverse: bool) -> None:
    walk, series = Walk(reverse), torch.arange(3.0)[:, None]
    forth = [2.0, 1.0, 0.0] if reverse else [0.0, 1.0, 2.0]
    assert [step.item() for step in walk.steps(series)] == forth
    assert [step.item() for step in walk.steps_back(series)] == forth[::-1]
    assert [step and step.item() for step in walk.met(series, 3)] == [*forth[1::-1], None]
    assert walk.met(None, 3) == [None, None, None] and walk.met(series[:1], 1) == [None]
    history = walk.history(torch.tensor([7.0]), 3)
    for after, step in zip(walk.steps(walk.after(history)), walk.steps(series), strict=True):
        after.copy_(step)
    assert [step.item() for step in walk.steps(walk.before(history))] == [7.0, *forth[:2]]
    assert walk.end(history) == walk.end(series) == forth[-1]
