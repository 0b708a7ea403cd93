"""What is special to MultiheadAttention: its inputs, masks, heads, both ways of computing it."""

import math
from typing import Any

import pytest
import torch

from kerasish.containers import Graph, Input
from kerasish.gradcheck import check_gradients
from kerasish.layers import Linear, MultiheadAttention
from tests.table import numbers, seeded


def built(shape: Any = (5, 8), **arguments: Any) -> MultiheadAttention:
    module = MultiheadAttention(**({"num_heads": 2} | arguments))
    with seeded():
        module.build(shape)
    return module.to(dtype=torch.float64)


def same(size: int, **arguments: Any) -> MultiheadAttention:
    """One head in which q, k, v and y are what they are made of."""
    module = MultiheadAttention(num_heads=1, bias=False, **arguments)
    module.build((2, size))
    module.in_proj_weight.data = torch.eye(size).repeat(3, 1)
    module.out_proj.weight.data = torch.eye(size)
    return module


def test_by_hand() -> None:
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    y = same(2)(x)
    a, b = math.exp(1 / math.sqrt(2)), math.exp(4 / math.sqrt(2))
    assert torch.allclose(y, torch.tensor([[[a / (a + 1), 2 / (a + 1)],
                                            [1 / (1 + b), 2 * b / (1 + b)]]]))
    assert torch.equal(same(2, causal=True)(x)[0, 0], x[0, 0])


# ---- sizes ------------------------------------------------------------------------------------


def test_sizes_are_learned_at_build() -> None:
    module = MultiheadAttention(num_heads=3)
    assert module.build(((5, 6), (4, 2), (4, 7))) == (5, 6)
    assert (module.embed_dim, module.kdim, module.vdim) == (6, 2, 7)
    assert [(name, tuple(p.shape)) for name, p in module.named_parameters()] == [
        ("q_proj_weight", (6, 6)), ("k_proj_weight", (6, 2)), ("v_proj_weight", (6, 7)),
        ("in_proj_bias", (18,)), ("out_proj.weight", (6, 6)), ("out_proj.bias", (6,))]
    assert repr(module.out_proj) == "Linear(6)"
    assert repr(MultiheadAttention(num_heads=3).out_proj) == "Linear()"


def test_biases_start_at_zero_and_do_not_decay() -> None:
    module = built()
    assert not module.in_proj_bias.data.any() and not module.in_proj_bias.decay
    assert module.in_proj_weight.decay and module.in_proj_weight.data.all()


def test_what_hangs_on_the_parameters_reaches_the_output_too() -> None:
    module = built(out_proj_weight_regularizer="l2", in_proj_weight_initializer="zeros")
    assert module.out_proj.weight.regularizer is not None
    assert module.in_proj_weight.regularizer is None and not module.in_proj_weight.data.any()
    with pytest.raises(TypeError, match="out_weight_regularizer"):
        MultiheadAttention(num_heads=2, out_weight_regularizer="l2")


def test_freezing_before_the_build_reaches_all_parameters() -> None:
    module = MultiheadAttention(num_heads=2)
    module.trainable = False
    module.build((3, 4))
    assert not any(p.trainable for p in module.parameters())


@pytest.mark.parametrize(("arguments", "message"), [
    ((), r"\(num_heads\) expects .* got None.*MultiheadAttention\(num_heads=4\)"),
    ((8,), r"\(num_heads\) .* got None"),
    ((8, 0), r"\(num_heads\) .* got 0"),
    ((0, 2), r"\(embed_dim\) .* got 0"),
    ((8, 2, 1.5), r"\(dropout\) expects a number from 0 to 1; got 1.5"),
    ((8, 2, 0.0, True, True), r"\(add_bias_kv\) expects False"),
    ((8, 2, 0.0, True, False, True), r"\(add_zero_attn\) expects False"),
    ((8, 2, 0.0, True, False, False, 0), r"\(kdim\) .* got 0"),
    ((8, 2, 0.0, True, False, False, None, 2.5), r"\(vdim\) .* got 2.5"),
    ((8, 2, 0.0, True, False, False, None, None, False), r"\(batch_first\) expects True.*transp"),
], ids=str)
def test_wrong_settings_are_refused_by_name(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"MultiheadAttention{message}"):
        MultiheadAttention(*arguments)


