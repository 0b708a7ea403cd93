"""What is special to transformers: their parts and places, masks for all layers, settings."""

from typing import Any

import pytest
import torch

from kerasish.containers import Graph, Input, Recompute, Sequential
from kerasish.gradcheck import check_gradients
from kerasish.layers import (
    Embedding,
    LayerNorm,
    LeakyReLU,
    Linear,
    MultiheadAttention,
    PositionalEncoding,
    PReLU,
    ReLU,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from tests.table import numbers, seeded


def layer(**arguments: Any) -> TransformerEncoderLayer:
    return TransformerEncoderLayer(**({"nhead": 2, "dim_feedforward": 5, "dropout": 0.0}
                                      | arguments))


def decoder(**arguments: Any) -> TransformerDecoderLayer:
    return TransformerDecoderLayer(**({"nhead": 2, "dim_feedforward": 5, "dropout": 0.0}
                                      | arguments))


def built(module: Any, shape: Any = (4, 8)) -> Any:
    with seeded():
        module.build(shape)
    return module.to(dtype=torch.float64)


PAIR = ((4, 8), (3, 8))


# ---- settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [TransformerEncoderLayer, TransformerDecoderLayer])
@pytest.mark.parametrize(("arguments", "message"), [
    ((), r"\(nhead\) expects .* got None. Write Transformer\w+Layer\(nhead=4\)"),
    ((8,), r"\(nhead\) .* got None"),
    ((8, 2, 0), r"\(dim_feedforward\) .* got 0"),
    ((8, 2, 5, 0.1, "relu", 1e-5, False), r"\(batch_first\) expects True"),
])
def test_wrong_settings_are_refused_by_name(cls: type, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=cls.__name__ + message):
        cls(*arguments)


def test_other_wrong_settings_are_refused_by_the_parts() -> None:
    with pytest.raises(ValueError, match=r"Dropout\(p\)|MultiheadAttention\(dropout\)"):
        layer(dropout=2.0)
    with pytest.raises(ValueError, match="leaky_relu"):
        layer(activation="leaky_rely")
    with pytest.raises(ValueError, match="embed_dim"):
        layer(d_model=0)


def test_an_encoder_wants_modules_and_a_number_of_layers() -> None:
    with pytest.raises(TypeError, match=r"TransformerEncoder\(encoder_layer\) .* got 'layer'"):
        TransformerEncoder("layer", 2)
    with pytest.raises(TypeError, match=r"TransformerEncoder\(norm\) expects a module; got 'n'"):
        TransformerEncoder(layer(), 2, "n")
    with pytest.raises(ValueError, match=r"TransformerEncoder\(num_layers\) .* got 0"):
        TransformerEncoder(layer(), 0)


def test_sizes_are_learned_at_build() -> None:
    module = built(layer())
    assert module.d_model == module.self_attn.embed_dim == module.linear2.out_features == 8
    assert repr(module.linear2) == "Linear(8)"


def test_each_layer_of_an_encoder_has_initial_values_of_its_own() -> None:
    made = layer()
    first, second = built(TransformerEncoder(made, 2)).layers
    assert not torch.equal(first.linear1.weight.data, second.linear1.weight.data)
    assert not made.built
    first, second = built(TransformerEncoder(built(made), 2)).layers  # as torch does
    assert torch.equal(first.linear1.weight.data, second.linear1.weight.data)
    assert first.linear1.weight is not second.linear1.weight


# ---- ways through -----------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["gelu", LeakyReLU(0.3), PReLU()], ids=repr)
def test_activations_may_be_modules_even_with_parameters(activation: Any, norm_first: bool) -> None:
    module = built(layer(activation=activation, norm_first=norm_first, dropout=0.3))
    check_gradients(module, numbers(2, 4, 8), most=60)
    names = [name for name, _ in module.named_parameters()]
    assert ("activation.weight" in names) == isinstance(activation, PReLU)


class OwnReLU(ReLU):
    """Not the activation whose kernels are known, since its class is another one."""

    def forward(self, x, overwrite=False):
        return 2 * super().forward(x)

    def backward(self, dy):
        return super().backward(2 * dy)


def test_an_activation_of_the_users_own_keeps_its_forward_and_backward() -> None:
    module = built(layer(activation=OwnReLU()))
    check_gradients(module, numbers(2, 4, 8), most=60)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("make", [layer, decoder])
def test_dropout_is_drawn_in_all_places(make: Any, norm_first: bool) -> None:
    shape = PAIR if make is decoder else (4, 8)
    module = built(make(dropout=0.3, norm_first=norm_first), shape)
    x = tuple(numbers(2, *each) for each in PAIR) if make is decoder else numbers(2, 4, 8)
    check_gradients(module, x, most=40)
    drops = [part for part in module.modules() if type(part).__name__ == "Dropout"]
    assert len(drops) == (6 if make is decoder else 4) and all(part.p == 0.3 for part in drops)


def test_causal_layers_see_nothing_of_later_tokens() -> None:
    for module, x in ((built(TransformerEncoder(layer(causal=True), 2)), numbers(2, 4, 8)),
                      (built(decoder(causal=True), PAIR), (numbers(2, 4, 8), numbers(2, 3, 8)))):
        y = module(x)
        changed = torch.utils._pytree.tree_map(torch.clone, x)
        (changed[0] if isinstance(x, tuple) else changed)[:, 3] += 1.0
        y2 = module(changed)
        assert torch.equal(y2[:, :3], y[:, :3]) and not torch.allclose(y2[:, 3], y[:, 3])


def test_the_decoder_looks_at_all_of_the_memory() -> None:
    module, tgt, memory = built(decoder(causal=True), PAIR), numbers(2, 4, 8), numbers(2, 3, 8)
    y = module(tgt, memory)
    memory[:, 2] += 1.0
    assert (module(tgt, memory) - y).abs().amax(2).gt(1e-3).all()


# ---- masks ------------------------------------------------------------------------------------


def padded() -> dict[str, torch.Tensor]:
    padding = torch.zeros(2, 4, dtype=torch.bool)
    padding[0, 2:] = True
    return {"src": numbers(2, 4, 8), "src_key_padding_mask": padding}


def test_every_layer_of_an_encoder_sees_the_masks() -> None:
    module, x = built(TransformerEncoder(layer(), 3, LayerNorm())), padded()
    y = module(x)
    short = module(x["src"][:1, :2])
    assert torch.allclose(y[:1, :2], short, atol=1e-13)
    module.unwind()
    dx = module.backward(torch.ones_like(y).tril())
    assert dx["src_key_padding_mask"] is None and dx["src"].shape == x["src"].shape


def test_the_gradient_of_a_mask_of_floats_is_the_sum_over_layers() -> None:
    module = built(TransformerEncoder(layer(), 2))
    check_gradients(module, padded() | {"src_mask": numbers(4, 4)}, most=60)


def test_masks_run_through_a_graph_of_tokens() -> None:
    tokens, padding = Input((4,)), Input((4,))
    h = PositionalEncoding()(Embedding(9, 8)(tokens))
    h = TransformerEncoder(layer(dropout=0.2), 2)({"src": h, "src_key_padding_mask": padding})
    net = built(Graph({"tokens": tokens, "padding": padding}, Linear(3)(h)),
                {"tokens": (4,), "padding": (4,)})
    x = {"tokens": torch.randint(9, (2, 4)), "padding": padded()["src_key_padding_mask"]}
    check_gradients(net, x, most=40)
    y = net(x)
    net.backward(torch.ones_like(y), need_dx=False)
    assert all(p.grad.any() for p in net.parameters())
    assert not any(part._saved for part in net.modules())


@pytest.mark.parametrize(("module", "x", "message"), [
    (layer(), {"query": (4, 8)}, r"1 to 1 tensors, src; .* src_mask, src_key_padding_mask besides"),
    (TransformerEncoder(layer(), 2), {"tgt": (4, 8)}, r"got \['tgt'\]"),
    (TransformerEncoder(layer(), 2), PAIR, r"got 2 of them"),
    (decoder(), (4, 8), "2 to 2 tensors, tgt, memory; .* got 1 of them"),
    (decoder(), {"tgt": (4, 8)}, r"got \['tgt'\]"),
    (decoder(), {"tgt": (4, 8), "memory": (3, 8), "mask": (4,)}, r"got \['tgt', 'memory', 'mask'"),
], ids=str)
def test_other_inputs_are_refused(module: Any, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module.build(x)


# ---- frozen, unwound, recomputed, in its place ------------------------------------------------


def inputs_of(module: Any) -> tuple[Any, Any]:
    if isinstance(module, TransformerDecoderLayer):
        return PAIR, (numbers(2, 4, 8), numbers(2, 3, 8))
    return (4, 8), numbers(2, 4, 8)


MAKERS = {
    "encoder layer": lambda: layer(dropout=0.2),
    "encoder layer, norms first": lambda: layer(norm_first=True, dropout=0.2),
    "decoder layer": lambda: decoder(dropout=0.2),
    "decoder layer, norms first": lambda: decoder(norm_first=True, dropout=0.2),
    "encoder": lambda: TransformerEncoder(layer(dropout=0.2), 2, LayerNorm()),
    "encoder of recomputed layers": lambda: TransformerEncoder(Recompute(layer(dropout=0.2)), 2),
}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@pytest.mark.parametrize("frozen", ["nothing", "norm1", "self_attn", "linear2"])
@every_kind
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(make, frozen: str) -> None:
    module = make()
    shape, x = inputs_of(module)
    built(module, shape)
    for path, part in module.named_modules():
        if path.split(".")[-1] == frozen:
            part.trainable = False
    dy, found = numbers(2, 4, 8, seed=1), []
    for need_dx in (False, True):
        module.zero_grad()
        with seeded():
            module.forward(x)
        assert (module.backward(dy, need_dx=need_dx) is None) != need_dx
        found.append({name: p.grad.clone() for name, p in module.named_parameters()})
        assert not any(part._saved for part in module.modules())
    for name, parameter in module.named_parameters():
        assert torch.equal(found[0][name], found[1][name]), name
        assert bool(parameter.grad.any()) == (f"{frozen}." not in name), name


@pytest.mark.parametrize("need_dx", [True, False])
def test_the_first_layer_of_an_encoder_leaves_out_dx_where_nobody_needs_it(need_dx: bool) -> None:
    module, asked = built(TransformerEncoder(layer(), 3)), []
    for each in module.layers:
        def backward(dy, need_dx=True, do=each.backward):
            asked.append(need_dx)
            return do(dy, need_dx)
        each.backward = backward
    module.backward(torch.ones_like(module(numbers(2, 4, 8))), need_dx=need_dx)
    assert asked == [True, True, need_dx]


@pytest.mark.parametrize("make", [layer, lambda: TransformerEncoder(layer(), 2)])
def test_leaving_out_dx_gives_none_for_a_dict_as_well(make) -> None:
    module = built(make())
    y = module(padded())
    assert module.backward(torch.ones_like(y), need_dx=False) is None


@every_kind
def test_recomputing_gives_the_same_numbers(make) -> None:
    module = make()
    shape, x = inputs_of(module)
    built(module, shape)
    again, dy = Recompute(module), numbers(2, 4, 8, seed=1)
    again.build(shape)
    found = []
    for each in (module, again):
        module.zero_grad()
        with seeded():
            y = each.forward(x)
        dx = each.backward(dy)
        found.append([y, *(dx if isinstance(dx, tuple) else (dx,)),
                      *(p.grad.clone() for p in module.parameters())])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_a_shared_activation_is_not_unwound_where_it_did_not_run() -> None:
    shared = ReLU()
    module = built(layer(activation=shared))
    y = shared(numbers(2, 4))
    module(numbers(2, 4, 8))
    module.unwind()
    assert torch.equal(shared.backward(torch.ones_like(y)), (y > 0).double())
    own = built(layer(activation="gelu"))
    own(numbers(2, 4, 8))
    own.unwind()
    assert not any(part._saved for part in own.modules())


@pytest.mark.parametrize(("break_", "notes"), [
    (lambda m: setattr(m.layers[1].self_attn, "forward", fails), [
        "in self_attn of TransformerEncoderLayer, MultiheadAttention", "in layers.1 of Transf"]),
    (lambda m: setattr(m.layers[0].linear1, "backward", fails), [
        "in linear1 of TransformerEncoderLayer, Linear(5", "in layers.0 of TransformerEncoder, T"]),
    (lambda m: setattr(m.norm, "backward", fails), [
        "in norm of TransformerEncoder, LayerNorm()"]),
])
def test_errors_note_their_places(break_: Any, notes: list[str]) -> None:
    net = built(Sequential(TransformerEncoder(layer(), 2, LayerNorm())))
    break_(net[0])
    with pytest.raises(ArithmeticError, match="no") as error:
        net.backward(torch.ones_like(net(numbers(2, 4, 8))))
    found = error.value.__notes__
    assert len(found) == len(notes) + 1 and "in layer 0 of Sequential" in found[-1]
    assert all(note in each for note, each in zip(notes, found, strict=False))


def fails(*args: Any, **kwargs: Any) -> Any:
    raise ArithmeticError("no")


def test_errors_at_build_note_their_places() -> None:
    with pytest.raises(ValueError, match="multiple of num_heads") as error:
        layer(nhead=3).build((4, 8))
    (note,) = error.value.__notes__
    assert note.startswith("in self_attn of TransformerEncoderLayer, MultiheadAttention(")


def test_attention_in_a_layer_takes_what_torch_calls_it() -> None:
    module = built(decoder(bias=False), PAIR)
    assert isinstance(module.multihead_attn, MultiheadAttention)
    assert not any("bias" in name for name, _ in module.named_parameters())
