"""From torch: the same weights and numbers, what `to_torch` made included, and what cannot come."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional

from kerasish import Model
from kerasish.export import from_torch, to_torch
from kerasish.export.agreement import drawn
from kerasish.layers import Linear, ReLU
from kerasish.trees import leaves
from tests.table import MODULES, Row


@pytest.mark.parametrize("row", MODULES, ids=lambda row: row.id)
def test_every_row_of_the_table_comes_back_from_torch(row: Row) -> None:
    module = row.built()
    twin = to_torch(module, check=False)
    back = from_torch(twin.eval(), row.shape)
    x = row.x(3)
    assert type(back) is type(module)
    y, expected = leaves(back(x)), leaves(module.eval()(x))
    assert all(map(torch.equal, y, expected))
    assert all(torch.equal(value, back.state_dict()[name])
               for name, value in module.state_dict().items())


def layer_of(kind: type[nn.Module] = nn.TransformerEncoderLayer, **more) -> nn.Module:
    return kind(8, 2, 16, batch_first=True, **more)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(("make", "shape"), [
    (lambda: layer_of(), (5, 8)),
    (lambda: layer_of(activation="gelu", norm_first=True, bias=False), (5, 8)),
    (lambda: layer_of(activation=functional.silu, layer_norm_eps=0.1), (5, 8)),
    (lambda: layer_of(activation=nn.PReLU()), (5, 8)),
    (lambda: layer_of(nn.TransformerDecoderLayer), ((5, 8), (4, 8))),
    (lambda: nn.TransformerEncoder(layer_of(), 2), (5, 8)),
    (lambda: nn.TransformerEncoder(layer_of(), 3, nn.LayerNorm(8)), (5, 8)),
    (lambda: nn.Bilinear(2, 3, 4, bias=False), ((2,), (3,))),
    (lambda: nn.LogSoftmax(-1), (2, 3)),
    (lambda: nn.CELU(0.7), (5,)),
    (lambda: nn.Sequential(OrderedDict(first=nn.Linear(3, 4), last=nn.Linear(4, 2))), (3,)),
])
def test_a_module_of_torch_comes(make, shape) -> None:
    theirs = make().double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)  # layers were copies
    ours = from_torch(theirs, shape)
    x = drawn(ours, 3)
    x = tuple(part.double() for part in x) if isinstance(x, tuple) else x.double()
    torch.testing.assert_close(ours(x), theirs(*x) if isinstance(x, tuple) else theirs(x))


@pytest.mark.parametrize("bias", [True, False])
def test_attention_of_torch_comes(bias: bool) -> None:
    theirs = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True, kdim=4, vdim=3)
    x = torch.randn(3, 5, 8), torch.randn(3, 6, 4), torch.randn(3, 6, 3)
    torch.testing.assert_close(from_torch(theirs)(x), theirs(*x)[0])


@pytest.mark.parametrize("make", [
    lambda: nn.RNN(3, 4, 2, "relu", batch_first=True, bidirectional=True),
    lambda: nn.GRU(3, 4, bias=False, batch_first=True),
    lambda: nn.LSTM(3, 4, batch_first=True, dtype=torch.float64),
])
def test_a_recurrent_module_of_torch_answers_all_steps_and_the_states(make) -> None:
    theirs = make()
    x = torch.randn(2, 5, 3, dtype=theirs.weight_ih_l0.dtype)
    expected, states = theirs(x)
    y, *ends = from_torch(theirs)(x)
    torch.testing.assert_close(y, expected)
    for end, state in zip(ends, states if isinstance(states, tuple) else (states,), strict=True):
        torch.testing.assert_close(end, state.transpose(0, 1))


@pytest.mark.parametrize(("make", "words"), [
    (lambda: nn.GRU(3, 4), r"GRU\(batch_first\) expects True"),
    (lambda: nn.LSTM(3, 4, proj_size=2, batch_first=True), r"LSTM\(proj_size\) expects 0"),
    (lambda: nn.MultiheadAttention(8, 2), r"MultiheadAttention\(batch_first\) expects True"),
    (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True, batch_first=True), "add_bias_kv"),
    (lambda: nn.TransformerEncoderLayer(8, 2), r"Layer\(batch_first\) expects True"),
    (lambda: layer_of(activation=lambda x: x), r"\(activation\)\) expects one of torch's"),
    (lambda: nn.Softmin(), r"from_torch\(Softmin\(dim\)\) expects an axis; got None"),
])
def test_a_setting_that_kerasish_has_not_is_named(make, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        from_torch(make())


def test_each_module_comes_in_its_own_mode() -> None:
    theirs = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Sequential(nn.Dropout(0.5)))
    theirs[1].training = False
    net = from_torch(theirs)
    assert [part.training for part in net.modules()] == [True, False, False, True]


def test_weights_wait_until_the_net_is_built() -> None:
    theirs = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    net = from_torch(theirs)
    assert not net.built
    x = torch.randn(5, 3)
    expected = theirs(x)
    with torch.no_grad():
        theirs[0].weight.zero_()  # what is done to the other later does not reach this one
    torch.testing.assert_close(net(x), expected)
    model = Model(from_torch(theirs), device="cpu")
    model.compile("adam", "mse")
    model.fit(x, torch.zeros(5, 2), verbose=0)


def test_weights_for_other_sizes_are_refused_at_build() -> None:
    net = from_torch(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="expects 3 features"):
        net.build((2,))
    layer = Linear(3, 4)
    layer.load_when_built({"weight": torch.zeros(4, 3)})
    with pytest.raises(ValueError, match="'bias' is missing"):
        layer.build((3,))


@pytest.mark.parametrize(("theirs", "place"), [
    (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.PairwiseDistance())),
     "got PairwiseDistance() at '1.1'"),
    (nn.ModuleList([nn.Linear(2, 2)]), "ModuleList"),
])
def test_what_kerasish_has_not_is_named(theirs: nn.Module, place: str) -> None:
    with pytest.raises(TypeError, match="modules that kerasish has; got") as error:
        from_torch(theirs)
    assert place in str(error.value)


def test_what_is_frozen_comes_frozen_parameter_by_parameter() -> None:
    theirs = nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 2, batch_first=True))
    theirs[0].bias.requires_grad_(False)
    theirs[1].weight_hh_l0.requires_grad_(False)
    net = from_torch(theirs)
    net.build((4, 2))
    assert {name for name, p in net.named_parameters() if not p.trainable} == {
        "0.bias", "1.weight_hh_l0"}
    thawed = from_torch(theirs)
    thawed.trainable = True
    thawed.build((4, 2))
    assert all(p.trainable for p in thawed.parameters())


def test_a_relu_keeps_its_class() -> None:
    assert isinstance(from_torch(nn.ReLU(inplace=True)), ReLU)