@pytest.mark.parametrize(("module", "shape", "message"), [
    (MultiheadAttention(num_heads=3), (5, 8), "a multiple of num_heads; got 8 for 3 heads"),
    (MultiheadAttention(6, 3), (5, 8), r"a query of shape \(N, L, 6\).*; got \(N, 5, 8\)"),
    (MultiheadAttention(8, 2, kdim=4), (5, 8), r"a key \(N, S, 4\)"),
    (MultiheadAttention(8, 2, vdim=4), ((5, 8), (3, 8)), r"a value \(N, S, 4\)"),
    (MultiheadAttention(8, 2), ((5, 8), (3, 8), (4, 8)), r"got \(N, 5, 8\), \(N, 3, 8\), \(N, 4"),
    (MultiheadAttention(8, 2), (8,), r"got \(N, 8\)"),
    (MultiheadAttention(8, 2), (), r"got \(N, \)"),
    (MultiheadAttention(8, 2), ((5, 8),) * 4, "1 to 3 tensors, query, key, value;.*; got 4 of"),
    (MultiheadAttention(8, 2), {"query": (5, 8), "value": (5, 8)}, r"got \['query', 'value'\]"),
    (MultiheadAttention(8, 2), {"query": (5, 8), "mask": (5,)}, r"may be key_padding_mask, attn_"),
    (MultiheadAttention(8, 2), {"attn_mask": (5, 5)}, r"got \['attn_mask'\]"),
], ids=str)
def test_inputs_that_do_not_fit_are_refused_at_build(
    module: MultiheadAttention, shape: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module.build(shape)


def test_forward_refuses_what_it_was_not_built_for() -> None:
    with pytest.raises(RuntimeError, match="expects a module that is built"):
        MultiheadAttention(num_heads=2).forward(torch.ones(1, 2, 4))
    module = built()
    with pytest.raises(ValueError, match=r"\(N, L, 8\).*; got \(N, 5, 6\)"):
        module(numbers(2, 5, 6))
    with pytest.raises(ValueError, match="of one batch; got batches of 2, 3 samples"):
        module((numbers(2, 5, 8), numbers(3, 5, 8)))
    assert not any(part._saved for part in module.modules())


# ---- inputs -----------------------------------------------------------------------------------


FORMS = {
    "tensor": lambda q, k, v: q,
    "one in a tuple": lambda q, k, v: (q,),
    "query and key": lambda q, k, v: (q, k),
    "all three": lambda q, k, v: (q, k, v),
    "dict of one": lambda q, k, v: {"query": q},
    "dict of two, None left out": lambda q, k, v: {"key": k, "query": q, "value": None},
    "dict of three": lambda q, k, v: {"value": v, "key": k, "query": q},
}


@pytest.mark.parametrize("form", FORMS)
def test_gradients_come_in_the_structure_of_x(form: str) -> None:
    module = built(((5, 8), (3, 8), (3, 8)), dropout=0.2)
    x = FORMS[form](numbers(2, 5, 8), numbers(2, 3, 8, seed=1), numbers(2, 3, 8, seed=2))
    check_gradients(module, x)
    dx = module.backward(torch.ones_like(module(x)))
    if isinstance(x, dict):
        assert list(dx) == list(x)
        assert {name for name, part in dx.items() if part is None} == {
            name for name, part in x.items() if part is None}
    else:
        assert type(dx) is type(x) and len(dx) == len(x)


def test_the_same_numbers_in_every_structure() -> None:
    module, x = built(), numbers(2, 5, 8)
    y = module(x)
    for same_x in ((x,), (x, x), (x, x, x), {"query": x}, {"query": x, "key": x}):
        assert torch.allclose(module(same_x), y, atol=1e-14)


def test_two_symbolic_inputs_make_a_graph() -> None:
    a, b = Input((5, 8)), Input((3, 8))
    net = Graph((a, b), Linear(2)(MultiheadAttention(num_heads=2)(a, b)))
    net.build(((5, 8), (3, 8)))
    check_gradients(net, (numbers(2, 5, 8), numbers(2, 3, 8)))


# ---- masks ------------------------------------------------------------------------------------


def test_keys_that_are_ignored_change_nothing_and_get_no_gradient() -> None:
    module, x = built(), numbers(2, 5, 8)
    padding = torch.tensor([[False] * 3 + [True] * 2] * 2)
    y = module({"query": x[:, :2], "key": x, "key_padding_mask": padding})
    dx = module.backward(torch.ones_like(y))
    assert not dx["key"][:, 3:].any() and dx["key"][:, :3].any() and dx["key_padding_mask"] is None
    assert torch.allclose(y, module((x[:, :2], x[:, :3])), atol=1e-14)


@pytest.mark.parametrize("dropout", [0.0, 1e-12], ids=["fused", "step by step"])
def test_a_query_that_may_look_at_no_key_gives_the_output_bias(dropout: float) -> None:
    module, x = built(dropout=dropout), numbers(1, 5, 8)
    module.out_proj.bias.data = torch.arange(8.0, dtype=torch.float64)
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[2] = True
    y = module({"query": x, "attn_mask": mask})
    assert torch.equal(y[0, 2], module.out_proj.bias.data) and y.isfinite().all()
    dx = module.backward(torch.ones_like(y))["query"]
    assert dx.isfinite().all() and dx[0, 2].any()  # others look at it


def test_masks_for_all_a_sample_a_head_and_both_agree() -> None:
    module, x = built(), numbers(3, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected = built(causal=True)(x)
    for shape in ((5, 5), (3, 5, 5), (6, 5, 5), (3, 2, 5, 5)):
        for given in (mask, torch.zeros(5, 5, dtype=torch.float64).masked_fill(mask, -math.inf)):
            y = module({"query": x, "attn_mask": given.expand(shape)})
            assert torch.allclose(y, expected, atol=1e-14)


def test_the_heads_of_a_sample_come_first_in_a_mask_as_torch_has_it() -> None:
    module, x = built(), numbers(3, 5, 8)
    mask = torch.rand(3, 2, 5, 5) > 0.4
    assert torch.equal(module({"query": x, "attn_mask": mask}),
                       module({"query": x, "attn_mask": mask.flatten(0, 1)}))


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (6, 5, 5), (3, 2, 5, 5)])
def test_a_mask_of_floats_has_a_gradient_in_its_shape(shape: tuple[int, ...]) -> None:
    module = built(causal=True)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[0, 3:] = True
    x = {"query": numbers(3, 5, 8), "attn_mask": numbers(*shape), "key_padding_mask": padding}
    check_gradients(module, x, most=60)
    assert module.backward(torch.ones_like(module(x)))["attn_mask"].shape == shape


