"""What is special to Embedding and PositionalEncoding: padding, wrong indices, lengths."""

import math

import pytest
import torch
from torch import nn

from kerasish import set_seed
from kerasish.layers import Embedding, PositionalEncoding


def built(*arguments, **named) -> Embedding:
    module = Embedding(*arguments, **named)
    module.build((3,))
    return module


# ---- Embedding --------------------------------------------------------------------------------


def test_rows_are_looked_up_and_their_gradients_added() -> None:
    module = built(3, 2)
    module.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert torch.equal(module(torch.tensor([[2, 0, 2]])),
                       torch.tensor([[[5.0, 6.0], [1.0, 2.0], [5.0, 6.0]]]))
    assert module.backward(torch.tensor([[[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]])) is None
    assert torch.equal(module.weight.grad, torch.tensor([[2.0, 20.0], [0.0, 0.0], [5.0, 50.0]]))


@pytest.mark.parametrize("padding_idx", [0, 2, -1])
def test_the_padding_row_is_zero_and_gets_no_gradient_as_in_torch(padding_idx: int) -> None:
    module, twin = built(5, 3, padding_idx), nn.Embedding(5, 3, padding_idx)
    assert module.padding_idx == twin.padding_idx
    assert not module.weight.data[padding_idx].any()
    assert module.weight.data.any(1).sum() == 4
    twin.load_state_dict(module.state_dict())
    x, dy = torch.randint(5, (8, 4)), torch.randn(8, 4, 3)
    assert (x == module.padding_idx).any()
    y = twin(x)
    y.backward(dy)
    module.weight.grad += 1.0  # of an earlier step
    assert torch.equal(module(x), y)
    module.backward(dy)
    assert torch.allclose(module.weight.grad - 1, twin.weight.grad, atol=1e-6)
    assert torch.equal(module.weight.grad[padding_idx], torch.ones(3))


def test_the_padding_row_is_zero_whatever_initializes_the_rest() -> None:
    module = built(4, 3, 1, weight_initializer="kaiming_normal")
    assert module.weight.data.any(1).tolist() == [True, False, True, True]


def test_a_frozen_weight_gets_no_gradient() -> None:
    module = built(4, 3)
    module.weight.trainable = False
    module(torch.tensor([[1, 2, 3]]))
    assert module.backward(torch.ones(1, 3, 3)) is None
    assert not module.weight.grad.any() and module._saved == []


def test_initial_values_are_standard_normal_and_follow_the_seed() -> None:
    made = []
    for dtype in (None, torch.float64):
        set_seed(7)
        made.append(built(1000, 50, dtype=dtype).weight.data)
    assert torch.equal(made[0].double(), made[1])
    assert made[0].mean().abs() < 0.02 and made[0].std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8])
def test_every_type_of_integers_will_do(dtype: torch.dtype) -> None:
    module, x = built(4, 3), torch.tensor([[0, 3, 1]])
    y = module(x)
    module.backward(torch.ones(1, 3, 3))
    expected = module.weight.grad.clone()
    module.zero_grad()
    assert torch.equal(module(x.to(dtype)), y)
    module.backward(torch.ones(1, 3, 3))
    assert torch.equal(module.weight.grad, expected)


@pytest.mark.parametrize("index", [4, -1, 100])
def test_an_index_without_a_row_is_refused_with_the_range(index: int) -> None:
    module = built(4, 3)
    with pytest.raises(IndexError, match=rf"Embedding\(4, 3\) expects .* 0 to 3; got {index}\."):
        module(torch.tensor([[0, index, 1]]))
    assert module._saved == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_floats_are_refused_and_the_fix_is_named(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"expects x of integers; got torch\..* x\.long\(\)"):
        built(4, 3)(torch.ones(2, 3, dtype=dtype))


def test_forward_before_build_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"Embedding\(4, 3\)\.forward\(x\) expects .* built"):
        Embedding(4, 3).forward(torch.tensor([1]))


@pytest.mark.parametrize(("arguments", "message"), [
    (dict(num_embeddings=0, embedding_dim=3), r"Embedding\(num_embeddings\) .* got 0"),
    (dict(num_embeddings=3, embedding_dim=1.5), r"Embedding\(embedding_dim\) .* got 1.5"),
    (dict(padding_idx=4), r"Embedding\(padding_idx\) expects .* from -4 to 3; got 4"),
    (dict(padding_idx=-5), r"Embedding\(padding_idx\) .* got -5"),
    (dict(padding_idx=1.0), r"Embedding\(padding_idx\) .* got 1.0"),
    (dict(padding_idx=True), r"Embedding\(padding_idx\) .* got True"),
    (dict(max_norm=1.0), r"Embedding\(max_norm\) expects None; got 1.0.*weight_constraint"),
    (dict(scale_grad_by_freq=True), r"Embedding\(scale_grad_by_freq\) expects False; got True"),
    (dict(sparse=True), r"Embedding\(sparse\) expects False; got True"),
], ids=str)
def test_what_is_not_offered_is_refused_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embedding(**({"num_embeddings": 4, "embedding_dim": 3} | arguments))


# ---- PositionalEncoding -----------------------------------------------------------------------


def test_waves_by_hand() -> None:
    y = PositionalEncoding()(torch.full((1, 2, 3), 10.0, dtype=torch.float64))
    slow = 10000 ** (-2 / 3)
    assert torch.allclose(y[0, 0], torch.tensor([10.0, 11.0, 10.0], dtype=torch.float64))
    assert torch.allclose(y[0, 1] - 10, torch.tensor(
        [math.sin(1), math.cos(1), math.sin(slow)], dtype=torch.float64))


def test_lengths_may_change_and_shorter_ones_see_the_same_waves() -> None:
    module, x = PositionalEncoding(), torch.zeros(2, 9, 4)
    short, long = module(x[:, :3]), module(x)
    assert torch.equal(long[:, :3], short) and torch.equal(module(x[:, :3]), short)


def test_waves_made_in_inference_serve_in_training() -> None:
    module = PositionalEncoding()
    with torch.inference_mode():
        module(torch.zeros(2, 3, 4))
    assert not any(table.is_inference() for table in module._tables.values())


@pytest.mark.parametrize(("module", "x", "message"), [
    (PositionalEncoding(), torch.zeros(2, 3), r"expects x of shape \(N, T, D\); got \(N, 3\)"),
    (PositionalEncoding(4), torch.zeros(2, 3, 5), r"\(N, T, 4\); got \(N, 3, 5\)"),
    (PositionalEncoding(max_len=2), torch.zeros(2, 3, 4), "at most 2 positions; got 3"),
    (PositionalEncoding(), torch.zeros(2, 3, 4, dtype=torch.int64), "floating type; got torch.int"),
], ids=str)
def test_other_inputs_are_refused(module: PositionalEncoding, x: torch.Tensor, message: str
                                  ) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        module(x)


def test_a_built_one_refuses_other_features_and_more_positions() -> None:
    module = PositionalEncoding(max_len=5)
    module(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="at most 5 positions; got 6"):
        module(torch.zeros(2, 6, 4))
    for x in (torch.zeros(2, 3, 1), torch.zeros(2, 3)):
        with pytest.raises(ValueError, match=r"expects x of shape \(N, T, 4\)"):
            module(x)


@pytest.mark.parametrize("arguments", [{"d_model": 0}, {"max_len": 0}, {"d_model": 1.5}], ids=str)
def test_sizes_below_one_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match=rf"PositionalEncoding\({next(iter(arguments))}\)"):
        PositionalEncoding(**arguments)