@pytest.mark.parametrize(("name", "mask", "error", "message"), [
    ("key_padding_mask", torch.ones(2, 5), TypeError, "torch.bool, .* got torch.float32"),
    ("key_padding_mask", torch.ones(2, 5, dtype=torch.int64), TypeError, "mask == 0"),
    ("key_padding_mask", torch.ones(2, 4) > 0, ValueError, r"\(2, 5\); got \(2, 4\)"),
    ("attn_mask", torch.ones(5, 5, dtype=torch.int64), TypeError, "torch.bool, .* or of floats"),
    ("attn_mask", torch.ones(3, 5, 5) > 0, ValueError,
     r"\(5, 5\) or \(2, 5, 5\) or \(4, 5, 5\) or \(2, 2, 5, 5\); got \(3, 5, 5\)"),
])
def test_masks_of_another_kind_are_refused(name, mask, error, message) -> None:
    module = built()
    with pytest.raises(error, match=f"expects {name} of .*{message}"):
        module({"query": numbers(2, 5, 8), name: mask})
    assert not any(part._saved for part in module.modules())


def test_no_sample_and_no_token_are_fine() -> None:
    module = built()
    for queries, keys, batch in ((5, 4, 0), (0, 4, 2), (5, 0, 2)):
        x = {"query": numbers(batch, queries, 8), "key": numbers(batch, keys, 8),
             "key_padding_mask": torch.zeros(batch, keys, dtype=torch.bool),
             "attn_mask": torch.zeros(batch, 2, queries, keys, dtype=torch.bool)}
        y = module(x)
        assert y.shape == (batch, queries, 8)
        dx = module.backward(torch.ones_like(y))
        assert dx["query"].shape == x["query"].shape and dx["key"].shape == x["key"].shape


# ---- both ways --------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_the_fused_way_and_the_steps_agree(causal: bool) -> None:
    fused, stepwise = built(causal=causal), built(causal=causal, dropout=1e-300)
    x, dy = (numbers(3, 5, 8), numbers(3, 4, 8, seed=1)), numbers(3, 5, 8, seed=2)
    assert torch.allclose(fused(x), stepwise(x), atol=1e-13)
    for ours, theirs in zip(fused.backward(dy), stepwise.backward(dy), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-13)


def test_dropping_all_weights_leaves_the_bias() -> None:
    module = built(dropout=1.0)
    module.out_proj.bias.data = torch.ones(8, dtype=torch.float64)
    assert torch.equal(module(numbers(2, 5, 8)), torch.ones(2, 5, 8, dtype=torch.float64))
    assert not module.backward(torch.ones(2, 5, 8, dtype=torch.float64)).any()


def test_the_mode_of_the_forward_decides_for_its_backward() -> None:
    module, x, dy = built(dropout=0.5), numbers(2, 5, 8), numbers(2, 5, 8, seed=1)
    module.eval()(x)
    expected = module.backward(dy)
    module.train()(x)
    module.eval()(x)
    module.train()
    assert torch.equal(module.backward(dy), expected)
    module.eval()
    assert not torch.equal(module.backward(dy), expected)


# ---- frozen, unwound, in its place ------------------------------------------------------------


@pytest.mark.parametrize("own_sizes", [False, True])
@pytest.mark.parametrize("frozen", [(), ("in_proj_bias",), ("out_proj.weight", "out_proj.bias"),
                                    ("in_proj_weight", "q_proj_weight", "k_proj_weight")], ids=str)
def test_leaving_out_dx_changes_no_gradient_and_frozen_ones_get_none(
    frozen: tuple[str, ...], own_sizes: bool
) -> None:
    size = 3 if own_sizes else 8
    module = built(((5, 8), (4, size)))
    x, dy = (numbers(2, 5, 8), numbers(2, 4, size)), numbers(2, 5, 8, seed=1)
    for name, parameter in module.named_parameters():
        parameter.trainable = name not in frozen
    module(x)
    assert module.backward(dy, need_dx=False) is None
    without = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    module(x)
    assert [dx.shape for dx in module.backward(dy)] == [part.shape for part in x]
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter.grad, without[name])
        assert parameter.grad.any() == (name not in frozen)
    assert not any(part._saved for part in module.modules())


def test_an_error_in_the_output_projection_notes_its_place() -> None:
    module = built()
    module(numbers(2, 5, 8))
    with pytest.raises(RuntimeError) as error:
        module.backward(numbers(2, 5, 7))
    assert error.value.__notes__ == ["in out_proj of MultiheadAttention, Linear(8)"]
